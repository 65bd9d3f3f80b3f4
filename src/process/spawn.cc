#include "process/spawn.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "base/sys.h"
#include "process/spawn_plan.h"

namespace cohort::process {
namespace {

// What the child needs until exec: 4 KiB, most of it the list that close_listed_from reads.
constexpr std::size_t kChildStackSize = 16 * 1024;

// Blocks all signals of this thread, those included that the C library keeps for itself, which its
// own function would leave out.
class EverySignalBlocked {
 public:
  EverySignalBlocked() {
    ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &kAll, &before_, sizeof before_);
  }
  ~EverySignalBlocked() {
    ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before_, nullptr, sizeof before_);
  }
  EverySignalBlocked(const EverySignalBlocked&) = delete;
  EverySignalBlocked& operator=(const EverySignalBlocked&) = delete;

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
  const EverySignalBlocked blocked;
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

}  // namespace

Result<Child> spawn(const SpawnRequest& request) {
  auto prepared = prepare_spawn(request);
  if (!prepared) return prepared.error();
  ChildPlan& plan = (*prepared)->plan;
  OwnFd pidfd;
  const pid_t pid = clone_child(plan, pidfd);
  if (pid == -1) return no_child(request, errno);
  if (plan.failed_step != SpawnStep::None) {
    reap_failed(pidfd);
    return child_failure(request, (*prepared)->files, plan);
  }
  Child child{pid, std::move(pidfd), std::move((*prepared)->lifeline_write)};
  if (request.group_outlives_child) child.lifeline_read = std::move((*prepared)->lifeline_read);
  return child;
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
