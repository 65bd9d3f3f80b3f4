#include "net/bind.h"

#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <iterator>

#include "base/sys.h"
#include "net/sockaddr.h"
#include "net/socket_file.h"

namespace cohort::net {
namespace {

constexpr int kBacklogDefault = 511;
constexpr int kFirstFreePort = 1024;

// What the operator can do about it.
std::string hint(const Address& address, int errno_value) {
  const bool unix_file = address.is_unix() && address.path()[0] != '\0';
  switch (errno_value) {
    case EACCES:
    case EPERM:
      if (unix_file) return "the directory must be writable for this user";
      if (address.port() != 0 && address.port() < kFirstFreePort)
        return "run with CAP_NET_BIND_SERVICE or choose a port above 1023";
      return {};
    case EADDRINUSE:
      if (unix_file && is_other_file(address.path()))
        return "a file that is no socket: remove it, or choose another path";
      if (address.is_unix()) return "see who: ss -lxp";
      if (address.port() == 0)
        return "no port is free that the system may choose: see net.ipv4.ip_local_port_range";
      return "see who: ss -ltnp 'sport = :" + std::to_string(address.port()) + "'";
    case EADDRNOTAVAIL:
      return "no interface of this machine has this address; see: ip address";
    case EAFNOSUPPORT:
      return "this machine has no such address family";
    case ENOENT:
      return unix_file ? "the directory does not exist" : "";
    case ENAMETOOLONG:
      return "a Unix socket's path has at most 107 bytes";
    case EMFILE:
    case ENFILE:
      return "raise the limit of open files: ulimit -n";
    default:
      return {};
  }
}

int set_tcp_options(int fd) {
  if (sys::set_int_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) == -1) return -1;
  return sys::set_int_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

int set_ipv6_only(int fd, int family, bool ipv6_only) {
  if (family != AF_INET6) return 0;
  return sys::set_int_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, ipv6_only ? 1 : 0);
}

// Node's readableAll and writableAll: adds the bits to what the umask left.
int open_to_all(const std::string& path, const ListenRequest& request) {
  const mode_t added = (request.readable_all ? 0444u : 0u) | (request.writable_all ? 0222u : 0u);
  struct stat info{};
  if (added == 0 || path[0] == '\0') return 0;
  if (sys::stat(path.c_str(), info) == -1) return -1;
  return sys::chmod(path.c_str(), (info.st_mode & 07777u) | added);
}

// The descriptor, or none and errno.
OwnFd bind_one(const SockAddr& sockaddr, const ListenRequest& request) {
  OwnFd fd = sys::socket(sockaddr.family(), SOCK_STREAM, 0);
  if (!fd) return fd;
  const bool tcp = sockaddr.family() != AF_UNIX;
  bool ok = !tcp || set_tcp_options(fd.get()) == 0;
  ok = ok && set_ipv6_only(fd.get(), sockaddr.family(), request.ipv6_only) == 0;
  if (tcp && request.reuse_port)
    ok = ok && sys::set_int_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1) == 0;
  const bool file = !tcp && request.address.path()[0] != '\0';
  ok = ok && (file ? bind_socket_file(fd.get(), sockaddr, kBacklogDefault)
                   : sys::bind(fd.get(), sockaddr.get(), sockaddr.size)) == 0;
  if (ok && !tcp && open_to_all(request.address.path(), request) == -1) {
    const int failure = errno;
    SocketFile{request.address}.remove();
    errno = failure;
    ok = false;
  }
  return ok ? std::move(fd) : OwnFd{};
}

}  // namespace

Error no_connections(const Address& address) {
  return make_error(Errc::InvalidArgument, "listen " + to_string(address),
                    "a UDP address has no connections: cohort::Listener gives its socket");
}

