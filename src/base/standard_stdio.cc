#include "base/standard_stdio.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "base/sys.h"

namespace cohort::sys {

void open_standard_descriptors() {
  const int before = errno;
  // The lowest that is free: those below are open by now.
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd)
    if (::fcntl(fd, F_GETFD) == -1 && ::open("/dev/null", O_RDWR) == -1) break;
  errno = before;
}

bool is_inheritable(int fd) {
  const int flags = ::fcntl(fd, F_GETFD);
  return flags != -1 && (flags & FD_CLOEXEC) == 0;
}

bool is_nonblocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  return flags != -1 && (flags & O_NONBLOCK) != 0;
}

OwnFd reopen(int fd) {
  struct ::stat info{};
  if (::fstat(fd, &info) == -1) return {};
  // Opening the other side of a terminal makes a new one.
  const bool terminal = S_ISCHR(info.st_mode) && info.st_rdev != makedev(5, 2) && ::isatty(fd) == 1;
  if (!terminal && !S_ISFIFO(info.st_mode)) {
    errno = ENOTSUP;
    return {};
  }
  const int kept = ::fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_DIRECT);
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  // Non-blocking: a named pipe would wait for its other end.
  OwnFd own = open(path.c_str(), kept | O_NONBLOCK | O_NOCTTY);
  if (own && set_nonblocking(own.get(), false) == -1) return {};
  return own;
}

}  // namespace cohort::sys
