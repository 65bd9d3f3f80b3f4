#include <fcntl.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/sys_output.h"

namespace cohort {

void OwnFd::reset(int fd) noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

namespace sys {
namespace {

thread_local FailNth* t_fail = nullptr;

template <class Call>
auto call(Call system_call) -> decltype(system_call()) {
  if (t_fail != nullptr && t_fail->fails()) return -1;
  for (;;) {
    auto result = system_call();
    if (result != -1 || errno != EINTR) return result;
  }
}

}  // namespace

FailNth::FailNth(int n, int errno_value) : n_{n}, errno_value_{errno_value}, outer_{t_fail} {
  t_fail = this;
}

FailNth::~FailNth() { t_fail = outer_; }

bool FailNth::fails() {
  if (calls_++ != n_) return false;
  errno = errno_value_;
  return true;
}

OwnFd socket(int domain, int type, int protocol) {
  return OwnFd{
      call([&] { return ::socket(domain, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol); })};
}

int socketpair(int domain, int type, bool nonblocking, OwnFd (&pair)[2]) {
  int fds[2];
  const int flags = type | SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0);
  if (call([&] { return ::socketpair(domain, flags, 0, fds); }) == -1) return -1;
  pair[0].reset(fds[0]);
  pair[1].reset(fds[1]);
  return 0;
}

int bind(int fd, const sockaddr* address, socklen_t size) {
  return call([&] { return ::bind(fd, address, size); });
}

int listen(int fd, int backlog) {
  return call([&] { return ::listen(fd, backlog); });
}

OwnFd accept(int fd, sockaddr_storage* address) {
  return OwnFd{call([&] {
    socklen_t size = sizeof(sockaddr_storage);
    return ::accept4(fd, reinterpret_cast<sockaddr*>(address), address != nullptr ? &size : nullptr,
                     SOCK_CLOEXEC | SOCK_NONBLOCK);
  })};
}

int connect(int fd, const sockaddr* address, socklen_t size) {
  return call([&] { return ::connect(fd, address, size); });
}

int shutdown(int fd, int how) {
  return call([&] { return ::shutdown(fd, how); });
}

int getsockname(int fd, sockaddr_storage& address, socklen_t& size) {
  return call([&] {
    size = sizeof address;
    return ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  });
}

int getpeername(int fd, sockaddr_storage& address, socklen_t& size) {
  return call([&] {
    size = sizeof address;
    return ::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size);
  });
}

int getsockopt(int fd, int level, int name, void* value, socklen_t& size) {
  return call([&] { return ::getsockopt(fd, level, name, value, &size); });
}

int setsockopt(int fd, int level, int name, const void* value, socklen_t size) {
  return call([&] { return ::setsockopt(fd, level, name, value, size); });
}

int set_int_option(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof value);
}

int int_option(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  return getsockopt(fd, level, name, &value, size) == 0 ? value : -1;
}

ssize_t recv(int fd, void* data, std::size_t size, int flags) {
  return call([&] { return ::recv(fd, data, size, flags); });
}

ssize_t send(int fd, const void* data, std::size_t size, int flags) {
  return call([&] { return ::send(fd, data, size, flags | MSG_NOSIGNAL); });
}

ssize_t sendmsg(int fd, const msghdr& message, int flags) {
  return call([&] { return ::sendmsg(fd, &message, flags | MSG_NOSIGNAL); });
}

ssize_t recvmsg(int fd, msghdr& message, int flags) {
  return call([&] { return ::recvmsg(fd, &message, flags | MSG_CMSG_CLOEXEC); });
}

bool wait_for(int fd, short events, std::chrono::steady_clock::time_point deadline) {
  if (t_fail != nullptr && t_fail->fails()) return false;
  pollfd target{fd, events, 0};
  for (;;) {
    using std::chrono::milliseconds;
    const auto left = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
    const auto timeout = std::clamp<milliseconds::rep>(left.count(), 0, 1'000'000);
    const int ready = ::poll(&target, 1, static_cast<int>(timeout));
    if (ready > 0) return true;
    if (ready == -1 && errno != EINTR) return false;
    if (ready == 0 && left.count() <= 0) return false;
  }
}

int bytes_readable(int fd, int& count) {
  return call([&] { return ::ioctl(fd, FIONREAD, &count); });
}

OwnFd open(const char* path, int flags, mode_t mode) {
  return OwnFd{call([&] { return ::open(path, flags | O_CLOEXEC, mode); })};
}

ssize_t read(int fd, void* data, std::size_t size) {
  return call([&] { return ::read(fd, data, size); });
}

ssize_t pread(int fd, void* data, std::size_t size, off_t offset) {
  return call([&] { return ::pread(fd, data, size, offset); });
}

