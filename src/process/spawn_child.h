// The child's half of spawn: what runs between clone and exec.
//
// The child shares the parent's memory and runs on a stack of its own while the calling thread
// waits: it makes raw system calls on what the parent prepared, and nothing else. No allocation, no
// lock, no C library function with state of its own: those would act on the parent. (libc's
// `setuid` signals every thread of the shared memory, `sigaction` keeps books under sanitizers.)
// What it writes into the plan, the parent reads.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <cstddef>

namespace cohort::process {

/// What the child was doing when it failed.
enum class SpawnStep {
  None,
  Session,
  ProcessGroup,
  Lifeline,
  Cgroup,
  Limit,
  Nice,
  Cpus,
  Descriptor,
  Directory,
  Groups,
  Group,
  User,
  NoNewPrivs,
  Exec
};

/// One resource limit (RLIMIT_...).
struct LimitPlan {
  int resource;
  rlimit limit;
};

struct ChildPlan {
  /// Child descriptor i becomes a duplicate of `sources[i]`, or is closed if that is negative. All
  /// descriptors from `source_count` on are closed. The child overwrites the array.
  int* sources = nullptr;
  int source_count = 0;
  /// Read end of the lifeline, which is one of the sources; -1: none.
  int lifeline = -1;
  int death_signal = 0;      ///< Of the lifeline and of PR_SET_PDEATHSIG.
  bool new_session = false;  ///< Which is a new process group as well.
  pid_t process_group = -1;  ///< -1: the parent's, 0: a new one, else the one to join.
  /// 0, or the parent that the child dies with, by PR_SET_PDEATHSIG.
  pid_t parent = 0;
  int cgroup_procs = -1;  ///< cgroup.procs of the group to join, open for writing; -1: stays.
  const LimitPlan* limits = nullptr;
  std::size_t limit_count = 0;
  const int* priority = nullptr;        ///< The nice value.
  const unsigned long* cpus = nullptr;  ///< The affinity mask, of `cpus_size` bytes.
  std::size_t cpus_size = 0;
  const mode_t* umask = nullptr;
  bool no_new_privs = false;
  const char* directory = nullptr;  ///< Null: the parent's.
  bool set_groups = false;          ///< To the `group_count` of `groups`.
  const gid_t* groups = nullptr;
  std::size_t group_count = 0;
  bool set_groups_must_succeed = false;
  const gid_t* gid = nullptr;
  const uid_t* uid = nullptr;
  /// Tried in turn, as execvp does; ends with a null.
  const char* const* files = nullptr;
  char* const* argv = nullptr;
  /// For a text without `#!`: argv[0], room for the file, the other arguments; ends with a null.
  char** shell_argv = nullptr;
  char* const* env = nullptr;
  /// Null, or where in `env` the child writes its pid: room for kPidSize bytes.
  char* pid = nullptr;
  static constexpr std::size_t kPidSize = 12;

  SpawnStep failed_step = SpawnStep::None;
  int failed_errno = 0;
  int failed_descriptor = -1;  ///< With SpawnStep::Descriptor: the child's number.
  int failed_resource = -1;    ///< With SpawnStep::Limit: which.
};

/// All of it but closing other descriptors, signals, and exec. False: the failure is in the plan,
/// or the parent is gone.
bool settle_child(ChildPlan& plan) noexcept;

/// Body of the clone. `plan` is a ChildPlan. Returns, with the failure in the plan, only if there
/// was no exec; the return value is the exit code.
int run_child(void* plan) noexcept;

}  // namespace cohort::process
