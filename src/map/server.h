// `cohort map --serve`: programs that live on and answer line by line.
#pragma once

#include "cohort/error.h"
#include "map/map_options.h"
#include "map/runner.h"

namespace cohort::map {

/// As `run_jobs`. The exit code: how many lines failed, 101 for more than 100. Errors besides: the
/// program ends again and again before it answers anything.
Result<int> serve_lines(const MapOptions& options, const RunnerVoice& voice);

}  // namespace cohort::map