ssize_t write(int fd, const void* data, std::size_t size) {
  return call([&] { return ::write(fd, data, size); });
}

int pipe(OwnFd (&ends)[2]) {
  int fds[2];
  if (call([&] { return ::pipe2(fds, O_CLOEXEC); }) == -1) return -1;
  ends[0].reset(fds[0]);
  ends[1].reset(fds[1]);
  return 0;
}

ssize_t splice_now(int from_pipe, int to_pipe, std::size_t size) {
  return call([&] {
    return ::splice(from_pipe, nullptr, to_pipe, nullptr, size, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
  });
}

int set_pipe_size(int fd, int size) {
  return call([&] { return ::fcntl(fd, F_SETPIPE_SZ, size); });
}

OwnFd duplicate(int fd, int lowest) {
  return OwnFd{call([&] { return ::fcntl(fd, F_DUPFD_CLOEXEC, lowest); })};
}

int status_flags(int fd) {
  return call([&] { return ::fcntl(fd, F_GETFL); });
}

off_t position(int fd) {
  return call([&] { return ::lseek(fd, 0, SEEK_CUR); });
}

int set_nonblocking(int fd, bool on) {
  const int flags = call([&] { return ::fcntl(fd, F_GETFL); });
  if (flags == -1) return -1;
  const int wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
  return wanted == flags ? 0 : call([&] { return ::fcntl(fd, F_SETFL, wanted); });
}

int set_cloexec(int fd, bool on) {
  return call([&] { return ::fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0); });
}

int set_async(int fd, bool on) {
  return call([&] {
    const int flags = ::fcntl(fd, F_GETFL);
    return flags == -1 ? -1 : ::fcntl(fd, F_SETFL, on ? flags | O_ASYNC : flags & ~O_ASYNC);
  });
}

int flock(int fd, int operation) {
  return call([&] { return ::flock(fd, operation); });
}

int unlink(const char* path) {
  return call([&] { return ::unlink(path); });
}

int access(const char* path, int mode) {
  return call([&] { return ::access(path, mode); });
}

int poll(int fd, short events, int timeout_ms) {
  pollfd entry{fd, events, 0};
  const int ready = call([&] { return ::poll(&entry, 1, timeout_ms); });
  // The kernel refuses more entries than RLIMIT_NOFILE, which may be 0; select does not.
  if (ready == -1 && errno == EINVAL && fd >= 0 && fd < FD_SETSIZE) {
    fd_set readable, writable;
    FD_ZERO(&readable);
    FD_ZERO(&writable);
    if ((events & POLLIN) != 0) FD_SET(fd, &readable);
    if ((events & POLLOUT) != 0) FD_SET(fd, &writable);
    timeval patience{timeout_ms / 1000, timeout_ms % 1000 * 1000};
    timeval* const until = timeout_ms < 0 ? nullptr : &patience;
    if (call([&] { return ::select(fd + 1, &readable, &writable, nullptr, until); }) == -1)
      return -1;
    return (FD_ISSET(fd, &readable) ? POLLIN : 0) | (FD_ISSET(fd, &writable) ? POLLOUT : 0);
  }
  return ready == 1 ? entry.revents : ready;
}

int stat(const char* path, struct ::stat& info) {
  return call([&] { return ::stat(path, &info); });
}

int fstat(int fd, struct ::stat& info) {
  return call([&] { return ::fstat(fd, &info); });
}

int chmod(const char* path, mode_t mode) {
  return call([&] { return ::chmod(path, mode); });
}

int mkdir(const char* path, mode_t mode) {
  return call([&] { return ::mkdir(path, mode); });
}

int rmdir(const char* path) {
  return call([&] { return ::rmdir(path); });
}

ssize_t getxattr(const char* path, const char* name, void* value, std::size_t size) {
  return call([&] { return ::getxattr(path, name, value, size); });
}

int signal_process(int pidfd, int signal_number) {
  return call([&] {
    return static_cast<int>(::syscall(SYS_pidfd_send_signal, pidfd, signal_number, nullptr, 0));
  });
}

int kill(pid_t pid, int signal_number) {
  return call([&] { return ::kill(pid, signal_number); });
}

int signal_group(int leader_pidfd, pid_t leader, int signal_number) {
  constexpr unsigned kProcessGroup = 1U << 2;  // PIDFD_SIGNAL_PROCESS_GROUP
  const int result = call([&] {
    return static_cast<int>(
        ::syscall(SYS_pidfd_send_signal, leader_pidfd, signal_number, nullptr, kProcessGroup));
  });
  if (result == 0 || errno != EINVAL || leader <= 1) return result;
  return call([&] { return ::kill(-leader, signal_number); });
}

