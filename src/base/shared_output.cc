#include "base/shared_output.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <string>
#include <utility>

#include "base/sys_output.h"

namespace cohort {
namespace {

constexpr int kLargePipeSize = 1 << 20;
// Of a file that says it is writable, without saying how much it takes.
constexpr std::size_t kPolledSize = 64;

// While it lives, a pipe that nobody reads is an error of the write in this thread, also in a
// program that has left SIGPIPE as it was.
class NoSigpipe {
 public:
  NoSigpipe() {
    ::sigemptyset(&sigpipe_);
    ::sigaddset(&sigpipe_, SIGPIPE);
    sigset_t pending;
    ::sigpending(&pending);
    was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
    ::pthread_sigmask(SIG_BLOCK, &sigpipe_, &before_);
  }
  ~NoSigpipe() {
    const int saved_errno = errno;
    if (saved_errno == EPIPE && !was_pending_) sys::wait_signal(sigpipe_, std::chrono::seconds{0});
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    errno = saved_errno;
  }
  NoSigpipe(const NoSigpipe&) = delete;
  NoSigpipe& operator=(const NoSigpipe&) = delete;

 private:
  sigset_t sigpipe_, before_;
  bool was_pending_;
};

}  // namespace

SharedOutput::SharedOutput(int fd) : fd_{fd}, polled_size_{kPolledSize} {
  struct ::stat info{};
  if (sys::fstat(fd, info) == -1) return;
  if (S_ISFIFO(info.st_mode)) {
    kind_ = Kind::Pipe;
    polled_size_ = PIPE_BUF;
  } else if (S_ISSOCK(info.st_mode)) {
    kind_ = Kind::Socket;
  } else if (::isatty(fd) == 1) {
    // Opened anew it is an open file of our own; another user's terminal cannot be.
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    own_ = sys::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY);
    if (own_) kind_ = Kind::NonBlocking;
  } else if (S_ISREG(info.st_mode) || S_ISBLK(info.st_mode)) {
    kind_ = Kind::AlwaysTaken;
  }
}

ssize_t SharedOutput::write_some(std::string_view bytes) {
  if (bytes.empty()) return 0;
  const NoSigpipe guarded;
  switch (kind_) {
    case Kind::Pipe:
      return splice_some(bytes);
    case Kind::Socket:
      return sys::send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT);
    case Kind::NonBlocking:
      return sys::write(own_.get(), bytes.data(), bytes.size());
    case Kind::AlwaysTaken:
      return sys::write(fd_, bytes.data(), bytes.size());
    case Kind::Polled:
      break;
  }
  return poll_and_write(bytes);
}

// From a pipe of our own: splice is told not to wait call by call, whoever the other pipe belongs
// to.
ssize_t SharedOutput::splice_some(std::string_view bytes) {
  if (!staged_read_) {
    OwnFd ends[2];
    // No descriptor left, which has to be said: this pipe has room for a page, or says it has none.
    if (sys::pipe(ends) == -1) return poll_and_write(bytes);
    if (sys::set_nonblocking(ends[1].get(), true) == -1) return -1;
    staged_read_ = std::move(ends[0]);
    staged_write_ = std::move(ends[1]);
  }
  std::size_t taken = 0;
  while (taken < bytes.size()) {
    if (staged_ == 0) {
      const std::string_view rest = bytes.substr(taken);
      const ssize_t staged = sys::write(staged_write_.get(), rest.data(), rest.size());
      if (staged == -1) return taken > 0 ? static_cast<ssize_t>(taken) : -1;
      staged_ = static_cast<std::size_t>(staged);
    }
    const ssize_t moved = sys::splice_now(staged_read_.get(), fd_, staged_);
    if (moved <= 0) return taken > 0 ? static_cast<ssize_t>(taken) : -1;
    staged_ -= static_cast<std::size_t>(moved);
    taken += static_cast<std::size_t>(moved);
  }
  return static_cast<ssize_t>(taken);
}

// Another user's terminal, or a device: what it can be asked is whether it takes a little.
ssize_t SharedOutput::poll_and_write(std::string_view bytes) {
  const int ready = fd_ < 0 ? POLLNVAL : sys::poll(fd_, POLLOUT, 0);
  if (ready == -1) return -1;
  if ((ready & POLLOUT) == 0) {
    errno = (ready & (POLLERR | POLLHUP | POLLNVAL)) != 0 ? EPIPE : EAGAIN;
    return -1;
  }
  return sys::write(fd_, bytes.data(), std::min(bytes.size(), polled_size_));
}

OwnFd readable_while_writable(int fd) {
  OwnFd epoll = sys::epoll_create();
  if (epoll && sys::epoll_add_writable(epoll.get(), fd) == -1) epoll.reset();
  return epoll;
}

void SharedOutput::make_room() {
  if (kind_ == Kind::Pipe) sys::set_pipe_size(fd_, kLargePipeSize);
}

LastPatience::LastPatience(std::chrono::milliseconds still, std::chrono::milliseconds total)
    : still_{still}, end_{std::chrono::steady_clock::now() + total} {}

bool LastPatience::wait(const SharedOutput& output) {
  if (over_) return false;
  const auto deadline = std::min(std::chrono::steady_clock::now() + still_, end_);
  over_ = !sys::wait_for(output.fd(), POLLOUT, deadline);
  return !over_;
}

std::size_t write_out(SharedOutput& output, std::string_view bytes, LastPatience& patience) {
  std::size_t written = 0;
  bool grown = false;
  while (written < bytes.size()) {
    const ssize_t taken = output.write_some(bytes.substr(written));
    if (taken > 0) {
      written += static_cast<std::size_t>(taken);
    } else if (taken == -1 && errno != EAGAIN) {
      break;
    } else if (!std::exchange(grown, true)) {
      output.make_room();
    } else if (!patience.wait(output)) {
      break;
    }
  }
  return written;
}

void write_to_stderr(std::string_view text) {
  SharedOutput output{STDERR_FILENO};
  LastPatience patience;
  write_out(output, text, patience);
}

}  // namespace cohort
