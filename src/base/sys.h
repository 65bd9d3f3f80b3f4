// The OS seam: every system call that cohort makes on sockets, pipes, files and processes.
//
// Contract of each function: that of the system call it is named after (-1 and errno), with one
// EINTR policy (retried here, but for `close`, which is never retried) and one descriptor policy
// (what is made here is close-on-exec and, for sockets and pipes, non-blocking unless it says
// otherwise). Asio never opens, accepts or connects: the sockets it makes are not close-on-exec.
//
// Tests make the N-th call fail with `FailNth`. It is thread-local and costs one pointer test.
#pragma once

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>

#include "cohort/fd.h"

namespace cohort::sys {

/// While it lives, calls on this thread are counted and the `n`-th (from 0) fails with
/// `errno_value`.
class FailNth {
 public:
  FailNth(int n, int errno_value);
  ~FailNth();
  FailNth(const FailNth&) = delete;
  FailNth& operator=(const FailNth&) = delete;
  bool fired() const { return calls_ > n_; }
  int calls() const { return calls_; }
  /// Used by the wrappers: true if this call has to fail; errno is then set.
  bool fails();

 private:
  int n_;
  int errno_value_;
  int calls_ = 0;
  FailNth* outer_;
};

// Sockets.
OwnFd socket(int domain, int type, int protocol);
/// A connected pair, close-on-exec; both ends non-blocking only if `nonblocking`.
int socketpair(int domain, int type, bool nonblocking, OwnFd (&pair)[2]);
int bind(int fd, const sockaddr* address, socklen_t size);
int listen(int fd, int backlog);
/// `address` may be null.
OwnFd accept(int fd, sockaddr_storage* address = nullptr);
int connect(int fd, const sockaddr* address, socklen_t size);
int shutdown(int fd, int how);
int getsockname(int fd, sockaddr_storage& address, socklen_t& size);
int getpeername(int fd, sockaddr_storage& address, socklen_t& size);
int getsockopt(int fd, int level, int name, void* value, socklen_t& size);
int setsockopt(int fd, int level, int name, const void* value, socklen_t size);
int set_int_option(int fd, int level, int name, int value);
/// -1 if there is none.
int int_option(int fd, int level, int name);
ssize_t recv(int fd, void* data, std::size_t size, int flags);
/// Always MSG_NOSIGNAL: a dead peer is EPIPE, never SIGPIPE.
ssize_t send(int fd, const void* data, std::size_t size, int flags = 0);
ssize_t sendmsg(int fd, const msghdr& message, int flags = 0);
/// Always MSG_CMSG_CLOEXEC.
ssize_t recvmsg(int fd, msghdr& message, int flags = 0);
/// Blocks until one of `events` (POLLIN, POLLOUT), an error or the end; false at the deadline.
bool wait_for(int fd, short events, std::chrono::steady_clock::time_point deadline);
/// Bytes that wait to be read (FIONREAD).
int bytes_readable(int fd, int& count);

// Files and pipes.
OwnFd open(const char* path, int flags, mode_t mode = 0);
ssize_t read(int fd, void* data, std::size_t size);
ssize_t write(int fd, const void* data, std::size_t size);
/// Blocking ends, close-on-exec.
int pipe(OwnFd (&ends)[2]);
/// Anonymous memory as a file; `flags` as MFD_CLOEXEC.
OwnFd memfd_create(const char* name, unsigned flags);
int ftruncate(int fd, off_t size);
/// A counter that is readable while it is not 0.
OwnFd eventfd();
/// Blocks while `word` is `expected`, for `timeout` at most (negative: for ever). -1 and errno:
/// ETIMEDOUT, EAGAIN if it was another value. `shared`: other processes wait for the same memory.
int futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
               std::chrono::nanoseconds timeout, bool shared);
/// Whether `memory_barrier_everywhere` works here; it has to be asked first.
bool has_memory_barrier_everywhere();
/// Every other thread of this process has gone through a full memory barrier when this returns
/// (membarrier(2)): who sleeps rarely pays for those who look often.
void memory_barrier_everywhere();
/// Wakes at most so many of those that wait.
int futex_wake(const std::atomic<std::uint32_t>& word, int count, bool shared);
/// Close-on-exec. Itself readable while any that was added is.
OwnFd epoll_create();
/// Level-triggered, until either is closed; `epoll_ready` tells it by its `tag` (`data.u64`).
int epoll_add_readable(int epoll, int fd, std::uint64_t tag);
/// Readable itself while `fd` is writable. EPERM: a file that always is.
int epoll_add_writable(int epoll, int fd);
/// How many are readable now, at most as many as `ready` has room for; -1 and errno.
int epoll_ready(int epoll, std::span<epoll_event> ready);
/// Makes sure that the range has memory, or room on its disk.
int fallocate(int fd, off_t offset, off_t size);
/// F_SEAL_SHRINK and others of such a file: to add, and those that it has (-1: not such a file).
int add_seals(int fd, int seals);
int seals(int fd);
/// A close-on-exec duplicate numbered `lowest` or above.
OwnFd duplicate(int fd, int lowest = 3);
int set_nonblocking(int fd, bool on);
int set_cloexec(int fd, bool on);
/// O_ASYNC: its owner gets a signal when it becomes ready.
int set_async(int fd, bool on);
int unlink(const char* path);
int flock(int fd, int operation);
int access(const char* path, int mode);
/// Of one descriptor: what is ready (`revents`), 0 after the timeout, -1 and errno.
int poll(int fd, short events, int timeout_ms);
int stat(const char* path, struct ::stat& info);
int chmod(const char* path, mode_t mode);
int mkdir(const char* path, mode_t mode);
int rmdir(const char* path);
ssize_t getxattr(const char* path, const char* name, void* value, std::size_t size);

// Processes.
/// `kill` through a pidfd: never reaches a process that took over the number.
int signal_process(int pidfd, int signal_number);
int kill(pid_t pid, int signal_number);
/// `kill` of the process group that `leader` leads or led; -1 and ESRCH if nobody is in it. By its
/// pidfd, which never reaches another group, from Linux 6.9 on; before, by the number: there the
/// caller knows that the leader is not reaped, or that another member lives.
int signal_group(int leader_pidfd, pid_t leader, int signal_number);
/// Of a process that need not be our child. Close-on-exec.
OwnFd pidfd_open(pid_t pid);
/// waitid(P_PIDFD, WEXITED|WNOHANG). 1: reaped, `info` and `usage` are set; 0: still running; -1:
/// errno.
int reap(int pidfd, siginfo_t& info, rusage& usage);
/// waitid with WNOHANG. 1: `info` is set; 0: nothing to report now; -1: errno.
int wait_child(idtype_t kind, id_t id, siginfo_t& info, int options);
/// Orphans of this process's descendants become its children (PR_SET_CHILD_SUBREAPER), to reap.
int become_subreaper();
/// Waits for one of the signals, which are blocked; 0 after the timeout.
int wait_signal(const sigset_t& signals, std::chrono::milliseconds timeout);
bool is_terminal(int fd);
/// Whether all of these (CAP_...) are in this thread's effective set.
bool has_capabilities(std::initializer_list<unsigned> wanted);

// Changes of files.
/// Non-blocking, close-on-exec.
OwnFd inotify_create();
/// The number of the watch; -1 and errno (ENOSPC: the user has too many).
int inotify_add(int fd, const char* path, std::uint32_t events);

}  // namespace cohort::sys
