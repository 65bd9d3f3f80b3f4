// A cgroup (v2) for each worker, with the limits of --max-memory: the kernel's are faster than a
// look every 2 s (manager/recycle_rule.h), and it kills that worker, not whom it likes.
//
// Owned by the Runner; the loop's thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cli/options.h"
#include "cohort/child_process.h"
#include "process/cgroup_home.h"

namespace cohort::cli {

/// What the kernel is told of each worker. Pure. `--max-memory SOFT,HARD`: `memory.max` is HARD.
/// There is no `memory.high` below it: from there on a worker hardly runs any more (tried: it did
/// not get through the last 3 % within 25 s), and its clients wait for what dies all the same. SOFT
/// alone: nobody may kill it, and `memory.high` stops its growth at twice SOFT. It is not SOFT, for
/// the worker has to serve until its successor does.
process::CgroupLimits memory_limits(const RunOptions& options);

class MemoryGroups {
 public:
  explicit MemoryGroups(process::CgroupFiles& files = process::CgroupFiles::system());

  /// Adds those limits, and the place of the groups, to how workers start. First before there are
  /// any: workers without groups are in the way of groups. Where that cannot be it changes nothing;
  /// why so, in half a sentence, once.
  std::optional<std::string> limit(const RunOptions& options, SpawnOptions& spawn);
  /// A worker is gone: nobody may be in its group any more.
  void sweep();
  /// This process goes back to its own group.
  void end() { home_.reset(); }

 private:
  Result<void> begin(const process::CgroupLimits& limits);

  process::CgroupFiles& files_;
  std::unique_ptr<process::CgroupHome> home_;
  bool begun_ = false;  ///< There may be workers.
  bool told_ = false;   ///< Why there are no groups.
};

}  // namespace cohort::cli
