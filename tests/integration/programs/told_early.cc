// Workers that are told something, or to end, before they have a process: what they share is being
// loaded.
#include <cohort/cohort.h>

#include <iostream>

const cohort::Preload nothing{"nothing", [] {}};

int main() {
  cohort::Cluster cluster;
  if (cluster.is_worker()) {
    cluster.worker().on_message([&](const cohort::Value& message) {
      cluster.worker().send(message);
      cluster.worker().disconnect();
    });
    return cluster.run();
  }
  cluster.setup_primary({.preload = nothing.name()});
  const auto show = [](const cohort::Worker& worker) {
    std::cout << "worker " << worker.id() << " has " << (worker.process().pid() == 0 ? "no" : "a")
              << " process" << std::endl;
  };
  const cohort::Worker told = cluster.fork();
  show(told);
  told.send("before it was started");
  told.on_online([=] { show(told); });
  told.on_message([](const cohort::Value& message) { std::cout << message << std::endl; });
  const cohort::Worker killed = cluster.fork();
  killed.on_error([](const cohort::Error& error) { std::cout << error.message() << std::endl; });
  killed.kill();
  return cluster.run();
}
