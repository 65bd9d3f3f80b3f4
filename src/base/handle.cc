#include "cohort/handle.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include "base/sys.h"

namespace cohort {
namespace {

Handle::Kind kind_of(int fd) {
  using Kind = Handle::Kind;
  const int type = sys::int_option(fd, SOL_SOCKET, SO_TYPE);
  const int domain = sys::int_option(fd, SOL_SOCKET, SO_DOMAIN);
  if (type == SOCK_STREAM && (domain == AF_INET || domain == AF_INET6 || domain == AF_UNIX))
    return sys::int_option(fd, SOL_SOCKET, SO_ACCEPTCONN) == 1 ? Kind::Server : Kind::Socket;
  if (type == SOCK_DGRAM && (domain == AF_INET || domain == AF_INET6)) return Kind::Datagram;
  struct stat status{};
  return type == -1 && ::fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode) ? Kind::Socket
                                                                             : Kind::Other;
}

}  // namespace

Handle::Handle(OwnFd fd, std::string head) : fd_{std::move(fd)}, head_{std::move(head)} {
  if (fd_) kind_ = kind_of(fd_.get());
}

Handle Handle::several(std::vector<Handle> handles) {
  Handle all;
  if (!handles.empty()) all.kind_ = Kind::Several;
  all.several_ = std::move(handles);
  return all;
}

std::vector<Handle> Handle::split() {
  if (kind_ == Kind::Several) kind_ = Kind::None;
  return std::exchange(several_, {});
}

OwnFd Handle::release() {
  if (kind_ == Kind::Several) return {};
  kind_ = Kind::None;
  head_.clear();
  attachment_.reset();
  return std::move(fd_);
}

Result<Handle> Handle::duplicate() const {
  if (kind_ == Kind::Several) {
    std::vector<Handle> copies;
    for (const Handle& handle : several_) {
      auto copy = handle.duplicate();
      if (!copy) return copy.error();
      copies.push_back(*std::move(copy));
    }
    return several(std::move(copies));
  }
  OwnFd copy = sys::duplicate(fd_.get());
  if (!copy) return errno_error("duplicate a handle");
  return Handle{std::move(copy), head_};
}

}  // namespace cohort
