// `cohort run` without a program: every application of cohort.toml in the foreground, each a
// `cohort run` of its own, whose lines are prefixed by its name.
#pragma once

#include <variant>
#include <vector>

#include "cli/config_file.h"
#include "cli/options.h"

namespace cohort::cli {

/// Those that are meant, of `config` and `only`; there is at least one.
std::variant<std::vector<RunOptions>, ConfigProblem> configured(const RunOptions& options);

/// Of `options`, `config` and `only` count. The exit code of the command: 0, or that of the first
/// application that did not end well. Only one application is run by this process itself.
int run_all(const RunOptions& options);

}  // namespace cohort::cli
