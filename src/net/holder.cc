#include "net/holder.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <iterator>
#include <memory>
#include <string_view>

#include "base/command_line.h"
#include "base/sys.h"
#include "net/sockaddr.h"

namespace cohort::net {
namespace {

namespace fs = std::filesystem;

constexpr HostBytes kAny{};

HostBytes mapped(const void* in4) {
  HostBytes host{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  std::memcpy(&host[12], in4, 4);
  return host == HostBytes{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff} ? kAny : host;
}

/// A name may be any of this machine's.
HostBytes host_of(const Address& address) {
  const auto sockaddr = to_sockaddr(address);
  HostBytes host{};
  if (!sockaddr) return host;
  if (sockaddr->family() == AF_INET)
    return mapped(&reinterpret_cast<const sockaddr_in*>(&sockaddr->storage)->sin_addr);
  const auto* in6 = reinterpret_cast<const sockaddr_in6*>(&sockaddr->storage);
  std::memcpy(host.data(), &in6->sin6_addr, host.size());
  return host;
}

/// Asks for every socket of this protocol and family whose own port is `port`: the kernel runs the
/// filter, so that a hundred thousand connections cost nothing here.
struct Request {
  nlmsghdr header{};
  inet_diag_req_v2 wanted{};
  nlattr filter_header{};
  inet_diag_bc_op filter[4]{};
};
static_assert(sizeof(Request) == sizeof(nlmsghdr) + sizeof(inet_diag_req_v2) + sizeof(nlattr) +
                                     4 * sizeof(inet_diag_bc_op));

Request request_for(std::uint8_t family, std::uint8_t protocol, std::uint16_t port) {
  Request request;
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.wanted.sdiag_family = family;
  request.wanted.sdiag_protocol = protocol;
  request.wanted.idiag_states = ~0U;
  request.filter_header = {sizeof(nlattr) + sizeof request.filter, INET_DIAG_REQ_BYTECODE};
  // Where to go on if it holds, and else: behind the end is no.
  request.filter[0] = {INET_DIAG_BC_S_GE, 8, 20};
  request.filter[1].no = port;
  request.filter[2] = {INET_DIAG_BC_S_LE, 8, 12};
  request.filter[3].no = port;
  return request;
}

std::vector<BoundSocket> sockets_of(const Address& address) {
  constexpr std::size_t kPieceMax = 32768;
  std::vector<BoundSocket> sockets;
  const OwnFd netlink = sys::socket(AF_NETLINK, SOCK_DGRAM, NETLINK_SOCK_DIAG);
  if (!netlink) return sockets;
  const std::uint8_t protocol = address.is_datagram() ? IPPROTO_UDP : IPPROTO_TCP;
  std::vector<std::byte> piece(kPieceMax);
  for (const std::uint8_t family : {std::uint8_t{AF_INET}, std::uint8_t{AF_INET6}}) {
    const Request request = request_for(family, protocol, address.port());
    if (sys::send(netlink.get(), &request, sizeof request) == -1) return sockets;
    for (bool more = true; more;) {
      const ssize_t size = sys::recv(netlink.get(), piece.data(), piece.size(), 0);
      if (size <= 0) return sockets;
      more = parse_sockets(std::span{piece}.first(static_cast<std::size_t>(size)), sockets);
    }
  }
  return sockets;
}

std::optional<pid_t> to_pid(const std::string& name) {
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
  if (error != std::errc{} || end != name.data() + name.size()) return std::nullopt;
  return pid;
}

// Ten thousand links: each relative to its directory, half the time of std::filesystem's.
bool holds(const fs::path& process, std::string_view link) {
  const std::unique_ptr<DIR, int (*)(DIR*)> fds{::opendir((process / "fd").c_str()), ::closedir};
  if (!fds) return false;
  while (const dirent* entry = ::readdir(fds.get())) {
    char target[64];
    const ssize_t size = ::readlinkat(::dirfd(fds.get()), entry->d_name, target, sizeof target);
    if (size > 0 && link == std::string_view{target, static_cast<std::size_t>(size)}) return true;
  }
  return false;
}

/// The lowest pid: who started the others that have it, as a rule. (/proc has them in order.)
std::optional<pid_t> process_with(std::uint64_t inode, const fs::path& processes) {
  const std::string link = "socket:[" + std::to_string(inode) + ']';
  std::optional<pid_t> lowest;
  std::error_code error;
  for (fs::directory_iterator it{processes, error}, end; !error && it != end; it.increment(error)) {
    const auto pid = to_pid(it->path().filename());
    if (pid && (!lowest || *pid < *lowest) && holds(it->path(), link)) lowest = pid;
  }
  return lowest;
}

std::string command_of(pid_t pid, const fs::path& processes) {
  const fs::path file = processes / std::to_string(pid) / "cmdline";
  const OwnFd fd = sys::open(file.c_str(), O_RDONLY);
  char text[512];
  const ssize_t size = fd ? sys::read(fd.get(), text, sizeof text) : 0;
  if (size <= 0) return {};
  return command_text(parse_words({text, static_cast<std::size_t>(size)}));
}

std::optional<Holder> holder_of_unix(const Address& address, const fs::path& processes) {
  const auto sockaddr = to_sockaddr(address);
  const OwnFd fd = sys::socket(AF_UNIX, SOCK_STREAM, 0);
  ucred who{};
  socklen_t size = sizeof who;
  if (!sockaddr || !fd || sys::connect(fd.get(), sockaddr->get(), sockaddr->size) == -1 ||
      sys::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &who, size) == -1)
    return std::nullopt;
  Holder holder{.uid = who.uid};
  // 0: it is in another namespace of processes.
  if (who.pid != 0) {
    holder.pid = who.pid;
    holder.command = command_of(who.pid, processes);
  }
  return holder;
}

bool is_in_use(const Error& error) {
  return error.code.category() == boost::system::system_category() &&
         error.code.value() == EADDRINUSE;
}

std::string name_of(const Address& address) {
  if (address.is_unix()) return to_string(address);
  const bool any = host_of(address) == kAny;
  return (address.is_datagram() ? "UDP port " : "port ") + std::to_string(address.port()) +
         (any ? "" : " of " + address.host());
}

}  // namespace

bool parse_sockets(std::span<const std::byte> piece, std::vector<BoundSocket>& sockets) {
  while (piece.size() >= sizeof(nlmsghdr)) {
    nlmsghdr header;
    std::memcpy(&header, piece.data(), sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > piece.size()) return false;
    if (header.nlmsg_type == NLMSG_DONE || header.nlmsg_type == NLMSG_ERROR) return false;
    inet_diag_msg found;
    if (header.nlmsg_len >= NLMSG_HDRLEN + sizeof found) {
      std::memcpy(&found, piece.data() + NLMSG_HDRLEN, sizeof found);
      BoundSocket socket{.inode = found.idiag_inode,
                         .uid = found.idiag_uid,
                         .listens = found.idiag_state == TCP_LISTEN};
      if (found.idiag_family == AF_INET)
        socket.host = mapped(found.id.idiag_src);
      else
        std::memcpy(socket.host.data(), found.id.idiag_src, socket.host.size());
      sockets.push_back(socket);
    }
    piece = piece.subspan(std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), piece.size()));
  }
  return true;
}

