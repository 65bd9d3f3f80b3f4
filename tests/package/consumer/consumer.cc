// The smallest program that forks a worker, hears it and ends: it compiles, links and runs against
// an installed cohort.
#include <cohort/cohort.h>

#include <iostream>

int main() {
  cohort::Cluster cluster;
  if (cluster.is_primary()) {
    cohort::Worker worker = cluster.fork();
    worker.on_message([&cluster](const cohort::Value& message) {
      std::cout << cluster.workers().size() << " worker heard: " << message << '\n';
    });
  } else {
    cluster.worker().send("hello", [&cluster](const auto&) { cluster.worker().disconnect(); });
  }
  return cluster.run();
}
