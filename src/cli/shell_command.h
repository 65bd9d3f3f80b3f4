// Commands as people write them for a shell, as the words of a program. Nothing is expanded: what
// needs a shell is left to one. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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

/// `A=1`.
bool is_assignment(std::string_view word);

}  // namespace cohort::cli
