// The primary and the worker are separate programs: this one only starts the worker and prints what
// it says. PATH names another worker; a Node script is one too.
//
//   divided_primary [PATH]
#include <cohort/cohort.h>

#include <iostream>

#include "flags.h"

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  cohort::Cluster cluster;
  cluster.setup_primary({.exec = flags.path("divided_worker")});

  cohort::Worker worker = cluster.fork();
  worker.on_message([](const cohort::Value& msg) { std::cout << msg << '\n'; });
  return cluster.run();
}
