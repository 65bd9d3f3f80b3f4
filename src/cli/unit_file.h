// `cohort systemd`: the unit file of a service that runs what `cohort run` would run here.
//
// Type=notify: docs/operating.md says what systemd is told. `unit_text` is pure; `run` asks where
// and who this process is, and prints.
#pragma once

#include <string>
#include <string_view>

#include "cli/options.h"

namespace cohort::cli {

/// What follows `cohort systemd`. Pure.
std::variant<UnitOptions, Answer> parse_unit(std::vector<std::string> words);

/// Where the command was typed, and by whom.
struct UnitPlace {
  std::string cohort;     ///< The executable, absolute.
  std::string directory;  ///< Through links.
  std::string path;       ///< PATH.
  unsigned uid = 0;
  std::string user;
};

std::string unit_text(const UnitOptions& options, const std::string& name, const UnitPlace& place);

/// A word as systemd.syntax(7) wants it: quoted where needed; `%` and `\` stand for themselves.
std::string unit_word(std::string_view word);
/// The same on a command line, where `$` stands for itself, too: systemd.service(5).
std::string unit_argument(std::string_view word);

/// The exit code of the command.
int run(UnitOptions options);

}  // namespace cohort::cli
