#include "cli/import_command.h"

#include "cli/direct_command.h"
#include "cli/program_of.h"
#include "cli/shell_command.h"

namespace cohort::cli {
namespace {

bool is_javascript(const std::string& word) {
  return !word.starts_with('-') && language_of(word) == Language::JavaScript;
}

}  // namespace

void set_words(ImportedApplication& application, const std::string& field,
               std::vector<std::string> words) {
  if (words.size() > 1 && words[0] == "node" && is_javascript(words[1])) words.erase(words.begin());
  application.program = words.front();
  application.args.assign(words.begin() + 1, words.end());
  if (is_runner(application.program))
    application.remark(field,
                       '`' + application.program +
                           "` starts the server as a process of its own, which is no worker, "
                           "where cohort cannot start that directly: `cohort run --dry-run` shows "
                           "it (docs/cohort-run.md)");
}

bool set_command(ImportedApplication& application, const std::string& field,
                 std::string_view text) {
  ShellCommand command = read_shell_command(text);
  if (command.words.empty()) return false;
  for (const auto& [name, value] : command.env) application.set_env(name, value);
  const bool by_shell = !command.needs_shell.empty();
  const bool becomes_it = by_shell && command.words.back().starts_with("exec ");
  if (by_shell)
    application.remark(
        field, "run through `sh -c`, for `" + command.needs_shell + '`' +
                   (becomes_it ? ""
                               : "; if the shell stays, the server is a process of its own and no "
                                 "worker: `workers = 1`, or name the program itself"));
  set_words(application, field, std::move(command.words));
  return true;
}

}  // namespace cohort::cli
