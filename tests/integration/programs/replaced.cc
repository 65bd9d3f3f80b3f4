// HTTP workers that are replaced while they serve. `/` is answered with "hello world", `/who` with
// the pid.
//
//   replaced --port N [--workers N] [--rounds N] [--exec SCRIPT] [--own] [--broken PROGRAM]
//
// Once all listen, and have for half a second, every worker is replaced, one after the other, so
// many times; each waits until the one before it, or with --broken its successor, has ended. --own:
// a policy of its own, by the number in `/N`. --broken: successors are of that program, which does
// not listen.
// Prints `worker ID PID slot N` for each that listens, `failed` for a successor that could not
// start, `refused ID` for one that was not started, `killed ID`, `ended ID` or `died ID` by what
// `exited_after_disconnect` says, and `done`.
#include <cohort/cohort.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <iostream>
#include <optional>
#include <string>
#include <tuple>

#include "flags.h"

using namespace std::chrono_literals;

namespace {

std::optional<std::size_t> number_in(std::string_view request) {
  if (request.size() < 6 || request[5] < '0' || request[5] > '9') return std::nullopt;
  return static_cast<std::size_t>(request[5] - '0');
}

class Primary {
 public:
  Primary(cohort::Cluster& cluster, const Flags& flags)
      : cluster_{cluster},
        count_{flags.number("--workers", 3)},
        left_{flags.number("--rounds", 1) * count_},
        broken_{flags.text("--broken", "")} {
    cluster.setup_primary({.exec = flags.text("--exec", "")});
    if (flags.has("--own"))
      cluster.set_policy([](const cohort::Arrival& arrival) { return number_in(arrival.head); },
                         64);
    cluster.on_listening([this](cohort::Worker worker, const cohort::Address&) {
      std::cout << "worker " << worker.id() << ' ' << worker.process().pid() << " slot "
                << worker.slot().value() << '\n';
      if (++listening_ == count_) cluster_.set_timeout(500ms, [this] { replace_next(); });
    });
    cluster.on_exit([this](cohort::Worker worker, const cohort::Exit& exit) {
      if (exit.signal() == SIGKILL) std::cout << "killed " << worker.id() << '\n';
      std::cout << (worker.exited_after_disconnect() ? "ended " : "died ") << worker.id() << '\n';
      if (awaited_ == worker.id()) replace_soon();
    });
    cluster.keep(count_);
  }

 private:
  // When the cluster has taken note.
  void replace_soon() {
    cluster_.set_timeout(1ms, [this] { replace_next(); });
  }
  void replace_next() {
    awaited_.reset();
    if (left_ == 0) {
      std::cout << "done\n";
      return;
    }
    --left_;
    if (!broken_.empty()) cluster_.setup_primary({.exec = broken_});
    const cohort::Worker old = cluster_.workers().front();  // the oldest that lives
    const auto successor = cluster_.replace(old);
    if (successor)
      successor->on_error([this](const cohort::Error&) {
        std::cout << "failed\n";
        replace_soon();
      });
    else
      std::cout << "refused " << old.id() << '\n';
    if (cluster_.replace(old)) std::cout << "twice " << old.id() << '\n';
    awaited_ = broken_.empty() || !successor ? old.id() : successor->id();
  }

  cohort::Cluster& cluster_;
  const unsigned count_;
  unsigned left_;
  unsigned listening_ = 0;
  const std::string broken_;
  std::optional<int> awaited_;  // its end
};

}  // namespace

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  cohort::Cluster cluster;
  if (cluster.is_primary()) {
    const Primary primary{cluster, flags};
    return cluster.run();
  }
  const cohort::http::ServerOptions options{.keep_alive_timeout = 1min};
  const auto answer = [](const auto& req, auto& res) {
    const bool who = std::string_view{req.url()}.starts_with("/who");
    res.end(who ? std::to_string(::getpid()) : "hello world\n");
  };
  cohort::http::create_server(cluster, answer, options).listen(flags.port(8000));
  return cluster.run();
}
