// `cohort verify-reload`: drives load through reloads of an application, and says what was lost.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "cli/options.h"

namespace cohort::cli {

/// Pure.
std::variant<VerifyOptions, Answer> parse_verify(const std::vector<std::string>& arguments);

/// Does it, on a loop of its own. The exit code of the command.
int run(const VerifyOptions& options);

}  // namespace cohort::cli
