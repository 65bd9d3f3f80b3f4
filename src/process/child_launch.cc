#include "process/child_launch.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <string_view>

#include "base/standard_stdio.h"
#include "base/sys.h"
#include "process/child_channel.h"
#include "process/program.h"
#include "process/shared_stdio.h"

namespace cohort::process {
namespace {

using Direction = StdioStream::Direction;

constexpr std::size_t kStandardCount = 3;

std::string joined(const std::string& file, const std::vector<std::string>& args) {
  std::string command = file;
  for (const std::string& arg : args) command += ' ' + arg;
  return command;
}

std::optional<std::string> shell_of(const SpawnOptions& options) {
  if (const auto* path = std::get_if<std::string>(&options.shell))
    return path->empty() ? std::nullopt : std::optional{*path};
  return std::get<bool>(options.shell) ? std::optional<std::string>{"/bin/sh"} : std::nullopt;
}

void add_program(const std::string& file, const std::vector<std::string>& args,
                 const SpawnOptions& options, SpawnRequest& request) {
  if (const auto shell = shell_of(options); shell && !file.empty()) {
    request.file = *shell;
    request.argv = {*shell, "-c", joined(file, args)};
  } else {
    request.file = file;
    request.argv = {file};
    request.argv.insert(request.argv.end(), args.begin(), args.end());
  }
  if (!options.argv0.empty()) request.argv[0] = options.argv0;
}

Result<void> add_module(const std::string& module, const std::vector<std::string>& args,
                        const SpawnOptions& options, SpawnRequest& request) {
  request.file = module;
  request.argv = {module};
  auto program = resolve_program(module);
  if (!options.exec_path.empty()) {
    // A module that is not found is the interpreter's to explain.
    const std::string script =
        program ? (program->leading_args.empty() ? program->file : program->leading_args[0])
                : module;
    program = resolve_program(options.exec_path);
    if (program) program->leading_args = {script};
  }
  if (!program) return program.error();
  request.file = program->file;
  request.argv = {options.argv0.empty() ? program->file : options.argv0};
  const auto append = [&](const std::vector<std::string>& more) {
    request.argv.insert(request.argv.end(), more.begin(), more.end());
  };
  append(options.exec_args);
  append(program->leading_args);
  append(args);
  return {};
}

// stdio

std::vector<ChildStdio> entries_of(LaunchKind kind, const SpawnOptions& options) {
  const bool fork = kind == LaunchKind::Fork;
  std::vector<ChildStdio> entries = options.stdio.entries();
  const Stdio missing = fork && !options.silent.value_or(false) && !options.stdio.given()
                            ? Stdio::Inherit
                            : Stdio::Pipe;
  while (entries.size() < kStandardCount) entries.emplace_back(missing);
  if (!options.input.empty()) entries[STDIN_FILENO] = Stdio::Pipe;
  if (fork && (!options.stdio.given() || options.stdio.is_one_word())) entries.emplace_back(Ipc{});
  return entries;
}

bool is_ipc(const ChildStdio& entry) { return std::holds_alternative<Ipc>(entry.what()); }

std::optional<Error> check(LaunchKind kind, const std::string& op,
                           const std::vector<ChildStdio>& entries, const SpawnOptions& options) {
  const auto invalid = [&](const char* why) { return make_error(Errc::InvalidArgument, op, why); };
  const auto channels = std::count_if(entries.begin(), entries.end(), is_ipc);
  if (channels > 1) return invalid("a child has one channel at most: stdio has several Ipc");
  if (channels == 1 && kind == LaunchKind::Sync)
    return invalid("a child that is waited for can have no channel: stdio has an Ipc");
  if (channels == 0 && kind == LaunchKind::Fork)
    return invalid("fork needs a channel: add Ipc{} to stdio");
  if (options.timeout.count() < 0) return invalid("the timeout is negative");
  if (options.kill_signal < 0 || options.kill_signal >= NSIG) return invalid("no such kill_signal");
  return std::nullopt;
}

// stdout and stderr are pipes, so that the child can open /dev/stdout, which fails with the sockets
// of Node; the others are sockets, which can be written to without SIGPIPE.
Result<void> add_pipe(const Loop& loop, std::size_t index, ChildLaunch& launch) {
  OwnFd ends[2];
  const bool output = index == STDOUT_FILENO || index == STDERR_FILENO;
  const int made = output ? sys::pipe(ends) : sys::socketpair(AF_UNIX, SOCK_STREAM, false, ends);
  if (made == -1 || sys::set_nonblocking(ends[0].get(), true) == -1)
    return errno_error("pipe for stdio " + std::to_string(index));
  const Direction direction = output
                                  ? Direction::FromChild
                                  : (index == STDIN_FILENO ? Direction::ToChild : Direction::Both);
  launch.streams[index] = std::make_shared<StdioStream>(loop, std::move(ends[0]), direction);
  launch.request.fds[index] = ends[1].get();
  launch.child_ends.push_back(std::move(ends[1]));
  return {};
}

Result<void> add_channel(std::size_t index, const SpawnOptions& options, ChildLaunch& launch) {
  OwnFd childs = std::move(launch.childs_channel);
  if (!childs) {
    auto channel = make_child_channel("a child's");
    if (!channel) return channel.error();
    launch.channel = std::move(channel->ours);
    childs = std::move(channel->childs);
  }
  launch.request.fds[index] = childs.get();
  launch.request.lifeline_in_env = true;
  launch.child_ends.push_back(std::move(childs));
  name_channel(launch.request.env, index, options.serialization.value_or(Serialization::Json));
  return {};
}

// A stderr that is not a stream, but whose last lines are wanted.
Result<void> add_tail(int fd, StderrWish wish, ChildLaunch& launch) {
  auto plan = plan_stderr(fd, wish);
  if (!plan) return plan.error();
  launch.request.fds[STDERR_FILENO] = plan->child_end ? plan->child_end.get() : fd;
  launch.stderr_plan = std::move(*plan);
  return {};
}

Result<void> add_entry(const Loop& loop, std::size_t index, const ChildStdio& entry,
                       const SpawnOptions& options, StderrWish wish, ChildLaunch& launch) {
  int fd = -1;
  const auto& what = entry.what();
  if (is_ipc(entry)) return add_channel(index, options, launch);
  if (const Stdio* kind = std::get_if<Stdio>(&what)) {
    if (*kind == Stdio::Pipe) return add_pipe(loop, index, launch);
    if (*kind == Stdio::Inherit && sys::is_inheritable(static_cast<int>(index)))
      fd = static_cast<int>(index);
  } else if (const int* number = std::get_if<int>(&what)) {
    fd = *number;
    if (fd < 0)
      return make_error(Errc::InvalidArgument, "stdio " + std::to_string(index),
                        "a negative descriptor");
  } else {
    const auto& stream = std::get<std::shared_ptr<StdioStream>>(what);
    fd = stream ? stream->lend() : -1;
    if (fd < 0)
      return make_error(Errc::InvalidArgument, "stdio " + std::to_string(index),
                        "the stream is closed");
    launch.given.push_back(stream);
  }
  if (index == STDERR_FILENO && options.stderr_lines > 0) return add_tail(fd, wish, launch);
  launch.request.fds[index] = fd;
  if (fd < 0 || index >= kStandardCount) return {};
  const bool is_stream = std::holds_alternative<std::shared_ptr<StdioStream>>(what);
  auto shared = blocking_for_child(fd, is_stream                       ? Sharing::OfOurs
                                       : fd == static_cast<int>(index) ? Sharing::Inherited
                                                                       : Sharing::Given);
  if (!shared) return shared.error();
  if (*shared) {
    launch.request.fds[index] = shared->get();
    launch.child_ends.push_back(*std::move(shared));
  }
  return {};
}

Result<void> add_stdio(const Loop& loop, const std::vector<ChildStdio>& entries,
                       const SpawnOptions& options, StderrWish wish, ChildLaunch& launch) {
  launch.request.fds.assign(entries.size(), -1);
  launch.streams.resize(entries.size());
  for (std::size_t i = 0; i < entries.size(); ++i)
    if (auto added = add_entry(loop, i, entries[i], options, wish, launch); !added)
      return added.error();
  return {};
}

void add_identity(const SpawnOptions& options, SpawnRequest& request) {
  if (!options.cwd.empty()) request.cwd = options.cwd;
  request.uid = options.uid;
  request.gid = options.gid;
  request.groups = options.groups;
  request.umask = options.umask;
  request.nice = options.nice;
  request.cpus = options.cpus;
  request.no_new_privs = options.no_new_privs.value_or(false);
  for (const ResourceLimit& limit : options.limits)
    request.limits.push_back({limit.resource, {limit.soft, limit.hard}});
  request.new_session = options.detached;
  // A session's leader has a group of its own already.
  if (!options.detached) request.process_group = options.process_group;
  request.die_with_parent = !options.detached && options.parent_death_signal.value_or(SIGKILL) != 0;
  request.death_signal = options.parent_death_signal;
}

Result<void> add_cgroup(const SpawnOptions& options, ChildLaunch& launch) {
  const auto bytes = [](std::optional<std::uint64_t> size) {
    return size == 0U ? std::nullopt : size;
  };
  const CgroupLimits limits{bytes(options.memory_max), bytes(options.memory_high), options.cpu_max,
                            options.processes_max};
  if (!limits.any()) return {};
  auto group = ChildCgroup::make(CgroupFiles::system(), options.cgroup_parent, limits);
  if (!group) return group.error();
  launch.cgroup = std::move(*group);
  launch.request.cgroup_procs = launch.cgroup->procs();
  return {};
}

Error named(Error error, const std::string& op) {
  if (!error.op.starts_with(op)) error.op = op + ": " + error.op;
  return error;
}

}  // namespace

std::vector<std::string> child_environment(char** inherited, const SpawnOptions& options) {
  std::vector<std::string> env;
  if (options.env)
    for (const auto& [name, value] : *options.env) set_variable(env, name, value);
  else
    env = inherited_variables(inherited);
  for (const auto& [name, value] : options.add_env) set_variable(env, name, value);
  return env;
}

Result<void> prepare(const Loop& loop, LaunchKind kind, const std::string& file,
                     const std::vector<std::string>& args, const SpawnOptions& options,
                     ChildLaunch& launch, StderrWish wish) {
  const std::string op = "spawn " + file;
  SpawnRequest& request = launch.request;
  request.env = child_environment(environ, options);
  const std::vector<ChildStdio> entries = entries_of(kind, options);
  if (kind != LaunchKind::Fork)
    add_program(file, args, options, request);
  else if (auto added = add_module(file, args, options, request); !added)
    return added.error();
  if (auto error = check(kind, op, entries, options)) return *std::move(error);
  if (auto added = add_stdio(loop, entries, options, wish, launch); !added)
    return named(added.error(), op);
  add_identity(options, request);
  if (auto added = add_cgroup(options, launch); !added) return named(added.error(), op);
  return {};
}

ipc::ChannelLimits channel_limits(const SpawnOptions& options) {
  ipc::ChannelLimits limits;
  limits.message_size_max = options.message_size_max.value_or(limits.message_size_max);
  limits.queue_size_max = options.queue_size_max.value_or(limits.queue_size_max);
  limits.shared_memory_max = options.shared_memory_max.value_or(limits.shared_memory_max);
  return limits;
}

}  // namespace cohort::process
