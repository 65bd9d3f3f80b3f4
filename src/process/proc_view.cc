#include "process/proc_view.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <string>

#include "base/command_line.h"
#include "base/read_file.h"
#include "base/socket_table.h"
#include "base/sys.h"
#include "process/tree.h"

namespace cohort::process {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kProcessesMax = 1000;  // of one tree; a bound for forking accidents

template <class Number>
std::optional<Number> to_number(std::string_view text, int base) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// Takes the first word off `text`; empty if there is none.
std::string_view next_word(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  const std::string_view word = text.substr(0, text.find_first_of(" \t"));
  text.remove_prefix(word.size());
  return word;
}

std::string_view next_line(std::string_view& text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(line.size() + 1, text.size()));
  return line;
}

/// The process, then its descendants.
std::vector<pid_t> tree(pid_t root) {
  std::vector<pid_t> pids{root};
  for (std::size_t i = 0; i < pids.size() && pids.size() < kProcessesMax; ++i)
    for (const pid_t child : children_of(pids[i])) pids.push_back(child);
  return pids;
}

/// The inodes of its sockets; nothing if its descriptors may not be looked at.
std::optional<std::set<std::uint64_t>> sockets_of(const fs::path& process) {
  constexpr std::string_view kBefore = "socket:[";
  std::set<std::uint64_t> inodes;
  std::error_code error;
  fs::directory_iterator it{process / "fd", error};
  if (error) return std::nullopt;
  for (const fs::directory_iterator end; !error && it != end; it.increment(error)) {
    std::error_code gone;
    const std::string target = fs::read_symlink(it->path(), gone).native();
    if (!target.starts_with(kBefore)) continue;
    const std::string_view digits{target.data() + kBefore.size(),
                                  target.size() - kBefore.size() - 1};
    if (const auto inode = to_number<std::uint64_t>(digits, 10)) inodes.insert(*inode);
  }
  return inodes;
}

bool is_in_this_network(const fs::path& root, pid_t pid) {
  std::error_code error;
  const fs::path ours = fs::read_symlink(root / "self/ns/net", error);
  return !error && fs::read_symlink(root / std::to_string(pid) / "ns/net", error) == ours;
}

/// Those of `ports` that are open, or closed by the client only. Nothing: the kernel does not say.
std::optional<std::set<std::uint64_t>> listed(const std::set<std::uint16_t>& ports) {
  constexpr std::uint32_t kStates = 1U << TCP_ESTABLISHED | 1U << TCP_CLOSE_WAIT;
  std::set<std::uint64_t> inodes;
  for (const std::uint16_t port : ports) {
    const auto sockets = list_sockets(IPPROTO_TCP, port, kStates);
    if (!sockets) return std::nullopt;
    for (const ListedSocket& socket : *sockets) inodes.insert(socket.inode);
  }
  return inodes;
}

// Whoever listens everywhere does so on the loopback interface.
std::string host_text(HostBytes host) {
  constexpr HostBytes kLoopback{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1};
  if (host == kAnyHost) host = kLoopback;
  const bool is_mapped = std::equal(host.begin(), host.begin() + 12, kLoopback.begin());
  char text[INET6_ADDRSTRLEN] = "";
  ::inet_ntop(is_mapped ? AF_INET : AF_INET6, is_mapped ? &host[12] : host.data(), text,
              sizeof text);
  return text;
}

std::set<std::uint64_t> connections_to(const std::vector<Address>& listening, const fs::path& root,
                                       pid_t pid) {
  std::set<std::uint16_t> ports;
  std::set<std::string, std::less<>> paths;
  for (const Address& address : listening) {
    std::string path = address.is_unix() ? address.path() : "";
    std::replace(path.begin(), path.end(), '\0', '@');
    if (address.is_unix())
      paths.insert(std::move(path));
    else
      ports.insert(address.port());
  }
  const fs::path net = root / std::to_string(pid) / "net";
  auto found = is_in_this_network(root, pid) ? listed(ports) : std::nullopt;
  std::set<std::uint64_t> connections = found.value_or(std::set<std::uint64_t>{});
  for (const char* table : {"tcp", "tcp6"})
    if (const auto text = found || ports.empty() ? std::nullopt : read_file(net / table))
      connections.merge(parse_connections(*text, ports));
  if (const auto text = paths.empty() ? std::nullopt : read_file(net / "unix"))
    connections.merge(parse_unix_connections(*text, paths));
  return connections;
}

