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

// This process's, and those of the application. As a whole, so that one that is gone from
// cohort.toml is gone from the next generation.
std::optional<Environment> environment_of(const RunOptions& options) {
  if (options.env.empty() && options.config.empty()) return std::nullopt;
  Environment all;
  for (char** entry = ::environ; *entry != nullptr; ++entry) {
    const std::string_view variable = *entry;
    const auto equals = std::min(variable.find('='), variable.size());
    all.emplace_back(variable.substr(0, equals),
                     variable.substr(std::min(equals + 1, variable.size())));
  }
  all.insert(all.end(), options.env.begin(), options.env.end());
  return all;
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
  auto found = program_of(options.program);
  if (auto* problem = std::get_if<CannotRun>(&found)) return std::move(*problem);
  const auto& program = std::get<process::Program>(found);
  std::vector<std::string> args = program.leading_args;
  args.insert(args.end(), options.args.begin(), options.args.end());
  return ProgramNow{.settings = {.exec = program.file,
                                 .args = std::move(args),
                                 .spawn = {.cwd = here.string(), .env = environment_of(options)},
                                 .listen = options.listen,
                                 .stop_signal = stop_signal_of(options),
                                 .preload = options.preload},
                    .directory = here.string(),
                    .options = options};
}

}  // namespace cohort::cli