Result<OwnFd> bind_socket(const ListenRequest& request) {
  if (request.address.is_datagram()) return no_connections(request.address);
  auto candidates = resolve(request.address);
  if (!candidates) {
    Error error = candidates.error();
    error.op = "listen " + error.op;
    return error;
  }
  int failure = EADDRNOTAVAIL;
  for (const SockAddr& candidate : *candidates) {
    if (request.ipv6_only && candidate.family() == AF_INET) continue;
    if (OwnFd fd = bind_one(candidate, request)) return fd;
    failure = errno;
    // Only a machine that lacks this family or address is a reason to try the next one.
    if (failure != EAFNOSUPPORT && failure != EADDRNOTAVAIL) break;
  }
  return error_for(request.address, failure);
}

Result<OwnFd> bind_beside(int fd) {
  SockAddr address;
  address.size = sizeof address.storage;
  int type = 0, ipv6_only = 0;
  socklen_t size = sizeof type;
  if (sys::getsockname(fd, address.storage, address.size) == -1 ||
      sys::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, size) == -1)
    return errno_error("getsockname");
  if (address.family() == AF_INET6 &&
      sys::getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &ipv6_only, size) == -1)
    return errno_error("IPV6_V6ONLY");
  OwnFd beside = sys::socket(address.family(), type, 0);
  if (!beside || (type == SOCK_STREAM && set_tcp_options(beside.get()) == -1) ||
      set_ipv6_only(beside.get(), address.family(), ipv6_only != 0) == -1 ||
      sys::set_int_option(beside.get(), SOL_SOCKET, SO_REUSEPORT, 1) == -1 ||
      sys::bind(beside.get(), address.get(), address.size) == -1)
    return error_for(from_sockaddr(address), errno);
  return beside;
}

Result<void> listen_on(int fd, int backlog) {
  if (sys::listen(fd, backlog > 0 ? backlog : kBacklogDefault) == 0) return {};
  const int failure = errno;
  const auto address = local_address(fd);
  return error_for(address ? *address : Address{}, failure);
}

void defer_accept(int fd) {
  // The kernel counts in resent SYN-ACKs: after the first one, about a second, it waits no more.
  constexpr int kSeconds = 1;
  sys::set_int_option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, kSeconds);
}

// A socket filter; accepted connections inherit it, and expect no SYN.
std::size_t arrivals_waiting(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  // Of a listening socket, this is the length of its queue.
  if (sys::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, size) == 0) return info.tcpi_unacked;
  return (sys::poll(fd, POLLIN, 0) & POLLIN) != 0 ? 1 : 0;
}

void stop_arrivals(int fd) {
  constexpr std::uint32_t kFlags = 13;  // in the TCP header
  constexpr std::uint32_t kSyn = 0x02, kAck = 0x10;
  constexpr std::uint32_t kDrop = 0, kTakeAll = ~0U;
  sock_filter unless_syn[] = {
      {BPF_LD | BPF_B | BPF_ABS, 0, 0, kFlags}, {BPF_ALU | BPF_AND | BPF_K, 0, 0, kSyn | kAck},
      {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, kSyn},  {BPF_RET | BPF_K, 0, 0, kDrop},
      {BPF_RET | BPF_K, 0, 0, kTakeAll},
  };
  const sock_fprog filter{std::size(unless_syn), unless_syn};
  sys::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);
}

Result<void> set_connection_options(int fd, const ListenRequest& request) {
  if (request.address.is_unix()) return {};
  if (sys::set_int_option(fd, IPPROTO_TCP, TCP_NODELAY, request.no_delay ? 1 : 0) == -1)
    return error_for(request.address, errno);
  if (request.keep_alive.count() <= 0) return {};
  constexpr std::chrono::seconds kIdleMax{32767};  // the kernel's
  const auto idle = static_cast<int>(std::min(request.keep_alive, kIdleMax).count());
  if (sys::set_int_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle) == -1 ||
      sys::set_int_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1) == -1)
    return error_for(request.address, errno);
  return {};
}

Error error_for(const Address& address, int errno_value) {
  return system_error(errno_value, "listen " + to_string(address), hint(address, errno_value));
}

}  // namespace cohort::net
