// Two workers that listen on --port; what goes wrong with that they tell the primary, which prints
// it.
#include <cohort/cohort.h>

#include <chrono>
#include <iostream>
#include <sstream>

#include "flags.h"

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  cohort::Cluster cluster;
  if (cluster.is_primary()) {
    cluster.on_message([](cohort::Worker worker, const cohort::Value& text) {
      std::cout << "worker " << worker.id() << ": " << text << '\n';
    });
    cluster.on_listening([](cohort::Worker worker, const cohort::Address& address) {
      std::cout << "worker " << worker.id() << " listens on " << address << '\n';
    });
    cluster.fork();
    cluster.fork();
  } else {
    auto server = cohort::net::create_server(cluster, [](cohort::net::Socket) {});
    server.on_error([&](const cohort::Error& error) {
      std::ostringstream text;
      text << error;
      cluster.worker().send(text.str());
    });
    server.listen(flags.port(0));
    // A worker whose server failed has nothing to do, and would leave.
    cluster.set_interval(std::chrono::hours{1}, [] {});
  }
  return cluster.run();
}
