// How many workers make sense here.
#pragma once

namespace cohort {

/// The CPUs that this process may use: those it may run on (affinity), limited by the CPU quota of
/// its cgroup and of those above, rounded up; at least 1. Containers limit with the quota, so
/// `std::thread::hardware_concurrency()` is too many there. Node: `os.availableParallelism()`.
/// Reads a few small files on each call; from any thread.
unsigned available_parallelism();

}  // namespace cohort
