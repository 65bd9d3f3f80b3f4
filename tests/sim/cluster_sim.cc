// cluster_sim [--seed N] [--steps M] [--runs R] [--only 3,17,40] [--shrink K]: the
// simulation for the command line. Seeds N, N+1, ... are run. The first that breaks an invariant is
// shrunk to the steps that matter, and printed as a timeline; it replays with --seed and --only.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "sim/shrink.h"
#include "sim/simulation.h"

namespace {

using cohort::cluster::sim::Outcome;
using cohort::cluster::sim::Schedule;

// All steps but these.
std::vector<bool> skipped_but(const std::string& steps, int count) {
  std::vector<bool> skipped(static_cast<std::size_t>(count) + 1, true);
  std::istringstream words{steps};
  for (std::string word; std::getline(words, word, ',');) {
    const auto step = std::strtoull(word.c_str(), nullptr, 10);
    if (step < skipped.size()) skipped[step] = false;
  }
  return skipped;
}

void print(const Schedule& schedule, const Outcome& outcome) {
  std::string only;
  for (std::size_t step = 1; step < schedule.skipped.size(); ++step)
    if (!schedule.skipped[step]) only += (only.empty() ? "" : ",") + std::to_string(step);
  for (const auto& event : outcome.last_events) std::cerr << event << '\n';
  std::cerr << "violated: " << outcome.violation << "\nstep " << outcome.step << ", --seed "
            << schedule.seed << " --steps " << schedule.steps;
  if (!schedule.skipped.empty()) std::cerr << " --only " << (only.empty() ? "0" : only);
  std::cerr << '\n';
}

Schedule shrunk(Schedule schedule, int failed_at, int runs) {
  // What comes behind the steps is not skipped, but has chances of its own.
  schedule.skipped = cohort::cluster::sim::shrink(
      std::min(schedule.steps, failed_at),
      [&schedule](const std::vector<bool>& skipped) {
        schedule.skipped = skipped;
        return simulate(schedule).violation;
      },
      runs);
  schedule.all_events = true;
  return schedule;
}

}  // namespace

int main(int argc, char** argv) {
  Schedule schedule;
  std::uint64_t runs = 1;
  std::string only;
  int shrinking_runs = 2000;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view flag = argv[i];
    const std::uint64_t value = std::strtoull(argv[i + 1], nullptr, 10);
    if (flag == "--seed")
      schedule.seed = value;
    else if (flag == "--steps")
      schedule.steps = static_cast<int>(value);
    else if (flag == "--runs")
      runs = value;
    else if (flag == "--only")
      only = argv[i + 1];
    else if (flag == "--shrink")
      shrinking_runs = static_cast<int>(value);
    else
      return std::cerr << "usage: cluster_sim [--seed N] [--steps M] [--runs R] [--only 3,17,40] "
                          "[--shrink K]\n",
             100;
  }
  if (!only.empty()) schedule.skipped = skipped_but(only, schedule.steps);
  for (const std::uint64_t last = schedule.seed + runs; schedule.seed < last; ++schedule.seed) {
    const Outcome outcome = simulate(schedule);
    if (outcome.violation.empty()) continue;
    print(schedule, outcome);
    if (!only.empty() || shrinking_runs == 0) return 1;
    std::cerr << "\nThe same with the steps that matter:\n";
    const Schedule fewer = shrunk(schedule, outcome.step, shrinking_runs);
    print(fewer, simulate(fewer));
    return 1;
  }
}
