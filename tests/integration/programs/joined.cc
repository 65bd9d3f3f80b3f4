// A thread sends --count numbered messages and is joined; the loop sends one more, and its process
// leaves at once, --by exit, std_exit, return, throw or disconnect: a worker, or --from primary or
// child (a ChildProcess of the primary), to which the primary sends and which it disconnects. --io:
// on an io_context with so many threads; with one, in a plain handler. The receiver says how many
// came, and whether in order.
#include <cohort/cohort.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "flags.h"

namespace {

template <class Peer>
void send_all(const Peer& peer, unsigned count) {
  std::thread([&] {
    for (unsigned i = 0; i < count; ++i)
      if (peer.send({{"n", i}}).error()) std::abort();
  }).join();
  peer.send({{"n", count}});
}

// Counts what comes.
struct Received {
  unsigned count = 0;
  bool in_order = true;
  void operator()(const cohort::Value& message) { in_order &= message["n"] == count++; }
  void print() const {
    std::cout << count << (in_order ? " in order" : " out of order") << std::endl;
  }
};

void leave(const cohort::Worker& self, const std::string& by) {
  if (by == "throw") throw std::runtime_error{"the end"};
  if (by == "disconnect") return self.disconnect();
  if (by == "std_exit") std::exit(0);
  self.process().exit(0);
}

// With one thread, as a handler of the user's, beside the strand of ours.
void start(boost::asio::io_context* io, unsigned threads, cohort::Cluster& cluster,
           std::function<void()> task) {
  if (threads == 1)
    boost::asio::post(*io, std::move(task));
  else
    cluster.set_timeout(std::chrono::milliseconds{0}, std::move(task));
}

}  // namespace

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  const unsigned threads = flags.number("--io", 0);
  const unsigned count = flags.number("--count", 500);
  const std::string from = flags.text("--from", "worker");
  const std::string by = flags.text("--by", "exit");
  const auto io = threads > 0 ? std::make_unique<boost::asio::io_context>() : nullptr;
  cohort::Cluster cluster = io ? cohort::Cluster{*io} : cohort::Cluster{};
  const auto received = std::make_shared<Received>();
  std::optional<cohort::Worker> worker;
  std::optional<cohort::ChildProcess> child;

  if (cluster.is_worker() || getenv("JOINED_CHILD") != nullptr) {
    if (from != "worker") {
      cluster.worker().on_message([received](const auto& message) { (*received)(message); });
      cluster.worker().on_disconnect([received] { received->print(); });
    } else if (by == "return") {
      send_all(cluster.worker(), count);
      return 0;
    } else {
      start(io.get(), threads, cluster, [&] {
        send_all(cluster.worker(), count);
        leave(cluster.worker(), by);
      });
    }
  } else if (from == "child") {
    child = cohort::fork(cluster, std::filesystem::read_symlink("/proc/self/exe"),
                         {"--from", "child"}, {.add_env = {{"JOINED_CHILD", "1"}}});
    start(io.get(), threads, cluster, [&] {
      send_all(*child, count);
      std::ignore = child->disconnect();
    });
  } else {
    worker = cluster.fork();
    if (from == "worker") {
      worker->on_message([received](const auto& message) { (*received)(message); });
      worker->on_exit([received](const auto&) { received->print(); });
    } else {
      start(io.get(), threads, cluster, [&] {
        send_all(*worker, count);
        worker->disconnect();
      });
    }
  }
  std::vector<std::jthread> others;
  for (unsigned i = 1; i < threads; ++i) others.emplace_back([&] { io->run(); });
  return cluster.run();
}
