// The Exit of a process that has ended.
#pragma once

#include <sys/resource.h>

#include <csignal>
#include <optional>

#include "cohort/exit.h"

namespace cohort::process {

/// What `waitid` and its resource usage say. Pure.
Exit to_exit(const siginfo_t& info, const rusage& usage);

/// Reaps this one child if it has ended; none while it runs. Does not block. If its status was
/// taken by somebody else, the Exit's code is `Exit::kUnknownCode`. Afterwards the pid belongs to
/// nobody: the caller drops the pidfd at once.
std::optional<Exit> try_reap(int pidfd);

}  // namespace cohort::process
