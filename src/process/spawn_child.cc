#include "process/spawn_child.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>

// Not instrumented: a sanitizer's records of the shared thread would see functions that never
// return.
#define COHORT_IN_CHILD __attribute__((no_sanitize("address", "thread", "undefined")))

namespace cohort::process {
namespace {

constexpr int kSignals = 64;
constexpr std::size_t kKernelSignalSetSize = 8;
constexpr unsigned kLastDescriptor = ~0U;

COHORT_IN_CHILD bool fail(ChildPlan& plan, SpawnStep step) {
  plan.failed_errno = errno;
  plan.failed_step = step;
  return false;
}

// A signal that is caught would run the parent's handler on the parent's memory, and one that is
// ignored would stay so after exec. 32 and 33 are the C library's: only the raw call resets them.
COHORT_IN_CHILD void reset_signal_handlers() {
  alignas(8) const char default_action[64] = {};  // a zeroed kernel sigaction is SIG_DFL
  for (int number = 1; number <= kSignals; ++number)
    ::syscall(SYS_rt_sigaction, number, default_action, nullptr, kKernelSignalSetSize);
}

// The kernel kills the owner as the last write end closes. Set while still privileged: the right to
// signal is judged by the ids that set the owner. The leader of a session never leaves its process
// group: there the owner is the group (a negative number), and what the leader starts ends with it.
COHORT_IN_CHILD bool arm_lifeline(int fd, int signal_number, bool for_group) {
  const long pid = ::syscall(SYS_getpid);
  return ::syscall(SYS_fcntl, fd, F_SETSIG, signal_number) != -1 &&
         ::syscall(SYS_fcntl, fd, F_SETOWN, for_group ? -pid : pid) != -1 &&
         ::syscall(SYS_fcntl, fd, F_SETFL, O_ASYNC) != -1;
}

COHORT_IN_CHILD bool place_descriptors(ChildPlan& plan) {
  const int count = plan.source_count;
  // First out of the way of the numbers that are about to be written; what is in its place stays.
  for (int i = 0; i < count; ++i) {
    if (plan.sources[i] < 0 || plan.sources[i] >= count || plan.sources[i] == i) continue;
    const long moved = ::syscall(SYS_fcntl, plan.sources[i], F_DUPFD_CLOEXEC, count);
    plan.failed_descriptor = i;
    if (moved == -1) return false;
    plan.sources[i] = static_cast<int>(moved);
  }
  for (int i = 0; i < count; ++i) {
    plan.failed_descriptor = i;
    if (plan.sources[i] < 0)
      ::syscall(SYS_close, i);
    else if (plan.sources[i] == i && ::syscall(SYS_fcntl, i, F_SETFD, 0) == -1)
      return false;
    else if (plan.sources[i] != i && ::syscall(SYS_dup3, plan.sources[i], i, 0) == -1)
      return false;
  }
  return true;
}

struct DirectoryEntry {  // linux_dirent64
  std::uint64_t inode;
  std::int64_t offset;
  std::uint16_t size;
  std::uint8_t type;
  char name[1];
};

// Where a sandbox refuses close_range. Without /proc nothing is closed here, and exec closes what
// is close-on-exec, as everything of ours is.
COHORT_IN_CHILD void close_listed_from(int lowest) {
  const long directory =
      ::syscall(SYS_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory == -1) return;
  alignas(DirectoryEntry) char buffer[2048];
  for (;;) {
    const long size = ::syscall(SYS_getdents64, directory, buffer, sizeof buffer);
    if (size <= 0) break;
    for (long at = 0; at < size;) {
      const auto* entry = reinterpret_cast<const DirectoryEntry*>(buffer + at);
      at += entry->size;
      int fd = 0;
      const char* digit = entry->name;
      for (; *digit >= '0' && *digit <= '9'; ++digit) fd = fd * 10 + (*digit - '0');
      if (digit != entry->name && fd >= lowest && fd != directory) ::syscall(SYS_close, fd);
    }
  }
  ::syscall(SYS_close, directory);
}

COHORT_IN_CHILD void close_from(int lowest) {
  if (::syscall(SYS_close_range, lowest, kLastDescriptor, 0) == -1) close_listed_from(lowest);
}

COHORT_IN_CHILD bool join_groups(ChildPlan& plan) {
  if (plan.new_session && ::syscall(SYS_setsid) == -1) return fail(plan, SpawnStep::Session);
  if (plan.process_group >= 0 && ::syscall(SYS_setpgid, 0, plan.process_group) == -1)
    return fail(plan, SpawnStep::ProcessGroup);
  // `0` is whoever writes it.
  if (plan.cgroup_procs >= 0 && ::syscall(SYS_write, plan.cgroup_procs, "0", 1) == -1)
    return fail(plan, SpawnStep::Cgroup);
  return true;
}

// While still privileged: hard limits may be raised, and the priority.
COHORT_IN_CHILD bool set_limits(ChildPlan& plan) {
  for (std::size_t i = 0; i < plan.limit_count; ++i) {
    const LimitPlan& entry = plan.limits[i];
    plan.failed_resource = entry.resource;
    if (::syscall(SYS_prlimit64, 0, entry.resource, &entry.limit, nullptr) == -1)
      return fail(plan, SpawnStep::Limit);
  }
  constexpr int kProcess = 0;  // PRIO_PROCESS
  if (plan.priority != nullptr && ::syscall(SYS_setpriority, kProcess, 0, *plan.priority) == -1)
    return fail(plan, SpawnStep::Nice);
  if (plan.cpus != nullptr && ::syscall(SYS_sched_setaffinity, 0, plan.cpus_size, plan.cpus) == -1)
    return fail(plan, SpawnStep::Cpus);
  if (plan.umask != nullptr) ::syscall(SYS_umask, *plan.umask);
  return true;
}

// Of root the kernel takes the capabilities itself. Another user that may change ids by an ambient
// one (AmbientCapabilities= of systemd) would hand it down: the child could change back.
COHORT_IN_CHILD bool change_user(const ChildPlan& plan) {
  if (plan.uid == nullptr) return true;
  const bool another = ::syscall(SYS_geteuid) != static_cast<long>(*plan.uid);
  if (::syscall(SYS_setresuid, *plan.uid, *plan.uid, *plan.uid) == -1) return false;
  if (another) ::syscall(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  return true;
}

COHORT_IN_CHILD bool change_ids(ChildPlan& plan) {
  if (plan.set_groups && ::syscall(SYS_setgroups, plan.group_count, plan.groups) == -1 &&
      plan.set_groups_must_succeed)
    return fail(plan, SpawnStep::Groups);
  // All three ids: what a saved one leaves is a way back.
  if (plan.gid != nullptr && ::syscall(SYS_setresgid, *plan.gid, *plan.gid, *plan.gid) == -1)
    return fail(plan, SpawnStep::Group);
  if (!change_user(plan)) return fail(plan, SpawnStep::User);
  if (plan.no_new_privs && ::syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
    return fail(plan, SpawnStep::NoNewPrivs);
  return true;
}

// Only after the change of ids, which clears it. A parent in another PID namespace shows as 0.
COHORT_IN_CHILD bool die_with_parent(const ChildPlan& plan) {
  if (plan.parent == 0) return true;
  ::syscall(SYS_prctl, PR_SET_PDEATHSIG, plan.death_signal);
  const long parent = ::syscall(SYS_getppid);
  return parent == plan.parent || parent == 0;
}

// In decimal digits, and a zero byte.
COHORT_IN_CHILD void write_pid(char* to) {
  char digits[ChildPlan::kPidSize];
  std::size_t count = 0;
  for (long pid = ::syscall(SYS_getpid); pid > 0; pid /= 10)
    digits[count++] = static_cast<char>('0' + pid % 10);
  while (count > 0) *to++ = digits[--count];
  *to = '\0';
}

// A program for another machine is none of the shell's.
COHORT_IN_CHILD bool is_elf(const char* file) {
  char magic[4] = {};
  const long fd = ::syscall(SYS_openat, AT_FDCWD, file, O_RDONLY | O_CLOEXEC);
  if (fd == -1) return false;
  ::syscall(SYS_read, fd, magic, sizeof magic);
  ::syscall(SYS_close, fd);
  return magic[0] == 0x7f && magic[1] == 'E' && magic[2] == 'L' && magic[3] == 'F';
}

// As execvp does: what is executable and of no known format is a script of /bin/sh.
COHORT_IN_CHILD void exec_text(const ChildPlan& plan, const char* file) {
  if (!is_elf(file)) {
    plan.shell_argv[1] = const_cast<char*>(file);
    ::syscall(SYS_execve, plan.shell_argv[0], plan.shell_argv, plan.env);
  }
  errno = ENOEXEC;
}

COHORT_IN_CHILD bool exec_first(ChildPlan& plan) {
  bool denied = false;
  for (const char* const* file = plan.files; *file != nullptr; ++file) {
    ::syscall(SYS_execve, *file, plan.argv, plan.env);
    if (errno == ENOEXEC) exec_text(plan, *file);
    denied = denied || errno == EACCES;
    const bool next = errno == EACCES || errno == ENOENT || errno == ENOTDIR || errno == ESTALE ||
                      errno == ENODEV || errno == ETIMEDOUT;
    if (!next) return fail(plan, SpawnStep::Exec);
  }
  // One that was found but denied says more than that the others do not exist.
  if (denied) errno = EACCES;
  return fail(plan, SpawnStep::Exec);
}

COHORT_IN_CHILD void run(ChildPlan& plan) {
  reset_signal_handlers();
  if (!settle_child(plan)) return;
  close_from(plan.source_count);
  const std::uint64_t none = 0;
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, kKernelSignalSetSize);
  exec_first(plan);
}

}  // namespace

COHORT_IN_CHILD bool settle_child(ChildPlan& plan) noexcept {
  if (!join_groups(plan)) return false;
  if (plan.lifeline >= 0 && !arm_lifeline(plan.lifeline, plan.death_signal, plan.new_session))
    return fail(plan, SpawnStep::Lifeline);
  if (!set_limits(plan)) return false;
  if (!place_descriptors(plan)) return fail(plan, SpawnStep::Descriptor);
  if (plan.directory != nullptr && ::syscall(SYS_chdir, plan.directory) == -1)
    return fail(plan, SpawnStep::Directory);
  if (!change_ids(plan) || !die_with_parent(plan)) return false;
  if (plan.pid != nullptr) write_pid(plan.pid);
  return true;
}

COHORT_IN_CHILD int run_child(void* plan) noexcept {
  constexpr int kExitCode = 127;  // nobody sees it: the parent reports the failure and reaps
  run(*static_cast<ChildPlan*>(plan));
  return kExitCode;
}

}  // namespace cohort::process
