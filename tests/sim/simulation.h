// A seeded simulation of whole clusters: the pure core drives a model primary and virtual processes
// in virtual time, in a random order of events, until a given number of steps is used up. The same
// seed replays the same run. Each step has chances of its own, so that a run without some of its
// steps is like it otherwise: a failing one is shrunk to the steps that matter (shrink.h).
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "sim/coverage.h"

namespace cohort::cluster::sim {

struct Outcome {
  std::string violation;  ///< The broken invariant; empty if all held.
  int step = 0;           ///< Where it broke.
  std::deque<std::string> last_events;
  Coverage coverage;
};

/// In `skipped` steps, counted from 1, nothing happens. With `all_events` none is dropped of
/// Outcome::last_events.
struct Schedule {
  std::uint64_t seed = 1;
  int steps = 20000;
  std::vector<bool> skipped{};
  bool all_events = false;
};
Outcome simulate(const Schedule& schedule);

}  // namespace cohort::cluster::sim
