// `cohort start`: what `cohort run` does, in the background. Returns when the workers serve, or
// says why they do not.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "cli/options.h"

namespace cohort::cli {

/// What follows `cohort start`. Pure.
std::variant<StartOptions, Answer> parse_start(const std::vector<std::string>& arguments);

/// Does it. The exit code of the command.
int start(const StartOptions& options);

}  // namespace cohort::cli
