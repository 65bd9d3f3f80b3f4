// cohort.toml: the applications of a folder, each a table with the options of `cohort run`
// (docs/cohort-toml.md).
//
//   [shop]
//   program = "server.js"
//   workers = 4
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cli/options.h"

namespace cohort::cli {

/// What is wrong with a file, where, and what to do: for people, without a newline at the end.
struct ConfigProblem {
  std::string text;
};

/// In the order of the file. Each has a name and a program; `cwd` is absolute, and the folder of
/// the file by itself. `path` is absolute. Pure.
std::variant<std::vector<RunOptions>, ConfigProblem> parse_config(std::string_view text,
                                                                  const std::string& path);

/// As the file is now. Without `path`: cohort.toml of this folder.
std::variant<std::vector<RunOptions>, ConfigProblem> read_config_file(const std::string& path = {});

/// The one application of the file that has the name.
std::variant<RunOptions, ConfigProblem> read_application(const std::string& path,
                                                         const std::string& name);

}  // namespace cohort::cli
