// A server on two workers whose primary prints its status whenever that changes. It stops the
// service when a client sends anything.
#include <cohort/cohort.h>

#include <iostream>
#include <string>
#include <string_view>

#include "flags.h"

using namespace std::chrono_literals;

namespace {

std::string text(const cohort::ClusterStatus& status) {
  std::string text = std::string{to_string(status.phase)} + ", workers:";
  for (const cohort::WorkerStatus& worker : status.workers) {
    text += ' ' + std::to_string(worker.slot) + ' ' + to_string(worker.state);
    if (worker.kept) text += " kept";
    if (worker.load) text += " with " + std::to_string(worker.load->connections.value_or(0));
  }
  text += "; ports:";
  for (const cohort::PortStatus& port : status.ports)
    text += std::string{" "} + to_string(port.policy) + " of " +
            std::to_string(port.workers.size()) + " waiting " + std::to_string(port.waiting);
  return text + "; forks " + std::to_string(status.forks) + ", deaths " +
         std::to_string(status.deaths);
}

}  // namespace

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  cohort::Cluster cluster;
  if (cluster.is_worker()) {
    const auto server = cohort::net::create_server(cluster, [&](const cohort::net::Socket& socket) {
      socket.on_data([&, socket](std::string_view) {
        cluster.worker().send("stop");
        socket.end();
      });
    });
    server.listen(0);
    return cluster.run();
  }
  cluster.on_listening([](const cohort::Worker&, const cohort::Address& address) {
    std::cout << "port " << address.port() << '\n';
  });
  cluster.on_stopping([](const cohort::Stopping& stopping) {
    std::cout << "stopping by " << (stopping.signal ? "a signal" : "itself") << '\n';
  });
  cluster.keep(2);
  std::string last;
  cluster.set_interval(5ms, [&] {
    std::string now = text(cluster.status());
    if (now != last) std::cout << now << '\n';
    last = std::move(now);
  });
  cluster.on_message([&](const cohort::Worker&, const cohort::Value&) { cluster.stop(); });
  return cluster.run();
}
