#include "cli/program_now.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include "cli/config_file.h"
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
  if (options.env.empty() && options.config.empty() && !options.env_only && users.empty())
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
  auto found = options.interpreter.empty()
                   ? program_of(options.program)
                   : program_under(options.interpreter, options.interpreter_args, options.program);
  if (auto* problem = std::get_if<CannotRun>(&found)) return std::move(*problem);
  const auto& program = std::get<process::Program>(found);
  std::vector<std::string> args = program.leading_args;
  args.insert(args.end(), options.args.begin(), options.args.end());
  SpawnOptions spawn{.cwd = here.string()};
  if (const auto added = add_privileges(options, spawn); !added)
    return CannotRun{added.error().detail};
  return ProgramNow{
      .settings = {.exec = program.file,
                   .args = std::move(args),
                   .spawn = std::move(spawn),
                   .listen = options.listen,
                   .stop_signal = stop_signal_of(options),
                   .preload = options.preload,
                   .ready = options.ready,
                   .check = check_of(options),
                   .watchdog = std::min(options.kill_hung.value_or(kNoWatchdog), kWatchdogMax)},
      .directory = here.string(),
      .options = options};
}

}  // namespace cohort::cli
