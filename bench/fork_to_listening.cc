// fork_to_listening PORT ROUNDS: milliseconds from Cluster::fork to the listening event, a line
// each.
#include <cohort/cohort.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <iostream>
#include <string>

int main(int argc, char** argv) {
  if (argc < 3) return 100;
  using Clock = std::chrono::steady_clock;
  cohort::Cluster cluster;
  if (cluster.is_worker()) {
    cohort::http::create_server(cluster, [](const auto&, auto& res) {
      res.end();
    }).listen(static_cast<std::uint16_t>(std::stoi(argv[1])));
    return cluster.run();
  }
  int left = std::stoi(argv[2]);
  std::function<void()> round = [&] {
    if (left-- == 0) return;
    const auto begin = Clock::now();
    cohort::Worker worker = cluster.fork();
    worker.on_listening([worker, begin](const cohort::Address&) {
      const std::chrono::duration<double, std::milli> took = Clock::now() - begin;
      std::cout << took.count() << '\n';
      worker.kill(SIGKILL);
    });
    worker.on_exit([&](const cohort::Exit&) { round(); });
  };
  round();
  return cluster.run();
}
