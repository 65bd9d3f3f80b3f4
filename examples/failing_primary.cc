// A worker that fails does not stop the system: the primary hears how it ended, and goes on.
//
//   failing_primary [--after SECONDS] [--with exception|SIGSEGV|SIGKILL|exit] [--missing]
//   [--keep-going]
//
// --after and --with are for the worker, which gets the primary's arguments (failing_worker.cc).
// --missing starts a program that does not exist; --keep-going forks a successor of each that ends.
#include <cohort/cohort.h>

#include <iostream>

#include "flags.h"

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  cohort::Cluster cluster;
  cluster.setup_primary({.exec = flags.has("--missing") ? "no_such_worker" : "failing_worker"});

  const auto start = [&] {
    cohort::Worker worker = cluster.fork();
    worker.on_message([](const cohort::Value& msg) { std::cout << msg << '\n'; });
    worker.on_error([](const cohort::Error& error) { std::cout << "Error: " << error << '\n'; });
    worker.on_exit([](const cohort::Exit& exit) {
      if (exit.signal())
        std::cout << "worker was killed by signal: " << exit.signal_name() << '\n';
      else if (exit.code() != 0)
        std::cout << "worker exited with error code: " << exit.code() << '\n';
      else
        std::cout << "worker success!\n";
    });
  };

  if (flags.has("--keep-going"))
    cluster.on_exit([&](cohort::Worker worker, const cohort::Exit&) {
      if (!worker.exited_after_disconnect()) start();
    });
  start();
  return cluster.run();
}