std::vector<BoundSocket> in_the_way(std::vector<BoundSocket> sockets, const HostBytes& host) {
  std::erase_if(sockets, [&](const BoundSocket& socket) {
    const bool collides = host == kAny || socket.host == kAny || socket.host == host;
    return !collides || socket.inode == 0;  // 0: nobody has it any more
  });
  std::vector<BoundSocket> ordered;
  for (const bool listens : {true, false})
    std::copy_if(sockets.begin(), sockets.end(), std::back_inserter(ordered),
                 [listens](const BoundSocket& socket) { return socket.listens == listens; });
  return ordered;
}

std::optional<Holder> holder_of(const Address& address, const fs::path& processes) {
  if (address.is_unix()) return holder_of_unix(address, processes);
  if (address.port() == 0) return std::nullopt;
  const auto found = in_the_way(sockets_of(address), host_of(address));
  if (found.empty()) return std::nullopt;
  Holder holder{.uid = found.front().uid};
  holder.pid = process_with(found.front().inode, processes);
  if (holder.pid) holder.command = command_of(*holder.pid, processes);
  return holder;
}

std::string to_string(const Holder& holder) {
  if (!holder.pid) return "a process of uid " + std::to_string(holder.uid.value_or(0));
  return "pid " + std::to_string(*holder.pid) +
         (holder.command.empty() ? "" : " (" + holder.command + ')');
}

Error with_holder(Error error, const Address& address) {
  const auto holder = is_in_use(error) ? holder_of(address) : std::nullopt;
  if (holder) error.detail = "taken by " + to_string(*holder);
  return error;
}

Remark cannot_listen(const Address& address, const Error& error) {
  Remark remark{.code = "cannot_listen", .text = error.message()};
  if (address.is_unix()) {
    remark.fields.emplace_back("path", address.path());
  } else {
    remark.fields.emplace_back("host", address.host());
    remark.fields.emplace_back("port", std::int64_t{address.port()});
  }
  remark.fields.emplace_back("errno", std::int64_t{error.code.value()});
  const auto holder = is_in_use(error) ? holder_of(address) : std::nullopt;
  if (!holder || holder->pid == ::getpid()) return remark;  // we know more about ourselves
  remark.text = name_of(address) + " is taken by " + to_string(*holder);
  if (holder->pid) remark.fields.emplace_back("pid", std::int64_t{*holder->pid});
  if (holder->uid) remark.fields.emplace_back("uid", std::int64_t{*holder->uid});
  if (!holder->command.empty()) remark.fields.emplace_back("command", holder->command);
  return remark;
}

}  // namespace cohort::net
