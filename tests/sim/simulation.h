// A seeded simulation of whole clusters: the pure core drives a model primary and virtual processes
// in virtual time, in a random order of events, until a given number of steps is used up. The same
// seed replays the same run.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "sim/coverage.h"

namespace cohort::cluster::sim {

struct Outcome {
  std::string violation;  ///< The broken invariant; empty if all held.
  int step = 0;           ///< Where it broke.
  std::deque<std::string> last_events;
  Coverage coverage;
};

Outcome simulate(std::uint64_t seed, int steps);

}  // namespace cohort::cluster::sim
