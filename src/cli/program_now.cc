#include "cli/program_now.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/read_file.h"
#include "cli/config_file.h"
#include "cli/direct_command.h"
#include "cli/names.h"
#include "cohort/check.h"
#include "process/child_channel.h"
#include "process/identity.h"

namespace cohort::cli {

namespace fs = std::filesystem;

const fs::path& way_here() {
  static const fs::path way = [] {
    std::error_code error;
    const char* pwd = std::getenv("PWD");
    const bool is_here =
        pwd != nullptr && fs::path{pwd}.is_absolute() && fs::equivalent(pwd, ".", error) && !error;
    return is_here ? fs::path{pwd} : fs::current_path(error);
  }();
  return way;
}

namespace {

// No more than this, so that another --kill-hung of a reload suits those who live already.
constexpr std::chrono::milliseconds kWatchdogMax{10'000};
constexpr std::chrono::milliseconds kNoWatchdog{0};

bool is_inherited(const RunOptions& options, std::string_view name) {
  const auto& only = options.env_only;
  return !only || std::find(only->begin(), only->end(), name) != only->end();
}

// This process's, those of the user, and those of the application: the last one counts. As a whole,
// so that one that is gone from cohort.toml is gone from the next generation.
std::optional<Environment> environment_of(const RunOptions& options, const Environment& users) {
  if (options.env.empty() && options.config.empty() && !options.env_only && users.empty() &&
      !is_runner(options.program))
    return std::nullopt;
  Environment all;
  for (const std::string& entry : process::inherited_variables(::environ)) {
    const std::string name = entry.substr(0, entry.find('='));
    if (is_inherited(options, name)) all.emplace_back(name, entry.substr(name.size() + 1));
  }
  all.insert(all.end(), users.begin(), users.end());
  all.insert(all.end(), options.env.begin(), options.env.end());
  return all;
}

// Whose the workers are, and what they may; one that is not given any more counts no more.
Result<void> add_privileges(const RunOptions& options, SpawnOptions& spawn) {
  if (options.no_new_privs || !options.config.empty()) spawn.no_new_privs = options.no_new_privs;
  Environment users;
  if (!options.user.empty() || !options.group.empty()) {
    const auto who = process::identity_of(options.user, options.group);
    if (!who) return who.error();
    if (const auto taken = process::take_identity(*who, spawn); !taken) return taken.error();
    users = who->variables;
  }
  spawn.env = environment_of(options, users);
  return {};
}

// One that is gone from cohort.toml counts no more.
std::optional<Check> check_of(const RunOptions& options) {
  if (options.check.empty()) return options.config.empty() ? std::nullopt : std::optional{Check{}};
  return http_check(options.check);
}

// A signal that is gone from cohort.toml counts no more.
std::optional<int> stop_signal_of(const RunOptions& options) {
  if (options.config.empty()) return options.stop_signal;
  return options.stop_signal.value_or(SIGTERM);
}

std::optional<DirectCommand> direct_of(const RunOptions& options, const fs::path& directory) {
  if (!options.interpreter.empty()) return std::nullopt;
  return direct_command(
      words_of(options),
      {.directory = directory,
       .read = read_file,
       .installed = [&](const std::string& name) -> std::optional<std::string> {
         const auto path = in_node_modules(directory, name);
         return path ? std::optional{path->string()} : std::nullopt;
       },
       .options_of_tsx = [](const std::string& tsx) { return options_of_tsx(tsx); }});
}

// With the variables that the script would have.
RunOptions directly(const RunOptions& options, const DirectCommand& direct,
                    const fs::path& directory) {
  RunOptions run = options;
  run.program = direct.words.front();
  run.args.assign(direct.words.begin() + 1, direct.words.end());
  run.env.insert(direct.npm.begin(), direct.npm.end());
  for (const auto& [name, value] : direct.env) run.env[name] = value;
  if (!direct.finds_installed || direct.env.contains("PATH")) return run;
  const char* inherited = is_inherited(options, "PATH") ? std::getenv("PATH") : nullptr;
  const auto given = run.env.find("PATH");
  if (given != run.env.end() || inherited != nullptr)
    run.env["PATH"] = (directory / "node_modules" / ".bin").string() + ':' +
                      (given != run.env.end() ? given->second : inherited);
  return run;
}

}  // namespace

std::variant<RunOptions, CannotRun> options_now(const RunOptions& options) {
  if (options.config.empty()) return options;
  auto read = read_application(options.config, options.name);
  if (auto* problem = std::get_if<ConfigProblem>(&read)) return CannotRun{std::move(problem->text)};
  return std::get<RunOptions>(std::move(read));
}

std::variant<ProgramNow, CannotRun> program_now(const RunOptions& options) {
  std::error_code error;
  fs::path here;
  const fs::path wanted = way_here() / options.cwd;
  if (!wanted.empty()) {  // else it was removed under us
    here = fs::canonical(wanted, error);
    // Relative names are looked up there, too.
    if (!error) fs::current_path(here, error);
    if (error) return CannotRun{wanted.string() + ": " + error.message()};
  }
  const auto direct = direct_of(options, here);
  const RunOptions run = direct ? directly(options, *direct, here) : options;
  auto found = run.interpreter.empty()
                   ? program_of(run.program)
                   : program_under(run.interpreter, run.interpreter_args, run.program);
  if (auto* problem = std::get_if<CannotRun>(&found)) return std::move(*problem);
  const auto& program = std::get<process::Program>(found);
  std::vector<std::string> args = program.leading_args;
  args.insert(args.end(), run.args.begin(), run.args.end());
  SpawnOptions spawn{.cwd = here.string()};
  if (const auto added = add_privileges(run, spawn); !added) return CannotRun{added.error().detail};
  return ProgramNow{
      .settings = {.exec = program.file,
                   .args = std::move(args),
                   .spawn = std::move(spawn),
                   .listen = options.listen,
                   .stop_signal = stop_signal_of(options),
                   .node_preload = options.preload,
                   .quiet_debugger = options.js_stack,
                   .ready = options.ready,
                   .check = check_of(options),
                   .watchdog = std::min(options.kill_hung.value_or(kNoWatchdog), kWatchdogMax)},
      .directory = here.string(),
      .direct = direct ? direct->words : std::vector<std::string>{},
      .options = options};
}

}  // namespace cohort::cli
