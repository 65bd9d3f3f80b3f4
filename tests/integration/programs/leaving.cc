// Three workers that need 50, 100 and 150 ms to end once their channel is closed. Each opens the
// same server twice, the second time in vain. When all have said so, the primary
// disconnects them all, and then tries whether the port is free.
#include <cohort/cohort.h>

#include <chrono>
#include <iostream>
#include <sstream>
#include <thread>

#include "flags.h"

namespace {

int be_primary(cohort::Cluster& cluster, std::uint16_t port) {
  int waiting = 3;
  int exits = 0;
  cluster.on_exit([&](const cohort::Worker&, const cohort::Exit&) { ++exits; });
  cluster.on_message([&](const cohort::Worker& worker, const cohort::Value& text) {
    std::cout << "worker " << worker.id() << ": " << text << '\n';
    if (--waiting > 0) return;
    cluster.disconnect([&] {
      std::cout << "disconnected after " << exits << " exits\n";
      auto server = cohort::net::create_server(cluster, [](const cohort::net::Socket&) {});
      server.listen(port, [server] {
        std::cout << "the port is free\n";
        server.close();
      });
    });
  });
  for (int i = 0; i < 3; ++i) cluster.fork();
  return cluster.run();
}

int be_worker(cohort::Cluster& cluster, std::uint16_t port) {
  const cohort::Worker self = cluster.worker();
  self.on_disconnect(
      [id = self.id()] { std::this_thread::sleep_for(id * std::chrono::milliseconds{50}); });
  const auto ignore = [](const cohort::net::Socket&) {};
  const auto first = cohort::net::create_server(cluster, ignore);
  const auto second = cohort::net::create_server(cluster, ignore);
  second.on_error([self](const cohort::Error& error) {
    std::ostringstream text;
    text << error;
    self.send(text.str());
  });
  first.listen(port, [second, port] { second.listen(port); });
  return cluster.run();
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint16_t port = Flags{argc, argv}.port(0);
  cohort::Cluster cluster;
  return cluster.is_primary() ? be_primary(cluster, port) : be_worker(cluster, port);
}
