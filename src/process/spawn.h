// Starting a process.
//
// The child is a vfork-like clone that shares the parent's memory until exec (spawn_child.h): the
// cost does not grow with the parent, a failure of any step is known when `spawn` returns, and no
// signal that arrives meanwhile runs a handler of ours in the child. A child starts with every
// signal at its default and none blocked, with exactly the descriptors that the request lists, and
// is reaped through its pidfd.
//
// Any thread may call `spawn`; it blocks for the time up to exec (about a millisecond).
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cohort/error.h"
#include "cohort/fd.h"
#include "process/spawn_child.h"

namespace cohort::process {

struct SpawnRequest {
  /// A program, or a text, which /bin/sh runs if it does not begin with `#!` (as execvp does).
  /// A path if it contains a slash, else looked up in the PATH of `env` (`/bin:/usr/bin` without
  /// one), as execvp does. Relative paths count from `cwd`.
  std::string file;
  /// All of argv, the program's name first.
  std::vector<std::string> argv;
  /// The whole environment, `NAME=value` each.
  std::vector<std::string> env;
  /// Another variable of the environment, whose value is the child's own pid; empty: none.
  std::string pid_variable;
  /// The working directory; by default the parent's.
  std::optional<std::string> cwd;
  /// Identity: real, effective and saved. Each drops the supplementary groups too, and another uid
  /// than root all capabilities. Needs root, or the ids one already has. InvalidArgument: -1, which
  /// is no id.
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
  /// The supplementary groups. Needs root.
  std::optional<std::vector<gid_t>> groups;
  /// The child's descriptor i is a duplicate of `fds[i]`; nothing else is open. -1, and what is
  /// missing of the first three: /dev/null for 0 to 2, closed above. So is `fds[i]` = i up to 2
  /// that is close-on-exec: this process was started with that one closed, and it is something of
  /// its own. Flags of the open file (O_NONBLOCK) are shared with the parent's and left alone.
  std::vector<int> fds;
  /// In this process group, of the same session; 0: in one of its own, which it leads.
  std::optional<pid_t> process_group;
  /// Leader of a session and of a process group of its own, without a terminal to control it: a
  /// Ctrl-C there reaches the parent only, and no use of the terminal stops it.
  bool new_session = false;
  /// cgroup.procs of the cgroup (v2) that it starts in, open for writing; -1: this process's.
  int cgroup_procs = -1;
  std::vector<LimitPlan> limits;
  std::optional<mode_t> umask;
  /// Added to this process's nice value. Negative ones need CAP_SYS_NICE.
  std::optional<int> nice;
  /// The CPUs that it may run on; empty: this process's.
  std::vector<unsigned> cpus;
  /// set-user-id programs and file capabilities give it and its descendants no privilege.
  bool no_new_privs = false;
  /// The kernel kills the child (SIGKILL) when this process ends, however it ends and whatever the
  /// child does: by a lifeline pipe, whose read end is the child's first descriptor above `fds`,
  /// and by PR_SET_PDEATHSIG. The latter is tied to the spawning *thread*, so only the main thread
  /// sets it. A copy of the write end in a process that somebody else forked without exec delays
  /// the lifeline. With `new_session` the lifeline is that of the whole process group: it holds as
  /// long as any member has the read end.
  bool die_with_parent = false;
  /// With `die_with_parent`: another signal in the place of SIGKILL.
  std::optional<int> death_signal;
  /// With `die_with_parent`: tells the child the number, for `adopt_lifeline`.
  bool lifeline_in_env = false;
  /// With `die_with_parent` and `new_session`: whom the child leaves behind when it has ended lives
  /// on, as below a shell. For a ChildWatch.
  bool group_outlives_child = false;
};

/// A process that has not been reaped. Destroying it kills a child that dies with its parent, does
/// nothing to another, and reaps neither.
struct Child {
  pid_t pid = -1;
  /// Readable once it has ended. Never reaches another process, as a pid may.
  OwnFd pidfd;
  /// Write end of the lifeline: closing it kills the child, or its group.
  OwnFd lifeline;
  /// With `group_outlives_child`: the other end, by which it is disarmed.
  OwnFd lifeline_read;

  Child() = default;
  Child(pid_t number, OwnFd descriptor, OwnFd life)
      : pid{number}, pidfd{std::move(descriptor)}, lifeline{std::move(life)} {}
  Child(Child&& other) noexcept
      : pid{std::exchange(other.pid, -1)},
        pidfd{std::move(other.pidfd)},
        lifeline{std::move(other.lifeline)},
        lifeline_read{std::move(other.lifeline_read)} {}
  Child& operator=(Child&& other) noexcept {
    pid = std::exchange(other.pid, -1);
    pidfd = std::move(other.pidfd);
    lifeline = std::move(other.lifeline);
    lifeline_read = std::move(other.lifeline_read);
    return *this;
  }
};

/// Starts a process. An error names the program and what failed, with the errno of the step:
/// `spawn /no/such: no such file or directory`, `spawn x: working directory /y: permission denied`.
/// Errc::InvalidArgument: an empty `file` or `argv`, or a NUL byte in a string.
Result<Child> spawn(const SpawnRequest& request);

/// In a child with `lifeline_in_env`, at the start of main: makes the lifeline close-on-exec, so
/// that grandchildren do not hold it, and takes its variable out of the environment. False, and
/// nothing else done, where there is no lifeline: the variable alone may come from an ancestor.
bool adopt_lifeline();

}  // namespace cohort::process
