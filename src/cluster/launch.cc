#include "cluster/launch.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "base/sys.h"
#include "process/child_channel.h"
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

Result<void> add_program(const Settings& settings, process::SpawnRequest& request) {
  const bool self = settings.exec.empty();
  const std::vector<std::string> args =
      settings.args.given() ? settings.args.list() : own_arguments();
  if (self) {
    auto file = process::running_program();
    if (!file) return file.error();
    request.file = *file;
    request.argv = {*file};
  } else {
    auto program = process::resolve_program(settings.exec);
    if (!settings.exec_path.empty()) {
      // The interpreter runs the file, whatever it is; a name that is not found is its own to
      // explain.
      const std::string script =
          program ? (program->leading_args.empty() ? program->file : program->leading_args[0])
                  : settings.exec;
      program = process::resolve_program(settings.exec_path);
      if (program) program->leading_args = {script};
    }
    if (!program) return program.error();
    request.file = program->file;
    request.argv = {program->file};
    request.argv.insert(request.argv.end(), settings.exec_args.begin(), settings.exec_args.end());
    request.argv.insert(request.argv.end(), program->leading_args.begin(),
                        program->leading_args.end());
  }
  request.argv.insert(request.argv.end(), args.begin(), args.end());
  return {};
}

Result<void> add_stdio(const Settings& settings, bool keep_stderr, Launch& launch) {
  auto stdio = settings.stdio;
  const bool silent = settings.silent.value_or(false);
  // A terminal answers one program: who reads it takes the input of the shell, or of the primary.
  const bool no_input = stdio.empty() && sys::is_terminal(STDIN_FILENO);
  if (stdio.empty() && silent) stdio = {Stdio::Inherit, Stdio::Pipe, Stdio::Pipe};
  while (stdio.size() < 3) stdio.emplace_back(Stdio::Inherit);
  if (no_input) stdio[STDIN_FILENO] = Stdio::Ignore;

  for (std::size_t i = 0; i < stdio.size(); ++i) {
    const int index = static_cast<int>(i);
    if (const int* fd = std::get_if<int>(&stdio[i])) {
      launch.request.fds.push_back(*fd);
      continue;
    }
    const Stdio kind = std::get<Stdio>(stdio[i]);
    if (kind == Stdio::Pipe && index != STDOUT_FILENO && index != STDERR_FILENO)
      return make_error(Errc::InvalidArgument, "stdio " + std::to_string(index),
                        "only stdout (1) and stderr (2) can be pipes");
    if (kind == Stdio::Pipe) {
      OwnFd ends[2];
      if (sys::pipe(ends) == -1) return errno_error("pipe for a worker's stdio");
      if (sys::set_nonblocking(ends[0].get(), true) == -1) return errno_error("pipe");
      launch.request.fds.push_back(ends[1].get());
      launch.child_ends.push_back(std::move(ends[1]));
      launch.outputs.emplace_back(index, std::move(ends[0]));
    } else if (kind == Stdio::Inherit && index == STDERR_FILENO && keep_stderr) {
      auto plan = process::plan_stderr(index, process::StderrWish::AsItIs);
      if (!plan) return plan.error();
      launch.request.fds.push_back(plan->child_end ? plan->child_end.get() : index);
      launch.stderr_plan = std::move(*plan);
    } else {
      launch.request.fds.push_back(kind == Stdio::Inherit ? index : -1);
    }
  }
  return {};
}

Result<void> add_channel(Launch& launch) {
  auto channel = process::make_child_channel("a worker's");
  if (!channel) return channel.error();
  launch.request.fds.push_back(channel->childs.get());
  launch.channel = std::move(channel->ours);
  launch.child_ends.push_back(std::move(channel->childs));
  return {};
}

}  // namespace

Settings merged(Settings settings, const Settings& changes) {
  const auto take = [](auto& member, const auto& change) {
    if (!change.empty()) member = change;
  };
  const auto take_optional = [](auto& member, const auto& change) {
    if (change) member = change;
  };
  take(settings.exec, changes.exec);
  if (changes.args.given()) settings.args = changes.args;
  take(settings.exec_path, changes.exec_path);
  take(settings.exec_args, changes.exec_args);
  take(settings.cwd, changes.cwd);
  take(settings.env, changes.env);
  take(settings.stdio, changes.stdio);
  take(settings.listen, changes.listen);
  take_optional(settings.silent, changes.silent);
  take_optional(settings.uid, changes.uid);
  take_optional(settings.gid, changes.gid);
  take_optional(settings.stop_signal, changes.stop_signal);
  take_optional(settings.preload, changes.preload);
  take_optional(settings.serialization, changes.serialization);
  take_optional(settings.message_size_max, changes.message_size_max);
  take_optional(settings.queue_size_max, changes.queue_size_max);
  take_optional(settings.shared_memory_max, changes.shared_memory_max);
  return settings;
}

ipc::ChannelLimits channel_limits(const Settings& settings) {
  ipc::ChannelLimits limits;
  limits.message_size_max = settings.message_size_max.value_or(limits.message_size_max);
  limits.queue_size_max = settings.queue_size_max.value_or(limits.queue_size_max);
  limits.shared_memory_max = settings.shared_memory_max.value_or(limits.shared_memory_max);
  return limits;
}

Result<Launch> prepare_launch(const Settings& settings, const Environment& env, int worker_id,
                              bool keep_stderr, const std::vector<int>& listening) {
  Launch launch;
  auto& request = launch.request;
  if (auto added = add_program(settings, request); !added) return added.error();
  if (auto added = add_stdio(settings, keep_stderr, launch); !added) return added.error();
  Environment variables = env;
  if (!listening.empty()) {
    if (request.fds.size() > kFirstListening)
      return make_error(Errc::InvalidArgument, "listen",
                        "descriptor 3 is given by stdio, and is the first that listens");
    request.fds.insert(request.fds.end(), listening.begin(), listening.end());
    variables.emplace_back("LISTEN_FDS", std::to_string(listening.size()));
    request.pid_variable = "LISTEN_PID";
  }
  if (auto added = add_channel(launch); !added) return added.error();
  const int channel_fd = static_cast<int>(request.fds.size()) - 1;
  request.env = worker_environment(environ, settings.env, variables, worker_id, channel_fd,
                                   settings.serialization.value_or(Serialization::Json));
  if (!settings.cwd.empty()) request.cwd = settings.cwd;
  request.uid = settings.uid;
  request.gid = settings.gid;
  request.new_session = true;
  request.die_with_parent = true;
  request.lifeline_in_env = true;
  return launch;
}

std::vector<std::string> worker_environment(char** inherited, const Environment& settings_env,
                                            const Environment& fork_env, int worker_id,
                                            int channel_fd, Serialization serialization) {
  std::vector<std::string> env = process::inherited_variables(inherited);
  for (const auto& [name, value] : settings_env) process::set_variable(env, name, value);
  for (const auto& [name, value] : fork_env) process::set_variable(env, name, value);
  process::set_variable(env, "NODE_UNIQUE_ID", std::to_string(worker_id));
  process::name_channel(env, static_cast<std::size_t>(channel_fd), serialization);
  return env;
}

}  // namespace cohort::cluster
