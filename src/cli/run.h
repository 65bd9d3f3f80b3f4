// `cohort run`: the effects around the pure parts, on the public API alone. One Runner, made by
// main; everything runs on the cluster's loop.
#pragma once

#include <string>

#include "cli/options.h"

namespace cohort::cli {

/// Runs workers of `options.program` until a signal or a failure that trying again would not mend
/// ends it. The exit code of the command. Call it once per process.
int run(const RunOptions& options);

}  // namespace cohort::cli
