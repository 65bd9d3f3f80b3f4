#include "process/spawn_plan.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <string_view>

#include "base/standard_stdio.h"
#include "base/sys.h"

namespace cohort::process {
namespace {

bool has_nul(const std::string& text) { return text.find('\0') != std::string::npos; }

std::string op_of(const SpawnRequest& request) { return "spawn " + request.file; }

std::optional<Error> check(const SpawnRequest& request) {
  const auto invalid = [&](const char* why) {
    return make_error(Errc::InvalidArgument, op_of(request), why);
  };
  if (request.file.empty()) return invalid("the name of the program is empty");
  if (request.argv.empty()) return invalid("argv is empty");
  // To setresuid(2) it means: as it is.
  constexpr auto kNoId = static_cast<uid_t>(-1);
  if (request.uid == kNoId || request.gid == kNoId)
    return invalid("-1 is the id of no user and of no group");
  if (has_nul(request.file) || has_nul(request.cwd.value_or("")) ||
      std::any_of(request.argv.begin(), request.argv.end(), has_nul) ||
      std::any_of(request.env.begin(), request.env.end(), has_nul))
    return invalid("a NUL byte in the name, an argument, the environment or the working directory");
  return std::nullopt;
}

std::string_view path_variable(const std::vector<std::string>& env) {
  constexpr std::string_view kPathIs = "PATH=";
  for (const std::string& entry : env)
    if (entry.starts_with(kPathIs)) return std::string_view{entry}.substr(kPathIs.size());
  return "/bin:/usr/bin";
}

// The paths that execvp would try, in order.
std::vector<std::string> candidates(const SpawnRequest& request) {
  if (request.file.find('/') != std::string::npos) return {request.file};
  std::vector<std::string> files;
  const std::string_view path = path_variable(request.env);
  for (std::size_t start = 0; start <= path.size();) {
    const std::size_t end = std::min(path.find(':', start), path.size());
    const std::string directory{path.substr(start, end - start)};
    files.push_back(directory.empty() ? request.file : directory + '/' + request.file);
    start = end + 1;
  }
  return files;
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  result.reserve(strings.size() + 1);
  for (const std::string& text : strings) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

std::optional<Error> prepare_descriptors(const SpawnRequest& request, PreparedSpawn& prepared) {
  sys::open_standard_descriptors();
  std::vector<int>& sources = prepared.sources;
  sources = request.fds;
  sources.resize(std::max<std::size_t>(sources.size(), kFirstFreeDescriptor), -1);
  const auto standard_end = sources.begin() + kFirstFreeDescriptor;
  // Something of ours has the number of one that this process was started without.
  for (int i = 0; i < kFirstFreeDescriptor; ++i)
    if (int& fd = sources[static_cast<std::size_t>(i)]; fd == i && !sys::is_inheritable(fd))
      fd = -1;
  const auto missing = [](int fd) { return fd < 0; };
  if (std::any_of(sources.begin(), standard_end, missing)) {
    prepared.null_device = sys::open("/dev/null", O_RDWR);
    if (!prepared.null_device) return errno_error(op_of(request) + ": /dev/null");
    std::replace_if(sources.begin(), standard_end, missing, prepared.null_device.get());
  }
  if (!request.die_with_parent) return std::nullopt;
  OwnFd ends[2];
  if (sys::pipe(ends) == -1) return errno_error(op_of(request) + ": lifeline pipe");
  prepared.lifeline_read = std::move(ends[0]);
  prepared.lifeline_write = std::move(ends[1]);
  sources.push_back(prepared.lifeline_read.get());
  return std::nullopt;
}

// argv of the shell that runs a text file: it, and the arguments.
std::vector<char*> shell_arguments(const std::vector<char*>& argv) {
  static char shell[] = "/bin/sh";
  std::vector<char*> result{shell, nullptr};
  result.insert(result.end(), argv.begin() + 1, argv.end());
  return result;
}

// Points into `request` and `prepared`.
std::vector<char*> environment(const SpawnRequest& request, PreparedSpawn& prepared) {
  std::vector<char*> env = pointers(request.env);
  const auto remove = [&](const std::string& name) {
    std::erase_if(env, [&](const char* entry) {
      return entry != nullptr && std::string_view{entry}.starts_with(name);
    });
  };
  const std::string lifeline = std::string{kLifelineVariable} + '=';
  remove(lifeline);
  if (request.die_with_parent && request.lifeline_in_env) {
    prepared.lifeline_variable = lifeline + std::to_string(prepared.sources.size() - 1);
    env.insert(env.end() - 1, prepared.lifeline_variable.data());
  }
  if (!request.pid_variable.empty()) {
    prepared.pid_variable = request.pid_variable + '=';
    remove(prepared.pid_variable);
    prepared.pid_variable.resize(prepared.pid_variable.size() + ChildPlan::kPidSize);
    env.insert(env.end() - 1, prepared.pid_variable.data());
  }
  return env;
}

std::vector<unsigned long> affinity_mask(const std::vector<unsigned>& cpus) {
  constexpr std::size_t kBits = 8 * sizeof(unsigned long);
  std::vector<unsigned long> mask;
  for (const unsigned cpu : cpus) {
    if (mask.size() <= cpu / kBits) mask.resize(cpu / kBits + 1);
    mask[cpu / kBits] |= 1UL << (cpu % kBits);
  }
  return mask;
}

void plan_limits(const SpawnRequest& request, PreparedSpawn& prepared) {
  ChildPlan& plan = prepared.plan;
  plan.limits = request.limits.data();
  plan.limit_count = request.limits.size();
  if (request.nice) {
    prepared.priority = ::getpriority(PRIO_PROCESS, 0) + *request.nice;
    plan.priority = &prepared.priority;
  }
  prepared.cpus = affinity_mask(request.cpus);
  plan.cpus = prepared.cpus.empty() ? nullptr : prepared.cpus.data();
  plan.cpus_size = prepared.cpus.size() * sizeof(unsigned long);
  plan.umask = request.umask ? &*request.umask : nullptr;
  plan.no_new_privs = request.no_new_privs;
}

void make_plan(const SpawnRequest& request, PreparedSpawn& prepared) {
  ChildPlan& plan = prepared.plan;
  plan.sources = prepared.sources.data();
  plan.source_count = static_cast<int>(prepared.sources.size());
  plan.lifeline = prepared.lifeline_read.get();
  plan.new_session = request.new_session;
  plan.process_group = request.process_group.value_or(-1);
  plan.cgroup_procs = request.cgroup_procs;
  plan_limits(request, prepared);
  plan.death_signal = request.death_signal.value_or(SIGKILL);
  const bool main_thread = ::syscall(SYS_gettid) == ::getpid();
  if (request.die_with_parent && main_thread) plan.parent = ::getpid();
  if (request.cwd) plan.directory = request.cwd->c_str();
  plan.gid = request.gid ? &*request.gid : nullptr;
  plan.uid = request.uid ? &*request.uid : nullptr;
  plan.set_groups = request.gid || request.uid || request.groups;
  if (request.groups) {
    plan.groups = request.groups->data();
    plan.group_count = request.groups->size();
  }
  // Without privilege there is nothing to drop into: the ids can only be those that we have.
  plan.set_groups_must_succeed = request.groups || ::geteuid() == 0;
}

std::string limit_hint(int errno_value) {
  switch (errno_value) {
    case EAGAIN:
      return "the limit of processes is reached: see ulimit -u, and pids.max of the cgroup";
    case EMFILE:
      return "the limit of open files is reached: see ulimit -n";
    case ENFILE:
      return "the system's limit of open files is reached";
    default:
      return {};
  }
}

// E2BIG: one string may be too long, or all of them.
std::string size_hint(const SpawnRequest& request) {
  // With its zero byte: MAX_ARG_STRLEN of Linux.
  const std::size_t size_max = 32 * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const auto says = [size_max](const std::string& what, std::size_t size) {
    return what + " has " + std::to_string(size) + " bytes, and one may have " +
           std::to_string(size_max - 1) + ": give it in a file, or through stdin";
  };
  for (std::size_t i = 0; i < request.argv.size(); ++i)
    if (request.argv[i].size() >= size_max)
      return says("argument " + std::to_string(i), request.argv[i].size());
  for (const std::string& entry : request.env)
    if (entry.size() >= size_max)
      return says("the variable " + entry.substr(0, std::min(entry.find('='), std::size_t{40})),
                  entry.size());
  return "the arguments and the environment together are too long: see ulimit -s";
}

std::string exec_hint(const SpawnRequest& request, const std::vector<std::string>& files,
                      int errno_value) {
  if (errno_value == ENOEXEC)
    return "a program for another machine, or a script without #! and no /bin/sh to run it";
  if (errno_value == E2BIG) return size_hint(request);
  if (errno_value == ETXTBSY) return "the file is being written";
  if (errno_value != ENOENT && errno_value != EACCES) return limit_hint(errno_value);
  for (const std::string& file : files) {
    const bool relative = file.front() != '/' && request.cwd;
    const std::string path = relative ? *request.cwd + '/' + file : file;
    if (sys::access(path.c_str(), F_OK) == -1) continue;
    if (errno_value == ENOENT)
      return path + " exists, but what interprets it does not: its #! line, or its dynamic loader";
    if (!request.uid) return path + " may not be executed";
    return "user " + std::to_string(*request.uid) + " may not execute " + path +
           ", or not search a directory on the way to it";
  }
  return errno_value == EACCES ? "a directory on the way to it may not be searched" : "";
}

std::string identity_hint(int errno_value) {
  if (errno_value == EPERM) return "changing it needs root, or CAP_SETUID and CAP_SETGID";
  if (errno_value == EINVAL)
    return "no such id in this user namespace: see /proc/self/uid_map and gid_map";
  return limit_hint(errno_value);
}

}  // namespace

Result<std::unique_ptr<PreparedSpawn>> prepare_spawn(const SpawnRequest& request) {
  if (auto error = check(request)) return *std::move(error);
  auto prepared = std::make_unique<PreparedSpawn>();
  if (auto error = prepare_descriptors(request, *prepared)) return *std::move(error);
  make_plan(request, *prepared);
  prepared->files = candidates(request);
  prepared->file_pointers = pointers(prepared->files);
  prepared->argv = pointers(request.argv);
  prepared->shell_argv = shell_arguments(prepared->argv);
  prepared->env = environment(request, *prepared);
  ChildPlan& plan = prepared->plan;
  plan.files = prepared->file_pointers.data();
  plan.argv = prepared->argv.data();
  plan.shell_argv = prepared->shell_argv.data();
  plan.env = prepared->env.data();
  std::string& pid = prepared->pid_variable;
  if (!pid.empty()) plan.pid = pid.data() + pid.size() - ChildPlan::kPidSize;
  return prepared;
}

Error no_child(const SpawnRequest& request, int errno_value) {
  return system_error(errno_value, op_of(request), limit_hint(errno_value));
}

Error child_failure(const SpawnRequest& request, const std::vector<std::string>& files,
                    const ChildPlan& plan) {
  const int number = plan.failed_errno;
  const std::string op = op_of(request);
  switch (plan.failed_step) {
    case SpawnStep::Session:
      return system_error(number, op + ": session");
    case SpawnStep::ProcessGroup:
      return system_error(number, op + ": process group");
    case SpawnStep::Cgroup:
      return system_error(number, op + ": cgroup");
    case SpawnStep::Limit:
      return system_error(number, op + ": resource limit " + std::to_string(plan.failed_resource),
                          number == EPERM ? "raising a hard limit needs CAP_SYS_RESOURCE" : "");
    case SpawnStep::Nice:
      return system_error(number, op + ": nice", "a higher priority needs CAP_SYS_NICE");
    case SpawnStep::Cpus:
      return system_error(number, op + ": CPU affinity", "none of these CPUs may be used here");
    case SpawnStep::NoNewPrivs:
      return system_error(number, op + ": no_new_privs");
    case SpawnStep::Lifeline:
      return system_error(number, op + ": lifeline");
    case SpawnStep::Descriptor:
      return system_error(number, op + ": descriptor " + std::to_string(plan.failed_descriptor),
                          limit_hint(number));
    case SpawnStep::Directory:
      return system_error(number, op + ": working directory " + *request.cwd);
    case SpawnStep::Groups:
      return system_error(number, op + ": supplementary groups", identity_hint(number));
    case SpawnStep::Group:
      return system_error(number, op + ": group " + std::to_string(*request.gid),
                          identity_hint(number));
    case SpawnStep::User:
      return system_error(number, op + ": user " + std::to_string(*request.uid),
                          identity_hint(number));
    case SpawnStep::Exec:
    case SpawnStep::None:
      break;
  }
  return system_error(number, op, exec_hint(request, files, number));
}

}  // namespace cohort::process
