// Messages both ways between the primary and a worker. Prints 1 2 3 4 TEST.
//
//   worker -> primary: cluster.worker().send() arrives at worker.on_message()
//   primary -> worker: worker.send() arrives at cluster.worker().on_message()
//
//   two_way_messages [--port N]
#include <cohort/cohort.h>

#include <iostream>

#include "flags.h"

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  cohort::Cluster cluster;

  if (cluster.is_primary()) {
    cohort::Worker worker = cluster.fork();
    std::cout << 1 << '\n';

    worker.on_listening([worker](const cohort::Address&) {
      std::cout << 3 << '\n';
      worker.send("recvmsg");
    });
  } else {
    cohort::net::create_server(cluster, [](cohort::net::Socket) {}).listen(flags.port(8000));
    std::cout << 2 << '\n';

    cluster.worker().on_message([](const cohort::Value& msg) {
      std::cout << 4 << '\n';
      if (msg == "recvmsg") std::cout << "TEST\n";
    });
  }
  return cluster.run();
}
