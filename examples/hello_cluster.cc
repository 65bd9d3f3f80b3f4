// One port, all cores: the primary forks a worker per CPU, all of them serve http://localhost:8000,
// and each tells the primary about every request. Ctrl-C prints what each has served.
//
//   hello_cluster [--port N] [--workers N] [--quiet]
#include <cohort/cohort.h>

#include <chrono>
#include <iostream>
#include <map>

#include "flags.h"

using namespace std::chrono_literals;

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  const bool quiet = flags.has("--quiet");
  cohort::Cluster cluster;
  int num_reqs = 0;
  std::map<int, int> served;

  if (cluster.is_primary()) {
    cluster.set_interval(1s, [&] { std::cout << "numReq =  " << num_reqs << '\n'; });

    const unsigned count = flags.number("--workers", cohort::available_parallelism());
    for (unsigned i = 0; i < count; ++i) {
      cluster.fork();
      std::cout << "New Fork!\n";
    }
    for (const cohort::Worker& worker : cluster.workers())
      worker.on_message([&, &requests = served[worker.id()]](const cohort::Value& msg) {
        if (msg["cmd"] == "notifyRequest") {
          if (!quiet) std::cout << "Noti!\n";
          ++num_reqs;
          ++requests;
        }
      });
  } else {
    cohort::http::create_server(cluster, [&](const auto& /*req*/, auto& res) {
      res.status_code(200);
      res.end("hello world\n");
      cluster.worker().send({{"cmd", "notifyRequest"}});
    }).listen(flags.port(8000));
  }

  const int code = cluster.run();
  for (const auto& [id, requests] : served)
    std::cout << "worker " << id << " served " << requests << '\n';
  return code;
}
