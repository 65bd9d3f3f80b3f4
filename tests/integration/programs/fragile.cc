// Two kept workers, of which the first serves HTTP on --port and every other one exits as it
// starts.
#include <cohort/cohort.h>

#include <iostream>

#include "flags.h"

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  cohort::Cluster cluster;
  if (cluster.is_primary()) {
    cluster.on_fork([](cohort::Worker worker) { std::cout << "fork " << worker.id() << '\n'; });
    cluster.keep(2);
  } else if (cluster.worker().id() == 1) {
    cohort::http::create_server(cluster, [](const auto&, auto& res) {
      res.end("hello world\n");
    }).listen(flags.port(8000));
  } else {
    return 3;
  }
  return cluster.run();
}
