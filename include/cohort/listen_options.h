// How a server listens. A plain value, taken by `net::Server::listen`, `http::Server::listen`,
// `Acceptor`, `on_connection` and `Listener`. Node: the options of `server.listen`.
#pragma once

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
};

}  // namespace cohort
