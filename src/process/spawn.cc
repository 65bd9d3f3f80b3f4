#include "process/spawn.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "base/standard_stdio.h"
#include "base/sys.h"

namespace cohort::process {
namespace {

constexpr const char* kLifelineVariable = "COHORT_LIFELINE_FD";
constexpr int kFirstFreeDescriptor = 3;
// What the child needs until exec: 4 KiB, most of it the list that close_listed_from reads.
constexpr std::size_t kChildStackSize = 16 * 1024;

// Blocks all signals of this thread, those included that the C library keeps for itself, which its
// own function would leave out.
class SignalsBlocked {
 public:
  SignalsBlocked() { ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &kAll, &before_, sizeof before_); }
  ~SignalsBlocked() {
    ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before_, nullptr, sizeof before_);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  static constexpr std::uint64_t kAll = ~std::uint64_t{0};
  std::uint64_t before_ = 0;
};

// A change of ids in the child marks the memory that it shares with this process as not dumpable:
// no core files, no debugger, /proc/self owned by root. Put back once the child has left that
// memory.
class DumpableRestored {
 public:
  DumpableRestored() : before_{::prctl(PR_GET_DUMPABLE)} {}
  ~DumpableRestored() {
    if (before_ == kDumpable && ::prctl(PR_GET_DUMPABLE) != kDumpable)
      ::prctl(PR_SET_DUMPABLE, kDumpable);
  }
  DumpableRestored(const DumpableRestored&) = delete;
  DumpableRestored& operator=(const DumpableRestored&) = delete;

 private:
  static constexpr int kDumpable = 1;
  int before_;
};

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
  constexpr std::string_view kPrefix = "PATH=";
  for (const std::string& entry : env)
    if (entry.starts_with(kPrefix)) return std::string_view{entry}.substr(kPrefix.size());
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

// Everything that the child needs, in memory that outlives its way to exec.
struct Prepared {
  std::vector<int> sources;
  OwnFd null_device;
  OwnFd lifeline_read;
  OwnFd lifeline_write;
  std::string lifeline_variable;
  std::string pid_variable;
  std::vector<std::string> files;
  std::vector<unsigned long> cpus;
  int priority = 0;
};

std::optional<Error> prepare_descriptors(const SpawnRequest& request, Prepared& prepared) {
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
std::vector<char*> environment(const SpawnRequest& request, Prepared& prepared) {
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

void plan_limits(const SpawnRequest& request, Prepared& prepared, ChildPlan& plan) {
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

ChildPlan make_plan(const SpawnRequest& request, Prepared& prepared) {
  ChildPlan plan;
  plan.sources = prepared.sources.data();
  plan.source_count = static_cast<int>(prepared.sources.size());
  plan.lifeline = prepared.lifeline_read.get();
  plan.new_session = request.new_session;
  plan.process_group = request.process_group.value_or(-1);
  plan.cgroup_procs = request.cgroup_procs;
  plan_limits(request, prepared, plan);
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
  return plan;
}

// glibc's `clone` by its other name: ThreadSanitizer's would take the child for a fork's, with a
// copy of its records, and abort.
extern "C" int clone_process(int (*body)(void*), void* stack, int flags, void* argument,
                             ...) asm("__clone");

// -1 and errno if there is no child. The child's stack lies in this thread's own, which waits
// meanwhile: unmapping a stack that another CPU has used costs an interrupt there (4 % of a spawn).
pid_t clone_child(ChildPlan& plan, OwnFd& pidfd) {
  alignas(std::max_align_t) char stack[kChildStackSize];
  const bool changes_ids = plan.uid != nullptr || plan.gid != nullptr;
  std::optional<DumpableRestored> dumpable;
  if (changes_ids) dumpable.emplace();
  const SignalsBlocked blocked;
  int number = -1;
  constexpr int kFlags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD;
  const pid_t pid = clone_process(run_child, stack + sizeof stack, kFlags, &plan, &number);
  if (pid != -1) pidfd.reset(number);
  return pid;
}

// A child that never got to exec: nobody else will hear of it.
void reap_failed(const OwnFd& pidfd) {
  siginfo_t info{};
  while (::waitid(P_PIDFD, static_cast<id_t>(pidfd.get()), &info, WEXITED) == -1 &&
         errno == EINTR) {
  }
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

Error failure(const SpawnRequest& request, const std::vector<std::string>& files,
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

}  // namespace

Result<Child> spawn(const SpawnRequest& request) {
  if (auto error = check(request)) return *std::move(error);
  Prepared prepared;
  if (auto error = prepare_descriptors(request, prepared)) return *std::move(error);
  prepared.files = candidates(request);

  ChildPlan plan = make_plan(request, prepared);
  const auto files = pointers(prepared.files);
  const auto argv = pointers(request.argv);
  auto shell_argv = shell_arguments(argv);
  const auto env = environment(request, prepared);
  plan.files = files.data();
  plan.argv = argv.data();
  plan.shell_argv = shell_argv.data();
  plan.env = env.data();
  if (!prepared.pid_variable.empty())
    plan.pid = prepared.pid_variable.data() + prepared.pid_variable.size() - ChildPlan::kPidSize;

  OwnFd pidfd;
  const pid_t pid = clone_child(plan, pidfd);
  if (pid == -1) return errno_error(op_of(request), limit_hint(errno));
  if (plan.failed_step != SpawnStep::None) {
    reap_failed(pidfd);
    return failure(request, prepared.files, plan);
  }
  return Child{pid, std::move(pidfd), std::move(prepared.lifeline_write)};
}

bool adopt_lifeline() {
  const char* value = std::getenv(kLifelineVariable);
  if (value == nullptr) return false;
  int fd = -1;
  const char* end = value + std::strlen(value);
  const auto parsed = std::from_chars(value, end, fd);
  const bool is_number = parsed.ec == std::errc{} && parsed.ptr == end;
  ::unsetenv(kLifelineVariable);
  // A child that does not know the variable (a Node worker) hands it down to its own children
  // without the descriptor: the number is then closed, or something of theirs.
  if (!is_number || fd < kFirstFreeDescriptor || ::fcntl(fd, F_GETSIG) != SIGKILL) return false;
  sys::set_cloexec(fd, true);
  return true;
}

}  // namespace cohort::process
