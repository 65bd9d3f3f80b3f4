// Two workers that answer a connection's first bytes with their pid, over raw TCP on --port, and
// close.
// --limit N: each takes at most N connections at a time.
#include <cohort/cohort.h>
#include <unistd.h>

#include <iostream>
#include <string>

#include "flags.h"

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  cohort::Cluster cluster;
  if (cluster.is_primary()) {
    cluster.on_listening([](cohort::Worker worker, const cohort::Address&) {
      std::cout << "listening " << worker.process().pid() << '\n';
    });
    cluster.fork();
    cluster.fork();
  } else {
    auto server = cohort::net::create_server(cluster, [](cohort::net::Socket socket) {
      socket.on_data([socket](std::string_view) { socket.end(std::to_string(getpid()) + '\n'); });
    });
    server.max_connections(flags.number("--limit", 0));
    server.listen(flags.port(8000));
  }
  return cluster.run();
}
