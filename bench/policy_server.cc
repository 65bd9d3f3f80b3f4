// policy_server PORT WORKERS: an HTTP server that answers with the worker's pid, and /block/MS
// after MS milliseconds in which the worker does nothing else. bench/node/policy_server.js is the
// same in Node. NODE_CLUSTER_SCHED_POLICY names the policy.
#include <cohort/cohort.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <string>

int main(int argc, char** argv) {
  if (argc != 3) return 100;
  cohort::Cluster cluster;
  if (cluster.is_primary()) {
    cluster.keep(static_cast<unsigned>(std::atoi(argv[2])));
    return cluster.run();
  }
  const std::string body = std::to_string(getpid()) + '\n';
  cohort::http::create_server(cluster, [&body](const auto& req, auto& res) {
    constexpr std::string_view kBlock = "/block/";
    if (req.url().starts_with(kBlock)) {
      using Clock = std::chrono::steady_clock;
      const std::string ms{req.url().substr(kBlock.size())};
      const auto end = Clock::now() + std::chrono::milliseconds{std::atoi(ms.c_str())};
      while (Clock::now() < end) continue;
    }
    res.end(body);
  }).listen(static_cast<std::uint16_t>(std::atoi(argv[1])));
  return cluster.run();
}
