// A worker for leader_test.cc: serves, and prints `up PID` and `down PID` when it leads, and no
// more.
//
//   cohort run leading --port N
#include <cohort/cohort.h>
#include <unistd.h>

#include <iostream>
#include <string>

#include "flags.h"

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  cohort::Cluster cluster;
  if (!cluster.is_worker()) return 1;
  const cohort::Worker worker = cluster.worker();
  worker.on_leader([&worker](bool leads) {
    if (leads != worker.is_leader()) std::cout << "is_leader() says something else" << std::endl;
    std::cout << (leads ? "up " : "down ") + std::to_string(::getpid()) + '\n' << std::flush;
  });
  const auto server = cohort::http::create_server(cluster, [&worker](const auto&, auto& response) {
    response.end(worker.is_leader() ? "leader" : "follower");
  });
  server.listen(flags.port(0));
  return cluster.run();
}
