// HTTP workers whose number and identity change under load. `/` is answered with "hello world",
// `/block/MS` after MS milliseconds in which the worker does nothing else, `/who/MS` with its pid
// after as many.
//
//   steered --port N [--workers N] [--replace N] [--counts N,N,...] [--exec SCRIPT] [--uid N]
//           [--drain MS] [--again]
//
// A worker that dies is replaced at once. --replace: N times a successor is forked, and the oldest
// worker told to disconnect once that one listens. --counts: so many workers, a second each.
// --again: one more is forked when the first of them has ended on purpose.
// Prints `listening ID PID` for each worker, `lost N` for one that died with so many requests in
// flight, `killed ID`, and `done` after the last change.
#include <cohort/cohort.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <iostream>
#include <sstream>
#include <string>
#include <utility>

#include "flags.h"

using namespace std::chrono_literals;

namespace {

void block(std::chrono::milliseconds duration) {
  const auto end = std::chrono::steady_clock::now() + duration;
  while (std::chrono::steady_clock::now() < end) continue;
}

class Primary {
 public:
  Primary(cohort::Cluster& cluster, const Flags& flags)
      : cluster_{cluster},
        count_{flags.number("--workers", 4)},
        replacements_{flags.number("--replace", 0)},
        counts_{flags.text("--counts", "")},
        again_{flags.has("--again")} {
    cohort::Settings settings{.exec = flags.text("--exec", "")};
    if (const auto uid = flags.number("--uid", 0); uid != 0) settings.spawn.uid = uid;
    cluster.setup_primary(settings);
    if (const auto drain = flags.number("--drain", 0); drain != 0)
      cluster.set_drain_timeout(std::chrono::milliseconds{drain});
    cluster.on_listening([this](cohort::Worker worker, const cohort::Address&) {
      std::cout << "listening " << worker.id() << ' ' << worker.process().pid() << " slot "
                << worker.slot().value() << '\n';
      ++listening_;
      if (replacing_ && worker.id() == successor_) replaced();
    });
    cluster.on_exit([this](cohort::Worker worker, const cohort::Exit& exit) {
      if (exit.signal() == SIGKILL) std::cout << "killed " << worker.id() << '\n';
      if (worker.exited_after_disconnect()) {
        if (std::exchange(again_, false)) cluster_.fork();
        return;
      }
      if (const auto load = worker.load()) std::cout << "lost " << load->in_flight.value() << '\n';
      --listening_;
      adjust();
    });
    adjust();
    // Until the test's load runs.
    cluster.set_timeout(1s, [this] {
      if (replacements_ > 0) replace();
      if (!counts_.str().empty()) next_count();
    });
  }

 private:
  void adjust() {
    for (auto left = cluster_.workers().size(); left < count_; ++left) cluster_.fork();
    auto workers = cluster_.workers();
    for (std::size_t i = 0; i + count_ < workers.size(); ++i) {
      workers[i].disconnect();
      --listening_;
    }
  }
  void replace() {
    replacing_ = true;
    successor_ = cluster_.fork().id();
  }
  void replaced() {
    replacing_ = false;
    adjust();
    if (--replacements_ > 0)
      replace();
    else
      std::cout << "done\n";
  }
  void next_count() {
    std::string count;
    if (listening_ < cluster_.workers().size()) {
      cluster_.set_timeout(100ms, [this] { next_count(); });  // nobody stops all that listen
      return;
    }
    if (!std::getline(counts_, count, ',')) {
      std::cout << "done\n";
      return;
    }
    count_ = std::stoul(count);
    adjust();
    cluster_.set_timeout(1s, [this] { next_count(); });
  }

  cohort::Cluster& cluster_;
  std::size_t count_;
  std::size_t listening_ = 0;
  unsigned replacements_;
  std::istringstream counts_;
  bool again_;
  bool replacing_ = false;
  int successor_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  cohort::Cluster cluster;
  if (cluster.is_primary()) {
    const Primary primary{cluster, flags};
    return cluster.run();
  }
  // On a busy machine a client of the tests may not run for seconds. It must not lose its
  // connection to that.
  const cohort::http::ServerOptions options{.keep_alive_timeout = 1min};
  const auto answer = [](const auto& req, auto& res) {
    const std::string target{req.url()};
    const bool who = target.starts_with("/who/");
    if (who || target.starts_with("/block/"))
      block(std::chrono::milliseconds{std::stol(target.substr(target.rfind('/') + 1))});
    res.end(who ? std::to_string(::getpid()) : "hello world\n");
  };
  cohort::http::create_server(cluster, answer, options).listen(flags.port(8000));
  return cluster.run();
}
