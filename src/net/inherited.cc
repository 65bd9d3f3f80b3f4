#include "net/inherited.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

#include "base/sys.h"
#include "net/sockaddr.h"

namespace cohort::net {
namespace {

constexpr int kFirstInherited = 3;
constexpr int kInheritedMax = 1024;

std::optional<int> number_in(const char* variable) {
  const char* const text = std::getenv(variable);
  if (text == nullptr) return std::nullopt;
  int number = 0;
  const char* const end = text + std::strlen(text);
  const auto parsed = std::from_chars(text, end, number);
  if (parsed.ec != std::errc{} || parsed.ptr != end) return std::nullopt;
  return number;
}

int option_of(int fd, int name) { return sys::int_option(fd, SOL_SOCKET, name); }

std::vector<int> take_inherited() {
  std::vector<int> sockets;
  if (number_in("LISTEN_PID") != ::getpid()) return sockets;
  const int count = std::min(number_in("LISTEN_FDS").value_or(0), kInheritedMax);
  for (const char* variable : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(variable);
  for (int fd = kFirstInherited; fd - kFirstInherited < count; ++fd)
    if (option_of(fd, SO_TYPE) != -1 && sys::set_cloexec(fd, true) == 0) sockets.push_back(fd);
  return sockets;
}

bool is_any(const Address& address) {
  return address.host() == "::" || address.host() == "0.0.0.0";
}

bool is_at(int fd, const Address& address, int type) {
  if (option_of(fd, SO_TYPE) != type) return false;
  if (type == SOCK_STREAM && option_of(fd, SO_ACCEPTCONN) != 1) return false;
  const auto bound = local_address(fd);
  if (!bound) return false;
  if (address.is_unix() || bound->is_unix()) return *bound == address;
  if (bound->port() != address.port()) return false;
  if (address.host().empty()) return is_any(*bound);
  const auto candidates = resolve(address);
  return candidates && std::any_of(candidates->begin(), candidates->end(),
                                   [&](const SockAddr& c) { return from_sockaddr(c) == *bound; });
}

}  // namespace

OwnFd inherited_socket(const Address& address, int type) {
  static const std::vector<int> sockets = take_inherited();
  for (const int socket : sockets) {
    if (!is_at(socket, address, type)) continue;
    OwnFd copy = sys::duplicate(socket);
    if (copy) sys::set_nonblocking(copy.get(), true);
    return copy;
  }
  return {};
}

}  // namespace cohort::net
