// A process and all that descends from it.
//
// Linux has no call for it. Each process found is stopped before its children are read, so that it
// can start no more and reap none: the number of a child of a stopped process stays that child's.
// From any thread; blocks for some microseconds per process.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <set>
#include <vector>

namespace cohort::process {

/// The direct children of a process, from /proc. Empty if it is gone.
std::vector<pid_t> children_of(pid_t pid);

/// Sends the signal to `root`, which is a child of this process that was not reaped, and to all its
/// descendants; whoever is not to be killed goes on afterwards. How many got it. Those in `reached`
/// do not get it; those who do are added.
std::size_t signal_tree(pid_t root, int signal_number, std::set<pid_t>* reached = nullptr);

}  // namespace cohort::process
