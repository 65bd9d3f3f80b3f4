#include "net/sockaddr.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <memory>

#include "base/sys.h"

namespace cohort::net {
namespace {

constexpr socklen_t kUnixHeader = offsetof(sockaddr_un, sun_path);

template <class Family>
Family& as(SockAddr& address) {
  return reinterpret_cast<Family&>(address.storage);
}

template <class Family>
const Family& as(const SockAddr& address) {
  return reinterpret_cast<const Family&>(address.storage);
}

Error cannot_use(const Address& address, std::string detail) {
  return make_error(Errc::AddressMismatch, to_string(address), std::move(detail));
}

Result<SockAddr> unix_sockaddr(const Address& address) {
  SockAddr result;
  auto& un = as<sockaddr_un>(result);
  const std::string& path = address.path();
  const bool abstract = path[0] == '\0';
  // A file's path needs its terminating NUL, an abstract name has none.
  if (path.size() + (abstract ? 0 : 1) > sizeof un.sun_path)
    return system_error(ENAMETOOLONG, to_string(address),
                        "a Unix socket's path has at most 107 bytes");
  if (!abstract && path.find('\0') != std::string::npos)
    return cannot_use(address, "the path contains a NUL byte");
  un.sun_family = AF_UNIX;
  std::memcpy(un.sun_path, path.data(), path.size());
  result.size = kUnixHeader + static_cast<socklen_t>(path.size() + (abstract ? 0 : 1));
  return result;
}

// `zone` is an interface's name or number.
unsigned scope_id(const std::string& zone) {
  unsigned number = 0;
  const char* end = zone.data() + zone.size();
  const auto [last, error] = std::from_chars(zone.data(), end, number);
  return error == std::errc{} && last == end ? number : ::if_nametoindex(zone.c_str());
}

Result<SockAddr> ip_sockaddr(const Address& address) {
  SockAddr result;
  const std::string& host = address.host();
  auto& in4 = as<sockaddr_in>(result);
  if (::inet_pton(AF_INET, host.c_str(), &in4.sin_addr) == 1) {
    in4.sin_family = AF_INET;
    in4.sin_port = htons(address.port());
    result.size = sizeof in4;
    return result;
  }
  auto& in6 = as<sockaddr_in6>(result);
  const auto percent = host.find('%');
  if (::inet_pton(AF_INET6, host.substr(0, percent).c_str(), &in6.sin6_addr) != 1)
    return cannot_use(address, "not an IP address");
  in6.sin6_family = AF_INET6;
  in6.sin6_port = htons(address.port());
  result.size = sizeof in6;
  if (percent == std::string::npos) return result;
  in6.sin6_scope_id = scope_id(host.substr(percent + 1));
  if (in6.sin6_scope_id == 0)
    return system_error(ENODEV, to_string(address), "no interface has this name; see: ip link");
  return result;
}

Result<std::vector<SockAddr>> look_up(const Address& address) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int status = ::getaddrinfo(address.host().c_str(), nullptr, &hints, &found);
  if (status != 0) return cannot_use(address, ::gai_strerror(status));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner{found, &::freeaddrinfo};
  std::vector<SockAddr> result;
  for (const addrinfo* info = found; info != nullptr; info = info->ai_next) {
    SockAddr entry;
    std::memcpy(&entry.storage, info->ai_addr, info->ai_addrlen);
    entry.size = info->ai_addrlen;
    if (entry.family() == AF_INET) as<sockaddr_in>(entry).sin_port = htons(address.port());
    if (entry.family() == AF_INET6) as<sockaddr_in6>(entry).sin6_port = htons(address.port());
    result.push_back(entry);
  }
  return result;
}

std::string host_of(const sockaddr_in6& in6) {
  char text[INET6_ADDRSTRLEN];
  std::string host = ::inet_ntop(AF_INET6, &in6.sin6_addr, text, sizeof text);
  if (in6.sin6_scope_id == 0) return host;
  char name[IF_NAMESIZE];
  const bool named = ::if_indextoname(in6.sin6_scope_id, name) != nullptr;
  return host + '%' + (named ? name : std::to_string(in6.sin6_scope_id));
}

}  // namespace

Result<SockAddr> to_sockaddr(const Address& address) {
  return address.is_unix() ? unix_sockaddr(address) : ip_sockaddr(address);
}

Result<std::vector<SockAddr>> resolve(const Address& address) {
  if (!address.is_unix() && address.host().empty())
    return std::vector{to_sockaddr({"::", address.port()}).value(),
                       to_sockaddr({"0.0.0.0", address.port()}).value()};
  auto literal = to_sockaddr(address);
  if (literal) return std::vector{*literal};
  const bool maybe_name = literal.error().code == make_error_code(Errc::AddressMismatch);
  if (address.is_unix() || !maybe_name) return literal.error();
  return look_up(address);
}

Address from_sockaddr(const SockAddr& address) {
  if (address.family() == AF_INET) {
    const auto& in4 = as<sockaddr_in>(address);
    char text[INET_ADDRSTRLEN];
    return {::inet_ntop(AF_INET, &in4.sin_addr, text, sizeof text), ntohs(in4.sin_port)};
  }
  if (address.family() == AF_INET6) {
    const auto& in6 = as<sockaddr_in6>(address);
    return {host_of(in6), ntohs(in6.sin6_port)};
  }
  if (address.family() != AF_UNIX || address.size <= kUnixHeader) return {};
  const auto& un = as<sockaddr_un>(address);
  const std::size_t length = address.size - kUnixHeader;
  return Address::from_path(
      {un.sun_path, un.sun_path[0] == '\0' ? length : ::strnlen(un.sun_path, length)});
}

Result<Address> local_address(int fd) {
  SockAddr address;
  if (sys::getsockname(fd, address.storage, address.size) == -1) return errno_error("getsockname");
  return from_sockaddr(address);
}

Result<Address> peer_address(int fd) {
  SockAddr address;
  if (sys::getpeername(fd, address.storage, address.size) == -1) return errno_error("getpeername");
  return from_sockaddr(address);
}

}  // namespace cohort::net
