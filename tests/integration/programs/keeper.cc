// `keep` for any program: keeper [--workers N] --exec PROGRAM. Prints one line per start and per
// end.
#include <cohort/cohort.h>

#include <iostream>

#include "flags.h"

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  cohort::Cluster cluster;
  cluster.on_fork([](cohort::Worker worker) { std::cout << "fork " << worker.id() << '\n'; });
  cluster.on_exit([](cohort::Worker worker, const cohort::Exit& exit) {
    std::cout << "exit " << worker.id() << ": " << exit << '\n';
  });
  cluster.setup_primary({.exec = flags.text("--exec", "")});
  cluster.keep(flags.number("--workers", 1));
  return cluster.run();
}
