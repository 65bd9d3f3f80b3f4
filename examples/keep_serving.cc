// A server that stays up: `keep` starts a worker per CPU and replaces each that dies, with a
// growing pause while one keeps failing. Ctrl-C lets requests finish. Try `kill -9` on a worker, or
// GET /crash.
//
//   keep_serving [--port N] [--workers N]
#include <cohort/cohort.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string>

#include "flags.h"

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  cohort::Cluster cluster;

  if (cluster.is_primary()) {
    cluster.keep(flags.number("--workers", cohort::available_parallelism()));
    cluster.on_exit([](cohort::Worker worker, const cohort::Exit& exit) {
      std::clog << "worker " << worker.id() << ": " << exit << '\n';
    });
  } else {
    cohort::http::create_server(cluster, [](const auto& req, auto& res) {
      if (req.url() == "/crash") std::abort();
      res.end("served by process " + std::to_string(getpid()) + '\n');
    }).listen(flags.port(8000));
  }
  return cluster.run();
}
