// From settings to a process: what a worker has that no other child has.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/loop.h"
#include "cohort/cluster.h"
#include "cohort/error.h"
#include "process/child_launch.h"

namespace cohort::cluster {

/// What is given in `changes` replaces what is in `settings`. Pure.
Settings merged(Settings settings, const Settings& changes);

/// With what a worker finds of its place: COHORT_SLOT, COHORT_GENERATION. Pure.
Environment with_seat(Environment env, std::size_t slot, int generation);

/// How a worker is spawned: a child with a channel, and the descriptors that `listening` has as 3,
/// 4... `env`: in its environment, before anything else.
struct WorkerLaunch {
  const Settings& settings;
  Environment env;
  int worker_id = 0;
  std::vector<int> listening{};
  /// The last lines of an inherited stderr are wanted: so many.
  std::size_t keep_stderr = 0;
  /// Its end of a channel that is there already.
  OwnFd channel{};
};

/// InvalidArgument for options that a worker cannot have. Pure, but for the look at whether stdin
/// is a terminal.
Result<SpawnOptions> worker_options(const WorkerLaunch& wanted);

/// Ready to be spawned, as `options` of the worker have it.
Result<process::ChildLaunch> prepare_launch(const Loop& loop, WorkerLaunch& wanted,
                                            const SpawnOptions& options);

}  // namespace cohort::cluster
