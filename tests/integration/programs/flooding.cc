// The primary sends messages of --size bytes to a worker that does not read them, until it may send
// no more: one that is stopped, or one (--early) that has no handler yet. Then the worker reads.
// Memory is said in MB, as what this process and the worker hold beyond what they held before.
#include <cohort/cohort.h>

#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>

#include "flags.h"

namespace {

std::size_t resident_megabytes(pid_t pid) {
  std::ifstream status{"/proc/" + std::to_string(pid) + "/statm"};
  std::size_t total = 0, resident = 0;
  status >> total >> resident;
  return resident * 4096 / 1'000'000;
}

// A worker that is told to go on before it has stopped itself would stay stopped.
void wait_until_stopped(pid_t pid) {
  for (std::string stat; stat.find(") T ") == std::string::npos;)
    std::getline(std::ifstream{"/proc/" + std::to_string(pid) + "/stat"}, stat);
}

int be_worker(cohort::Cluster& cluster, bool early) {
  const cohort::Worker self = cluster.worker();
  const auto count = std::make_shared<int>(0);
  const auto read = [self, count] {
    self.on_message([self, count](const cohort::Value& message) {
      if (message == "end")
        self.send(*count);
      else
        ++*count;
    });
  };
  if (!early) {
    read();
    self.send("ready", [](auto) { ::raise(SIGSTOP); });
    return cluster.run();
  }
  self.send("ready");
  // A signal, since no message is read: the primary is done.
  boost::asio::signal_set signals{cluster.io_context(), SIGUSR1};
  signals.async_wait([&](auto, int) { read(); });
  return cluster.run();
}

}  // namespace

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  const bool early = flags.has("--early");
  const bool advanced = flags.has("--advanced");
  cohort::Cluster cluster;
  if (cluster.is_worker()) return be_worker(cluster, early);
  cluster.setup_primary({.spawn = {.serialization = advanced ? cohort::Serialization::Advanced
                                                             : cohort::Serialization::Json,
                                   .queue_size_max = flags.number("--queue", 10'000'000),
                                   .shared_memory_max = 16u << 20}});
  const std::string text(flags.number("--size", 1000), 'x');
  const cohort::Worker worker = cluster.fork();
  int taken = 0;
  bool full = false;
  std::size_t before[2] = {};
  const auto grown = [&](pid_t pid, std::size_t held) {
    const std::size_t now = resident_megabytes(pid);
    return now > held ? now - held : 0;
  };
  // A little each time, so that the loop turns.
  cohort::Timer timer = cluster.set_interval(std::chrono::milliseconds{1}, [&] {
    if (taken == 0 && before[0] == 0) return;
    for (int i = 0; i < 2000 && !full; ++i) {
      const cohort::SendResult sent = worker.send(text);
      if (sent.error()) {
        full = true;
        std::cout << sent.error()->code.message() << '\n';
      } else {
        ++taken;
      }
    }
    if (!full) return;
    timer.cancel();
    std::cout << "primary " << grown(::getpid(), before[0]) << " MB\n"
              << "worker " << grown(worker.process().pid(), before[1]) << " MB\n";
    if (!early) wait_until_stopped(worker.process().pid());
    ::kill(worker.process().pid(), early ? SIGUSR1 : SIGCONT);
  });
  worker.on_drain([&] {
    if (!full) return;
    full = false;
    std::cout << "drained\n";
    worker.send("end");
  });
  worker.on_message([&](const cohort::Value& message) {
    if (message == "ready") {
      before[0] = resident_megabytes(::getpid());
      before[1] = resident_megabytes(worker.process().pid());
    } else {
      std::cout << (message == taken ? "all arrived" : "some are missing") << '\n';
      worker.disconnect();
    }
  });
  return cluster.run();
}
