// `cohort import`: a cohort.toml from a pm2 ecosystem file or a Procfile.
//
// Reads the file (one in JavaScript by starting node, which runs it: some 50 ms, blocking), and
// prints or writes the result. What becomes of what is pure: import_ecosystem.h, import_procfile.h,
// import_toml.h.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "cli/options.h"

namespace cohort::cli {

/// What follows `cohort import`. Pure.
std::variant<ImportOptions, Answer> parse_import(const std::vector<std::string>& arguments);

/// The exit code of the command.
int run(const ImportOptions& options);

}  // namespace cohort::cli
