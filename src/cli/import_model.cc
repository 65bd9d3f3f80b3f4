#include "cli/import_model.h"

#include <algorithm>

#include "cli/run_options.h"
#include "manager/runtime_directory.h"

namespace cohort::cli {
namespace {

bool is_taken(const Imported& all, const std::string& name) {
  return std::any_of(all.applications.begin(), all.applications.end(),
                     [&](const auto& application) { return application.name == name; });
}

// What the characters of a name are made into: `my shop` is `my-shop`.
std::string as_name(const std::string& wanted) {
  // Not as a path: `shop/api.v2` has no folder and no ending.
  std::string flat = wanted;
  std::replace(flat.begin(), flat.end(), '/', '-');
  return manager::name_of_program(flat.empty() ? flat : flat + ".x");
}

// Why cohort.toml would not take the value; nothing if it would.
std::optional<std::string> problem_with(std::string_view key, const std::string& value) {
  for (const RunOption& option : run_option_table()) {
    if (!option.in_config || key != option.name) continue;
    RunOptions scratch;
    return option.kind == RunOption::Kind::Flag ? std::nullopt : option.read(value, scratch);
  }
  return "is no key of cohort.toml";
}

}  // namespace

void ImportedApplication::remark(std::string what, std::string why) {
  remarks.push_back({std::move(what), std::move(why)});
}

void ImportedApplication::set(const std::string& field, ImportedSetting setting) {
  if (const auto problem = problem_with(setting.key, setting.value))
    return remark(field,
                  "left out: `" + setting.key + "` " + *problem + "; not `" + setting.value + '`');
  settings.push_back(std::move(setting));
}

void ImportedApplication::set_env(const std::string& variable, const std::string& value) {
  const bool possible = !variable.empty() &&
                        variable.find_first_of("=\0", 0, 2) == std::string::npos &&
                        value.find('\0') == std::string::npos;
  if (!possible) return remark("env", "`" + variable + "` left out: no process can have it");
  for (auto& [known, text] : env) {
    if (known != variable) continue;
    text = value;
    return;
  }
  env.emplace_back(variable, value);
}

std::string ImportedApplication::env_of(std::string_view variable) const {
  for (const auto& [known, text] : env)
    if (known == variable) return text;
  return {};
}

void Imported::add(ImportedApplication application, const std::string& wanted) {
  std::string name = manager::is_name(wanted) ? wanted : as_name(wanted);
  const std::string first = name;
  for (int number = 2; is_taken(*this, name); ++number)
    name = first.substr(0, 60) + '-' + std::to_string(number);
  if (name != wanted)
    application.remark("name", '`' + wanted + "` " +
                                   (first == wanted ? "is there already"
                                                    : "cannot be the name of an application") +
                                   ", so it is `" + name + '`');
  application.name = name;
  applications.push_back(std::move(application));
}

}  // namespace cohort::cli
