// A worker in an endless loop: it reads no message, sees no closed channel, and handles no signal.
#include <cohort/cohort.h>

#include <iostream>

int main() {
  cohort::Cluster cluster;
  if (cluster.is_primary()) {
    cohort::Worker worker = cluster.fork();
    worker.on_message([](const cohort::Value& msg) { std::cout << msg << '\n'; });
  } else {
    cluster.set_timeout(std::chrono::milliseconds{0}, [&] {
      cluster.worker().send("busy");
      for (volatile bool forever = true; forever;) {
      }
    });
  }
  return cluster.run();
}
