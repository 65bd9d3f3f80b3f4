// cluster_sim [--seed N] [--steps M] [--runs R]: the simulation for the command line. Seeds N, N+1,
// ... are run; the first that breaks an invariant is printed with what led to it, and replays with
// --seed.
#include <cstdlib>
#include <iostream>
#include <string_view>

#include "sim/simulation.h"

int main(int argc, char** argv) {
  std::uint64_t seed = 1;
  std::uint64_t runs = 1;
  int steps = 20000;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view flag = argv[i];
    const std::uint64_t value = std::strtoull(argv[i + 1], nullptr, 10);
    if (flag == "--seed")
      seed = value;
    else if (flag == "--steps")
      steps = static_cast<int>(value);
    else if (flag == "--runs")
      runs = value;
    else
      return std::cerr << "usage: cluster_sim [--seed N] [--steps M] [--runs R]\n", 100;
  }
  for (const std::uint64_t last = seed + runs; seed < last; ++seed) {
    const auto outcome = cohort::cluster::sim::simulate(seed, steps);
    if (outcome.violation.empty()) continue;
    for (const auto& event : outcome.last_events) std::cerr << event << '\n';
    std::cerr << "violated: " << outcome.violation << "\nstep " << outcome.step << ", --seed "
              << seed << " --steps " << steps << '\n';
    return 1;
  }
}
