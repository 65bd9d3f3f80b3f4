#include "cluster/launch.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <utility>

#include "base/sys.h"
#include "process/program.h"

namespace cohort::cluster {
namespace {

// sd_listen_fds(3): the first one.
constexpr std::size_t kFirstListening = 3;

std::vector<std::string> own_arguments() {
  std::ifstream file{"/proc/self/cmdline", std::ios::binary};
  std::vector<std::string> arguments;
  for (std::string argument; std::getline(file, argument, '\0');) arguments.push_back(argument);
  if (!arguments.empty()) arguments.erase(arguments.begin());
  return arguments;
}

// Each member that is not as it is by default.
void merge(SpawnOptions& options, const SpawnOptions& changes) {
  static const SpawnOptions kDefault;
  const auto take = [&](auto SpawnOptions::* member) {
    if (changes.*member != kDefault.*member) options.*member = changes.*member;
  };
  take(&SpawnOptions::argv0);
  take(&SpawnOptions::cwd);
  take(&SpawnOptions::env);
  take(&SpawnOptions::add_env);
  if (changes.stdio.given()) options.stdio = changes.stdio;
  take(&SpawnOptions::shell);
  take(&SpawnOptions::detached);
  take(&SpawnOptions::uid);
  take(&SpawnOptions::gid);
  take(&SpawnOptions::groups);
  take(&SpawnOptions::timeout);
  take(&SpawnOptions::kill_signal);
  take(&SpawnOptions::max_buffer);
  take(&SpawnOptions::serialization);
  take(&SpawnOptions::message_size_max);
  take(&SpawnOptions::queue_size_max);
  take(&SpawnOptions::shared_memory_max);
  take(&SpawnOptions::stop);
  take(&SpawnOptions::input);
  take(&SpawnOptions::exec_path);
  take(&SpawnOptions::exec_args);
  take(&SpawnOptions::silent);
  take(&SpawnOptions::stderr_lines);
  take(&SpawnOptions::umask);
  take(&SpawnOptions::nice);
  if (!changes.limits.empty()) options.limits = changes.limits;
  take(&SpawnOptions::cpus);
  take(&SpawnOptions::no_new_privs);
  take(&SpawnOptions::process_group);
  take(&SpawnOptions::parent_death_signal);
  take(&SpawnOptions::memory_max);
  take(&SpawnOptions::memory_high);
  take(&SpawnOptions::cpu_max);
  take(&SpawnOptions::processes_max);
  take(&SpawnOptions::cgroup_parent);
}

std::vector<ChildStdio> stdio_of(const SpawnOptions& options) {
  std::vector<ChildStdio> entries = options.stdio.entries();
  // A terminal answers one program: who reads it takes the input of the shell, or of the primary.
  const bool no_input = entries.empty() && sys::is_terminal(STDIN_FILENO);
  if (entries.empty() && options.silent.value_or(false))
    entries = {Stdio::Inherit, Stdio::Pipe, Stdio::Pipe};
  while (entries.size() < kFirstListening) entries.emplace_back(Stdio::Inherit);
  if (no_input) entries[STDIN_FILENO] = Stdio::Ignore;
  return entries;
}

bool has_channel(const std::vector<ChildStdio>& entries) {
  return std::any_of(entries.begin(), entries.end(), [](const ChildStdio& entry) {
    return std::holds_alternative<Ipc>(entry.what());
  });
}

}  // namespace

Settings merged(Settings settings, const Settings& changes) {
  const auto take = [](auto& member, const auto& change) {
    if (change != std::remove_cvref_t<decltype(change)>{}) member = change;
  };
  take(settings.exec, changes.exec);
  if (changes.args.given()) settings.args = changes.args;
  merge(settings.spawn, changes.spawn);
  take(settings.listen, changes.listen);
  take(settings.stop_signal, changes.stop_signal);
  take(settings.preload, changes.preload);
  take(settings.node_preload, changes.node_preload);
  take(settings.quiet_debugger, changes.quiet_debugger);
  take(settings.ready, changes.ready);
  take(settings.watchdog, changes.watchdog);
  if (changes.check) settings.check = changes.check;
  return settings;
}

Environment with_seat(Environment env, std::size_t slot, int generation) {
  env.emplace_back("COHORT_SLOT", std::to_string(slot));
  env.emplace_back("NODE_APP_INSTANCE", std::to_string(slot));  // pm2's name
  env.emplace_back("COHORT_GENERATION", std::to_string(generation));
  return env;
}

Result<SpawnOptions> worker_options(const WorkerLaunch& wanted) {
  SpawnOptions options = wanted.settings.spawn;
  const auto refuse = [](const char* option, const char* why) {
    return make_error(Errc::InvalidArgument, std::string{"settings: "} + option, why);
  };
  if (options.detached) return refuse("detached", "a worker ends with its primary");
  if (options.parent_death_signal == 0)
    return refuse("parent_death_signal", "a worker ends with its primary");
  if (options.process_group) return refuse("process_group", "a worker leads a session of its own");
  // Only an interpreter has arguments of its own.
  if (wanted.settings.exec.empty()) options.exec_args.clear();

  std::vector<ChildStdio> entries = stdio_of(options);
  if (!wanted.listening.empty() && entries.size() > kFirstListening)
    return make_error(Errc::InvalidArgument, "listen",
                      "descriptor 3 is given by stdio, and is the first that listens");
  entries.insert(entries.end(), wanted.listening.begin(), wanted.listening.end());
  if (!has_channel(entries)) entries.emplace_back(Ipc{});
  options.stdio = std::move(entries);

  options.add_env.insert(options.add_env.end(), wanted.env.begin(), wanted.env.end());
  if (!wanted.listening.empty())
    options.add_env.emplace_back("LISTEN_FDS", std::to_string(wanted.listening.size()));
  options.add_env.emplace_back("NODE_UNIQUE_ID", std::to_string(wanted.worker_id));
  return options;
}

Result<process::ChildLaunch> prepare_launch(const Loop& loop, WorkerLaunch& wanted,
                                            const SpawnOptions& options) {
  const Settings& settings = wanted.settings;
  std::string program = settings.exec;
  if (program.empty()) {
    auto self = process::running_program();
    if (!self) return self.error();
    program = *self;
  }
  // The user's wish for an exit record's lines goes before ours.
  SpawnOptions with_tail = options;
  auto wish = process::StderrWish::LastLines;
  if (options.stderr_lines == 0 && wanted.keep_stderr > 0) {
    with_tail.stderr_lines = wanted.keep_stderr;
    wish = process::StderrWish::AsItIs;
  }
  process::ChildLaunch launch;
  launch.childs_channel = std::move(wanted.channel);
  const auto prepared = process::prepare(
      loop, process::LaunchKind::Fork, program,
      settings.args.given() ? settings.args.list() : own_arguments(), with_tail, launch, wish);
  if (!prepared) return prepared.error();
  launch.request.new_session = true;
  if (!wanted.listening.empty()) launch.request.pid_variable = "LISTEN_PID";
  return launch;
}

}  // namespace cohort::cluster
