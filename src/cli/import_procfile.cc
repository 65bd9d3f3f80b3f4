#include "cli/import_procfile.h"

#include <algorithm>
#include <string>

#include "cli/import_command.h"

namespace cohort::cli {
namespace {

std::string_view without_blanks(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  text.remove_prefix(std::min(text.find_first_not_of(kBlank), text.size()));
  return text.substr(0, text.find_last_not_of(kBlank) + 1);
}

bool is_process_type(std::string_view name) {
  return !name.empty() &&
         name.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == name.npos;
}

void take_process(Imported& all, const std::string& name, std::string_view command) {
  if (name == "release")
    return all.remarks.push_back(
        {"release",
         "left out: cohort runs what stays. Run it when you deploy, before `cohort "
         "reload`: " +
             std::string{command}});
  ImportedApplication application;
  if (!set_command(application, name, command))
    return all.remarks.push_back(
        {name, "left out: there is no program in `" + std::string{command} + '`'});
  application.set(name, {.key = "workers", .value = "1"});
  const bool uses_port =
      command.find("$PORT") != command.npos || command.find("${PORT") != command.npos;
  if (uses_port)
    application.remark("PORT",
                       "nobody sets it here: add env = {PORT = 3000}, or start cohort with "
                       "it");
  else if (name == "web" && application.env_of("PORT").empty())
    application.remark("PORT", "nobody sets it here, if the program reads it: env = {PORT = 3000}");
  if (name == "web")
    application.remark("workers",
                       "1, as a Procfile has one of each; a program of Node can have "
                       "`workers = \"auto\"`");
  all.add(std::move(application), name);
}

}  // namespace

Imported import_procfile(std::string_view text, bool has_dot_env) {
  Imported all;
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = without_blanks(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    const std::size_t colon = line.find(':');
    const std::string_view name = without_blanks(line.substr(0, colon));
    if (colon == line.npos || !is_process_type(name))
      all.remarks.push_back({"line " + std::to_string(number),
                             "left out: it is not `name: command`: " + std::string{line}});
    else
      take_process(all, std::string{name}, without_blanks(line.substr(colon + 1)));
  }
  if (has_dot_env)
    all.remarks.push_back(
        {".env", "not read: put its variables into `env`, or `set -a; . ./.env` before cohort"});
  return all;
}

}  // namespace cohort::cli