OwnFd memfd_create(const char* name, unsigned flags) {
  return OwnFd{call([&] { return ::memfd_create(name, flags); })};
}

OwnFd eventfd() {
  return OwnFd{call([] { return ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); })};
}

int futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
               std::chrono::nanoseconds timeout, bool shared) {
  // A point in time, so that a call that a signal interrupts waits no longer for that.
  timespec until{};
  ::clock_gettime(CLOCK_MONOTONIC, &until);
  const auto nanoseconds = until.tv_nsec + timeout.count() % 1'000'000'000;
  until.tv_sec +=
      static_cast<time_t>(timeout.count() / 1'000'000'000 + nanoseconds / 1'000'000'000);
  until.tv_nsec = nanoseconds % 1'000'000'000;
  const int operation = FUTEX_WAIT_BITSET | (shared ? 0 : FUTEX_PRIVATE_FLAG);
  return call([&] {
    return static_cast<int>(::syscall(SYS_futex, &word, operation, expected,
                                      timeout.count() < 0 ? nullptr : &until, nullptr,
                                      FUTEX_BITSET_MATCH_ANY));
  });
}

bool has_memory_barrier_everywhere() {
  return ::syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

void memory_barrier_everywhere() {
  ::syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}

int futex_wake(const std::atomic<std::uint32_t>& word, int count, bool shared) {
  const int operation = FUTEX_WAKE | (shared ? 0 : FUTEX_PRIVATE_FLAG);
  return call([&] {
    return static_cast<int>(::syscall(SYS_futex, &word, operation, count, nullptr, nullptr, 0));
  });
}

OwnFd epoll_create() {
  return OwnFd{call([&] { return ::epoll_create1(EPOLL_CLOEXEC); })};
}

int epoll_add_readable(int epoll, int fd, std::uint64_t tag) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = tag;
  return call([&] { return ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event); });
}

int epoll_add_writable(int epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLOUT;
  return call([&] { return ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event); });
}

int epoll_ready(int epoll, std::span<epoll_event> ready) {
  const int room = static_cast<int>(ready.size());
  return call([&] { return ::epoll_wait(epoll, ready.data(), room, 0); });
}

int ftruncate(int fd, off_t size) {
  return call([&] { return ::ftruncate(fd, size); });
}

int fallocate(int fd, off_t offset, off_t size) {
  return call([&] { return ::fallocate(fd, 0, offset, size); });
}

int add_seals(int fd, int seals) {
  return call([&] { return ::fcntl(fd, F_ADD_SEALS, seals); });
}

int seals(int fd) {
  return call([&] { return ::fcntl(fd, F_GET_SEALS); });
}

OwnFd pidfd_open(pid_t pid) {
  return OwnFd{call([&] { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); })};
}

int reap(int pidfd, siginfo_t& info, rusage& usage) {
  constexpr int kPidFd = 3;  // P_PIDFD; glibc 2.36 has it, older ones do not
  info.si_pid = 0;
  // The raw call: only it reports the resource usage.
  const long result =
      call([&] { return ::syscall(SYS_waitid, kPidFd, pidfd, &info, WEXITED | WNOHANG, &usage); });
  if (result == -1) return -1;
  return info.si_pid == 0 ? 0 : 1;
}

int wait_child(idtype_t kind, id_t id, siginfo_t& info, int options) {
  info.si_pid = 0;
  if (call([&] { return ::waitid(kind, id, &info, options | WNOHANG); }) == -1) return -1;
  return info.si_pid == 0 ? 0 : 1;
}

int become_subreaper() {
  return call([] { return ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); });
}

bool has_capabilities(std::initializer_list<unsigned> wanted) {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
  if (call([&] { return ::syscall(SYS_capget, &header, sets.data()); }) == -1) return false;
  return std::all_of(wanted.begin(), wanted.end(), [&](unsigned capability) {
    return (sets[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability)) != 0;
  });
}

int wait_signal(const sigset_t& signals, std::chrono::milliseconds timeout) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout);
  const timespec time{.tv_sec = seconds.count(),
                      .tv_nsec = std::chrono::nanoseconds{timeout - seconds}.count()};
  const int number = ::sigtimedwait(&signals, nullptr, &time);
  return number == -1 ? 0 : number;
}

OwnFd inotify_create() {
  return OwnFd{call([] { return ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC); })};
}

int inotify_add(int fd, const char* path, std::uint32_t events) {
  return call([&] { return ::inotify_add_watch(fd, path, events); });
}

bool is_terminal(int fd) { return ::isatty(fd) == 1; }

}  // namespace sys
}  // namespace cohort
