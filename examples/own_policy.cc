// A policy of one's own: requests for /shard/N go to worker N, which alone holds that shard; all
// others to whoever is free. Answers with the worker's id.
//
//   own_policy [--port N] [--workers N]
#include <cohort/cohort.h>

#include <charconv>
#include <string>
#include <string_view>

#include "flags.h"

// The number in `GET /shard/2 HTTP/1.1`; 0: none.
int shard_of(std::string_view request) {
  constexpr std::string_view kShard = "GET /shard/";
  int shard = 0;
  if (request.starts_with(kShard))
    std::from_chars(request.data() + kShard.size(), request.data() + request.size(), shard);
  return shard;
}

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  cohort::Cluster cluster;

  if (cluster.is_primary()) {
    constexpr std::size_t kPeek = 64;
    cluster.set_policy([](const cohort::Arrival& arrival) { return shard_of(arrival.head); },
                       kPeek);
    const unsigned count = flags.number("--workers", 3);
    for (unsigned i = 0; i < count; ++i) cluster.fork();
  } else {
    const std::string body = "worker " + std::to_string(cluster.worker().id()) + '\n';
    cohort::http::create_server(cluster, [body](const auto& /*req*/, auto& res) {
      res.set_header("Connection", "close");
      res.end(body);
    }).listen(flags.port(8000));
  }
  return cluster.run();
}
