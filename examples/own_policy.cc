// A policy of one's own: requests for /shard/N go to the worker in slot N, which alone holds that
// shard, and so does whoever comes in its place; all others to whoever is free. Answers with the
// slot and the worker's id.
//
//   own_policy [--port N] [--workers N]
#include <cohort/cohort.h>

#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include "flags.h"

// The number in `GET /shard/2 HTTP/1.1`.
std::optional<std::size_t> shard_of(std::string_view request) {
  constexpr std::string_view kShard = "GET /shard/";
  if (!request.starts_with(kShard)) return std::nullopt;
  std::size_t shard = 0;
  const char* const end = request.data() + request.size();
  const auto parsed = std::from_chars(request.data() + kShard.size(), end, shard);
  return parsed.ec == std::errc{} ? std::optional{shard} : std::nullopt;
}

int main(int argc, char** argv) {
  const Flags flags{argc, argv};
  cohort::Cluster cluster;

  if (cluster.is_primary()) {
    constexpr std::size_t kPeek = 64;
    cluster.set_policy([](const cohort::Arrival& arrival) { return shard_of(arrival.head); },
                       kPeek);
    cluster.keep(flags.number("--workers", 3));
  } else {
    const cohort::Worker self = cluster.worker();
    const auto slot = self.slot();  // none under a primary of Node's
    const std::string body = "slot " + (slot ? std::to_string(*slot) : "none") + ", worker " +
                             std::to_string(self.id()) + '\n';
    cohort::http::create_server(cluster, [body](const auto& /*req*/, auto& res) {
      std::ignore = res.set_header("Connection", "close");
      res.end(body);
    }).listen(flags.port(8000));
  }
  return cluster.run();
}
