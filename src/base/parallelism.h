// The halves of `available_parallelism()`: the quota of the cgroup, and the affinity.
#pragma once

#include <optional>

#include "base/cgroups.h"

namespace cohort {

/// The CPU quota in whole CPUs, rounded up: the smallest of this process's cgroup and those above,
/// in the unified hierarchy (`cpu.max`) and in the old one (`cpu.cfs_quota_us`). None: no limit.
/// Pure.
std::optional<unsigned> cgroup_cpu_limit(const ReadFile& read);

/// CPUs that this process may run on, at least 1. Not pure.
unsigned cpus_allowed();

}  // namespace cohort
