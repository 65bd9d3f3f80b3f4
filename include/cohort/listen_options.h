// How a server listens. A plain value, taken by `net::Server::listen`, `http::Server::listen`,
// `Acceptor`, `on_connection` and `Listener`. Node: the options of `server.listen`.
#pragma once

#include <chrono>
#include <optional>

namespace cohort {

/// Most callers leave all of this.
struct ListenOptions {
  /// Connections that may wait to be accepted; 0 is Node's default, 511. The kernel caps it at
  /// net.core.somaxconn. Under a cluster the first worker that listens on an address decides.
  int backlog = 0;
  /// `::` serves IPv4 too, unless set.
  bool ipv6_only = false;
  /// Unix sockets: everybody may connect, whatever the umask says. On Linux `writable_all` decides.
  bool readable_all = false;
  bool writable_all = false;
  /// TCP_DEFER_ACCEPT: a connection arrives with its first data, or after about a second without.
  /// Not for servers that speak first. Only in a worker of a cluster: its primary's socket stays
  /// open when this server closes, and loses no connection that has not arrived. Where the primary
  /// accepts, the first worker that listens on an address decides, and sockets that are given
  /// (systemd) are left as they are.
  /// Default: true for `http::Server`, false for others.
  std::optional<bool> defer_accept{};
  /// TCP_NODELAY of the connections. Node's `noDelay`, whose default is false.
  bool no_delay = true;
  /// SO_KEEPALIVE of the connections: a peer that says nothing for so long is probed, 0: never.
  /// Node's `keepAlive` and `keepAliveInitialDelay`. Of both: where workers accept from one socket
  /// (`shared`) the last that listens decides for all, and a socket that was given is left as it
  /// is.
  std::chrono::seconds keep_alive{0};
  /// SO_REUSEPORT, as Node's `reusePort`: this process binds for itself, beside any other of the
  /// same user that does so, and the kernel divides the connections. A worker does not ask its
  /// primary, which then knows nothing of the port: policies and rescue are not for it.
  bool reuse_port = false;
};

}  // namespace cohort
