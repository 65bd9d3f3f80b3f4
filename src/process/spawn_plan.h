// From a request to what the child's half of it needs (spawn_child.h), and from what failed there
// to words.
//
// Any thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cohort/error.h"
#include "cohort/fd.h"
#include "process/spawn.h"
#include "process/spawn_child.h"

namespace cohort::process {

/// Where a child finds the number of its lifeline.
inline constexpr const char* kLifelineVariable = "COHORT_LIFELINE_FD";
/// Descriptors below are the standard ones.
inline constexpr int kFirstFreeDescriptor = 3;

/// Memory that outlives the child's way to exec. Refers to the request.
struct PreparedSpawn {
  ChildPlan plan;
  OwnFd lifeline_write;
  std::vector<char*> env;
  std::vector<std::string> files;

  // What those point to.
  std::vector<int> sources;
  OwnFd null_device;
  OwnFd lifeline_read;
  std::string lifeline_variable;
  std::string pid_variable;
  std::vector<char*> file_pointers;
  std::vector<char*> argv;
  std::vector<char*> shell_argv;
  std::vector<unsigned long> cpus;
  int priority = 0;
};

/// As `spawn` has errors.
Result<std::unique_ptr<PreparedSpawn>> prepare_spawn(const SpawnRequest& request);

/// There is no child.
Error no_child(const SpawnRequest& request, int errno_value);
/// It failed as `plan` says.
Error child_failure(const SpawnRequest& request, const std::vector<std::string>& files,
                    const ChildPlan& plan);

}  // namespace cohort::process
