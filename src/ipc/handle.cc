#include "ipc/handle.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include "base/sys.h"

namespace cohort {
namespace {

int socket_option(int fd, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  return sys::getsockopt(fd, SOL_SOCKET, name, &value, size) == 0 ? value : -1;
}

Handle::Kind kind_of(int fd) {
  using Kind = Handle::Kind;
  const int type = socket_option(fd, SO_TYPE);
  const int domain = socket_option(fd, SO_DOMAIN);
  if (type == SOCK_STREAM && (domain == AF_INET || domain == AF_INET6 || domain == AF_UNIX))
    return socket_option(fd, SO_ACCEPTCONN) == 1 ? Kind::Server : Kind::Socket;
  if (type == SOCK_DGRAM && (domain == AF_INET || domain == AF_INET6)) return Kind::Datagram;
  struct stat status{};
  return type == -1 && ::fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode) ? Kind::Socket
                                                                             : Kind::Other;
}

}  // namespace

Handle::Handle(OwnFd fd, std::string head) : fd_{std::move(fd)}, head_{std::move(head)} {
  if (fd_) kind_ = kind_of(fd_.get());
}

OwnFd Handle::release() {
  kind_ = Kind::None;
  head_.clear();
  attachment_.reset();
  return std::move(fd_);
}

Result<Handle> Handle::duplicate() const {
  OwnFd copy = sys::duplicate(fd_.get());
  if (!copy) return errno_error("duplicate a handle");
  return Handle{std::move(copy), head_};
}

namespace ipc {
namespace {

// Bytes as characters U+0000 to U+00FF: a message may be JSON.
std::string to_text(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      text += c;
    } else {
      text += static_cast<char>(0xC0 | (byte >> 6));
      text += static_cast<char>(0x80 | (byte & 0x3F));
    }
  }
  return text;
}

std::string to_bytes(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead < 0x80 || i + 1 == text.size())
      bytes += text[i];
    else
      bytes += static_cast<char>((lead << 6) | (static_cast<unsigned char>(text[++i]) & 0x3F));
  }
  return bytes;
}

}  // namespace

bool suits_node(const Handle& handle) {
  return handle.kind() != Handle::Kind::Other && handle.head().empty();
}

Handle take_handle(Incoming& incoming) {
  if (!incoming.fd) return {};
  return Handle{std::move(incoming.fd), to_bytes(incoming.handle_head)};
}

Value wrap(const Handle& handle, Value message) {
  // As Node names them; it has no pipes of its own kind.
  const auto type = [&]() -> std::string_view {
    switch (handle.kind()) {
      case Handle::Kind::Server:
        return "net.Server";
      case Handle::Kind::Socket:
        return socket_option(handle.native_handle(), SO_TYPE) == -1 ? "net.Native" : "net.Socket";
      case Handle::Kind::Datagram:
        return "dgram.Socket";
      case Handle::Kind::Other:
      case Handle::Kind::None:
        break;
    }
    return "cohort.Fd";
  };
  Value wrapped = wrap_handle(type(), std::move(message));
  if (handle.kind() == Handle::Kind::Datagram)
    wrapped["dgramType"] =
        socket_option(handle.native_handle(), SO_DOMAIN) == AF_INET6 ? "udp6" : "udp4";
  if (!handle.head().empty()) wrapped["head"] = to_text(handle.head());
  return wrapped;
}

}  // namespace ipc
}  // namespace cohort
