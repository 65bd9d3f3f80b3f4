// What can be seen of a process from outside, in /proc: its signal handlers, its connections.
//
// A wrapper's real program is a child of it, so what descends from the process is looked at, too.
// The parsing functions are pure. From any thread; blocks for as long as the kernel takes: some 2
// ms where it lists the sockets (base/socket_table.h). For a process in another network namespace
// it reads /proc: 4 ms for each thousand sockets there.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cohort/address.h"

namespace cohort::process {

/// Signals that a process catches or ignores, of `/proc/PID/status`: bit N-1 for signal N.
std::optional<std::uint64_t> parse_handled_signals(std::string_view status);

/// Inodes of connections that arrived at one of `ports`, of `/proc/PID/net/tcp` or `tcp6`: open, or
/// closed by the client only.
std::set<std::uint64_t> parse_connections(std::string_view table,
                                          const std::set<std::uint16_t>& ports);

/// The same of `/proc/PID/net/unix`, for listening sockets with these names (`@` for the NUL of an
/// abstract one, as the table has it).
std::set<std::uint64_t> parse_unix_connections(std::string_view table,
                                               const std::set<std::string, std::less<>>& paths);

struct ProcView {
  /// Signals that the program catches or ignores, bit N-1 for signal N: the process itself, or one
  /// that descends from it and has connections. Without INT for Python, Ruby and shells, which
  /// always catch it. Nothing if that cannot be read.
  std::optional<std::uint64_t> handled_signals;
  /// Connections that came to the given addresses and are open, in the process and its descendants.
  std::optional<std::size_t> connections;

  bool handles(int signal_number) const {
    return ((handled_signals.value_or(0) >> (signal_number - 1)) & 1) != 0;
  }
};
/// A TCP port where a process listens.
struct TcpListener {
  Address address;              ///< With a host that can be connected to.
  std::size_t connections = 0;  ///< That came there, and that it has open.
};
/// Of this very process, not of what descends from it. Nothing if that cannot be seen: it is
/// another user's, it has ended, its network namespace is another one.
std::optional<std::vector<TcpListener>> tcp_listeners_of(pid_t pid);

ProcView look_at(pid_t pid, const std::vector<Address>& listening,
                 const std::filesystem::path& root = "/proc");

}  // namespace cohort::process
