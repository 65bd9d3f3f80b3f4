// `cohort map`: a command for each line, over all CPUs.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "cli/options.h"

namespace cohort::cli {

/// Pure, but for what depends on the terminal: `is_terminal` tells of a descriptor.
std::variant<MapOptions, Answer> parse_map(const std::vector<std::string>& arguments,
                                           bool (*is_terminal)(int fd));

/// Does it. The exit code of the command.
int run(const MapOptions& options);

}  // namespace cohort::cli