// These turn INT into an exception of the language, or wait for their child, whether the program
// handles it or not.
bool catches_int_natively(const fs::path& process) {
  std::error_code error;
  const std::string program = fs::read_symlink(process / "exe", error).filename();
  return program.starts_with("python") || program.starts_with("pypy") ||
         program.starts_with("ruby") || is_shell(program);
}

}  // namespace

std::optional<std::uint64_t> parse_handled_signals(std::string_view status) {
  std::optional<std::uint64_t> handled;
  while (!status.empty()) {
    std::string_view line = next_line(status);
    const std::string_view name = next_word(line);
    if (name != "SigCgt:" && name != "SigIgn:") continue;
    const auto mask = to_number<std::uint64_t>(next_word(line), 16);
    if (mask) handled = handled.value_or(0) | *mask;
  }
  return handled;
}

std::set<std::uint64_t> parse_connections(std::string_view table,
                                          const std::set<std::uint16_t>& ports) {
  // sl local_address rem_address st tx:rx_queue tr:tm->when retrnsmt uid timeout inode ...
  constexpr std::size_t kLocal = 1, kState = 3, kInode = 9;
  constexpr std::string_view kEstablished = "01", kClosedByClient = "08";
  std::set<std::uint64_t> inodes;
  while (!table.empty()) {
    std::string_view line = next_line(table);
    std::string_view columns[kInode + 1];
    for (std::string_view& column : columns) column = next_word(line);
    if (columns[kState] != kEstablished && columns[kState] != kClosedByClient) continue;
    const std::string_view local = columns[kLocal];
    const auto port = to_number<std::uint16_t>(local.substr(local.rfind(':') + 1), 16);
    const auto inode = to_number<std::uint64_t>(columns[kInode], 10);
    if (port && inode && ports.contains(*port)) inodes.insert(*inode);
  }
  return inodes;
}

std::set<std::uint64_t> parse_unix_connections(std::string_view table,
                                               const std::set<std::string, std::less<>>& paths) {
  // Num RefCount Protocol Flags Type St Inode Path; one that was accepted has its listener's path.
  constexpr std::size_t kState = 5, kInode = 6;
  constexpr std::string_view kConnected = "03";
  std::set<std::uint64_t> inodes;
  while (!table.empty()) {
    std::string_view line = next_line(table);
    std::string_view columns[kInode + 1];
    for (std::string_view& column : columns) column = next_word(line);
    line.remove_prefix(std::min<std::size_t>(line.size(), 1));
    if (columns[kState] != kConnected || !paths.contains(line)) continue;
    if (const auto inode = to_number<std::uint64_t>(columns[kInode], 10)) inodes.insert(*inode);
  }
  return inodes;
}

std::optional<std::vector<TcpListener>> tcp_listeners_of(pid_t pid) {
  const fs::path root{"/proc"};
  const auto own = sockets_of(root / std::to_string(pid));
  if (!own || !is_in_this_network(root, pid)) return std::nullopt;
  const auto sockets = list_sockets(IPPROTO_TCP, 0, 1U << TCP_LISTEN);
  if (!sockets) return std::nullopt;
  std::vector<TcpListener> listeners;
  for (const ListedSocket& socket : *sockets) {
    if (!own->contains(socket.inode)) continue;
    TcpListener listener{Address{host_text(socket.host), socket.port}};
    if (const auto arrived = listed({socket.port}))
      for (const std::uint64_t inode : *arrived) listener.connections += own->count(inode);
    listeners.push_back(std::move(listener));
  }
  return listeners;
}

ProcView look_at(pid_t pid, const std::vector<Address>& listening, const fs::path& root) {
  const std::set<std::uint64_t> arrived = connections_to(listening, root, pid);
  ProcView view;
  for (const pid_t each : tree(pid)) {
    const fs::path process = root / std::to_string(each);
    const auto sockets = sockets_of(process);
    std::size_t open = 0;
    if (sockets)
      for (const std::uint64_t inode : *sockets) open += arrived.count(inode);
    if (sockets) view.connections = view.connections.value_or(0) + open;
    if (each != pid && open == 0) continue;
    const auto status = read_file(process / "status");
    auto handled = status ? parse_handled_signals(*status) : std::nullopt;
    if (handled && catches_int_natively(process)) *handled &= ~(std::uint64_t{1} << (SIGINT - 1));
    if (handled) view.handled_signals = view.handled_signals.value_or(0) | *handled;
  }
  return view;
}

}  // namespace cohort::process
