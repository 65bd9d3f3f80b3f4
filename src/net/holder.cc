#include "net/holder.h"

#include <dirent.h>
#include <fcntl.h>
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
#include <utility>

#include "base/command_line.h"
#include "base/sys.h"
#include "net/sockaddr.h"

namespace cohort::net {
namespace {

namespace fs = std::filesystem;

/// A name may be any of this machine's.
HostBytes host_of(const Address& address) {
  const auto sockaddr = to_sockaddr(address);
  HostBytes host{};
  if (!sockaddr) return host;
  if (sockaddr->family() == AF_INET)
    return mapped_host(&reinterpret_cast<const sockaddr_in*>(&sockaddr->storage)->sin_addr);
  const auto* in6 = reinterpret_cast<const sockaddr_in6*>(&sockaddr->storage);
  std::memcpy(host.data(), &in6->sin6_addr, host.size());
  return host;
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
  const bool any = host_of(address) == kAnyHost;
  return (address.is_datagram() ? "UDP port " : "port ") + std::to_string(address.port()) +
         (any ? "" : " of " + address.host());
}

}  // namespace

std::vector<ListedSocket> in_the_way(std::vector<ListedSocket> sockets, const HostBytes& host) {
  std::erase_if(sockets, [&](const ListedSocket& socket) {
    const bool collides = host == kAnyHost || socket.host == kAnyHost || socket.host == host;
    return !collides || socket.inode == 0;  // 0: nobody has it any more
  });
  std::vector<ListedSocket> ordered;
  for (const bool listens : {true, false})
    std::copy_if(
        sockets.begin(), sockets.end(), std::back_inserter(ordered),
        [listens](const ListedSocket& socket) { return (socket.state == TCP_LISTEN) == listens; });
  return ordered;
}

std::optional<Holder> holder_of(const Address& address, const fs::path& processes) {
  if (address.is_unix()) return holder_of_unix(address, processes);
  if (address.port() == 0) return std::nullopt;
  auto listed = list_sockets(address.is_datagram() ? IPPROTO_UDP : IPPROTO_TCP, address.port());
  const auto found =
      in_the_way(std::move(listed).value_or(std::vector<ListedSocket>{}), host_of(address));
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
