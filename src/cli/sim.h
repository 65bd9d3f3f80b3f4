// `cohort sim`: what the supervisor would do with workers that behave so. In virtual time: the
// shipped rules decide, and nothing is started.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "cli/options.h"

namespace cohort::cli {

/// Pure.
std::variant<SimOptions, Answer> parse_sim(const std::vector<std::string>& arguments);

/// A line for each thing that happens, and what it came to. Pure.
std::string timeline(const SimOptions& options);

/// Prints it. The exit code of the command.
int run(const SimOptions& options);

}  // namespace cohort::cli
