// A loop of the program's own, with operations that wait, is there before the Cluster, and so
// before workers are forked from the process that has loaded. Each worker prints what it hears of.
#include <cohort/cohort.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <iostream>

namespace asio = boost::asio;

const cohort::Preload nothing{"nothing", [] {}};

int main() {
  asio::io_context io;
  asio::steady_timer timer{io, std::chrono::milliseconds{100}};
  asio::signal_set signals{io, SIGUSR1};
  int ends[2];
  if (pipe(ends) == -1) return 1;
  asio::posix::stream_descriptor reader{io, ends[0]};
  // One byte for each worker: the pipe is theirs together.
  if (write(ends[1], "ab", 2) != 2) return 1;
  char byte = 0;
  int heard = 0;
  cohort::Cluster* here = nullptr;
  const auto hear = [&](const char* what) {
    if (!here->is_worker()) return;
    std::cout << "worker " << here->worker().id() << what << std::endl;
    if (++heard == 3) here->worker().disconnect();
  };
  timer.async_wait([&](auto) { hear(" a timer"); });
  signals.async_wait([&](auto, int) { hear(" a signal"); });
  asio::async_read(reader, asio::buffer(&byte, 1), [&](auto, auto) { hear(" a pipe"); });

  cohort::Cluster cluster{io};
  here = &cluster;
  if (cluster.is_worker()) {
    // Theirs, and not the loader's: the signal is this process's.
    std::raise(SIGUSR1);
  } else {
    timer.cancel();
    signals.cancel();
    reader.cancel();
    cluster.setup_primary({.preload = nothing.name()});
    cluster.fork();
    cluster.fork();
  }
  return cluster.run();
}
