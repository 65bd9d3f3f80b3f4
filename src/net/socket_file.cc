#include "net/socket_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <string>

#include "base/sys.h"

namespace cohort::net {
namespace {

constexpr int kLockTries = 200;  // each a millisecond: who has it binds a socket, and lets go

/// None and errno 0: there is no lock to be had, and nothing is wrong.
OwnFd lock_directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string directory =
      slash == std::string::npos ? "." : path.substr(0, slash == 0 ? 1 : slash);
  OwnFd fd = sys::open(directory.c_str(), O_RDONLY | O_DIRECTORY);
  if (!fd) {
    if (errno == EACCES) errno = 0;
    return {};
  }
  for (int tries = 0;; ++tries) {
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
    const bool busy = errno == EWOULDBLOCK && tries < kLockTries;
    if (!busy || sys::poll(-1, 0, 1) == -1) break;
  }
  // Some file systems have no locks.
  if (errno == EWOULDBLOCK || errno == EOPNOTSUPP || errno == ENOLCK || errno == EINVAL) errno = 0;
  return {};
}

/// The caller has the lock: nobody binds it meanwhile.
bool is_left_behind(const std::string& path, const SockAddr& address) {
  if (is_other_file(path)) return false;
  const OwnFd client = sys::socket(AF_UNIX, SOCK_STREAM, 0);
  // Other failures: its queue is full, or it is not for us to ask.
  return client && sys::connect(client.get(), address.get(), address.size) == -1 &&
         errno == ECONNREFUSED;
}

}  // namespace

int bind_socket_file(int fd, const SockAddr& address, int backlog) {
  const std::string path = from_sockaddr(address).path();
  const OwnFd lock = lock_directory_of(path);
  if (!lock && errno != 0) return -1;
  if (sys::bind(fd, address.get(), address.size) == -1) {
    if (errno != EADDRINUSE) return -1;
    if (!lock || !is_left_behind(path, address)) {
      errno = EADDRINUSE;
      return -1;
    }
    if (sys::unlink(path.c_str()) == -1 || sys::bind(fd, address.get(), address.size) == -1)
      return -1;
  }
  if (sys::listen(fd, backlog) == 0) return 0;
  const int failure = errno;
  sys::unlink(path.c_str());
  errno = failure;
  return -1;
}

SocketFile::SocketFile(const Address& bound) {
  if (!bound.is_unix() || bound.path()[0] == '\0') return;
  path_ = bound.path();
  struct ::stat info{};
  if (sys::stat(path_.c_str(), info) == 0) identity_ = {info.st_dev, info.st_ino};
}

bool SocketFile::has_its_name() const {
  if (path_.empty() || !identity_) return !path_.empty();
  struct ::stat info{};
  return sys::stat(path_.c_str(), info) == 0 && *identity_ == std::pair{info.st_dev, info.st_ino};
}

void SocketFile::remove() {
  // Nobody who takes the lock replaces it between the look and the removal.
  const OwnFd lock = has_its_name() ? lock_directory_of(path_) : OwnFd{};
  if (has_its_name()) sys::unlink(path_.c_str());
  path_.clear();
}

bool is_other_file(const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::symlink_status(path, error);
  return std::filesystem::exists(status) && !std::filesystem::is_socket(status);
}

}  // namespace cohort::net
