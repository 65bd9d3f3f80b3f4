// Listening sockets: made, bound, listening; and what to say when that fails.
//
// Free functions; the process that owns the port calls them (the primary, or a plain server). Names
// are resolved here, blocking.
#pragma once

#include <cstddef>

#include "cohort/address.h"
#include "cohort/error.h"
#include "cohort/fd.h"
#include "net/listener.h"

namespace cohort::net {

/// A bound socket that does not listen yet, non-blocking and close-on-exec.
///
/// TCP: SO_REUSEADDR; TCP_NODELAY, which accepted connections inherit (a system call saved for
/// each). An empty host is `::` serving IPv4 too, or `0.0.0.0` where the machine has no IPv6; `::`
/// serves IPv4 too unless `ipv6_only`. A name that has several addresses gets the first one that
/// this machine has. Unix: a socket file on which nobody listens is replaced; this one listens at
/// once, so that nobody replaces it (net/socket_file.h). Its owner removes it with
/// `SocketFile`. Errors: `error_for` of the errno; AddressMismatch for a name that does not
/// resolve.
Result<OwnFd> bind_socket(const ListenRequest& request);

/// Another socket on the address of a TCP or UDP socket, which has SO_REUSEPORT, as this one has:
/// bound, not listening.
Result<OwnFd> bind_beside(int fd);

/// `backlog` 0 is 511, Node's default; the kernel caps it at net.core.somaxconn. Again on a
/// listening socket it only changes the backlog. Two sockets with SO_REUSEADDR may bind one port:
/// the second learns only here that it is in use.
Result<void> listen_on(int fd, int backlog);

/// TCP_DEFER_ACCEPT on a listening socket: connections arrive with their first data, or after some
/// seconds without. Nothing for other sockets.
void defer_accept(int fd);

/// From now on nobody can connect to the listening TCP socket: a SYN gets no answer, and its client
/// tries again a second later. What has arrived, handshakes under way included, can be accepted
/// until the socket is closed; closed with more in its queue it would reset them.
void stop_arrivals(int fd);

/// So many connections wait at the listening socket to be accepted; of what is not TCP, 1 if
/// anything waits to be read.
std::size_t arrivals_waiting(int fd);

/// The request's `no_delay` and `keep_alive`: of a TCP connection, or of those that a listening
/// socket accepts from now on. Nothing for Unix sockets.
Result<void> set_connection_options(int fd, const ListenRequest& request);

/// A server of connections was given an address of datagrams.
Error no_connections(const Address& address);

/// `listen 127.0.0.1:80: permission denied (run with CAP_NET_BIND_SERVICE or ...)`: the Error for
/// an errno (positive) of bind or listen, also for one that another process reported.
Error error_for(const Address& address, int errno_value);

}  // namespace cohort::net
