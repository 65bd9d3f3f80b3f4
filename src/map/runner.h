// Runs a command for each job, so many at once, and prints what they write.
#pragma once

#include <functional>

#include "cohort/error.h"
#include "map/map_options.h"
#include "map/progress_line.h"

namespace cohort::map {

/// How it talks to a person.
struct RunnerVoice {
  /// Something went wrong that is not the end of it all.
  std::function<void(const std::string& text)> say{};
  std::function<void(const MapProgress&)> show{};
  /// Before anything else is written to the terminal.
  std::function<void()> clear{};
};

/// Blocks until all is done, on a loop of its own. SIGINT and SIGTERM: once, what runs may finish;
/// twice, it is ended; a third time, killed. The exit code: JobBook's; 128 and the signal's number
/// after a signal. Errors: it could not begin, or not go on.
Result<int> run_jobs(const MapOptions& options, const RunnerVoice& voice);

}  // namespace cohort::map
