// `cohort restart`: the primary ends as `cohort stop` has it, and then runs its own command line
// again, in the same process. Whoever started it, a shell or systemd, sees one process.
#pragma once

#include <string>

#include "cli/options.h"
#include "cohort/error.h"

namespace cohort::cli {

/// Of this process, as it was started. Called first of all, once.
void remember_start();

/// An error says why not: systemd has given it its sockets, or would take it for one that ends.
Result<void> can_restart();

/// Runs the command line again, with the executable that is at its place by now. `application`: as
/// it runs; by the name that it has, whatever others are called meanwhile. Returns only if that
/// fails, and it is said why, or if somebody has asked for the end meanwhile: the exit code.
int start_again(const RunOptions& application, const std::string& name);

}  // namespace cohort::cli
