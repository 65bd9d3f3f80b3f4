// Commands as people write them for a shell, as the words of a program: of a Procfile, and of an
// ecosystem file. Nothing is expanded: what needs a shell is left to one. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/import_model.h"

namespace cohort::cli {

/// Split at blanks, but not within quotes, which are taken away. Nothing: a quote has no end.
std::optional<std::vector<std::string>> quoted_words(std::string_view text);

struct ShellCommand {
  std::vector<std::pair<std::string, std::string>> env{};  ///< `A=1 B=2` before the program.
  /// The program and its arguments, or `sh -c ...`. Empty: there is no program.
  std::vector<std::string> words{};
  std::string needs_shell{};  ///< What only a shell understands: `&&`, `$PORT`... Empty: nothing.
};
/// One that only a shell understands is `sh -c "exec ..."` if it is but one program: then that
/// program is the worker. Else the shell is, and the program a process of its own below it.
ShellCommand read_shell_command(std::string_view text);

/// Makes it what the application runs; `field` is where it came from. False: there is no program.
bool set_command(ImportedApplication& application, const std::string& field, std::string_view text);

/// Makes these words what the application runs: `node server.js` is `server.js`. Not empty.
void set_words(ImportedApplication& application, const std::string& field,
               std::vector<std::string> words);

}  // namespace cohort::cli
