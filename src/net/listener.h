// The seam between servers (net, http, Acceptor) and wherever connections come from: the process's
// own socket, one shared with other workers, or hand-offs by the primary. Servers do not know
// which.
//
// Everything here runs on the host's executor.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "base/loop.h"
#include "cohort/address.h"
#include "cohort/error.h"
#include "cohort/fd.h"
#include "cohort/listen_options.h"
#include "net/load.h"

namespace cohort::net {

struct ListenRequest {
  Address address;
  int backlog = 0;            ///< 0: the default, 511 as in Node.
  bool ipv6_only = false;     ///< `::` serves IPv4 too unless set.
  bool readable_all = false;  ///< Unix sockets: everybody may connect to read.
  bool writable_all = false;  ///< Unix sockets: everybody may connect to write.
  bool defer_accept = false;  ///< TCP: connections arrive with their first data.
  bool no_delay = true;       ///< TCP: of connections, as the next one.
  std::chrono::seconds keep_alive{0};
  bool reuse_port = false;  ///< TCP: this process binds for itself, beside others.
};

inline ListenRequest make_request(const Address& address, const ListenOptions& options) {
  return {address,
          options.backlog,
          options.ipv6_only,
          options.readable_all,
          options.writable_all,
          options.defer_accept.value_or(false),
          options.no_delay,
          options.keep_alive,
          options.reuse_port};
}

/// What a server implements. The host keeps it alive from `listen` until the Listener that it gave
/// out is destroyed, so a server that still has connections closes its Listener and keeps it until
/// they end.
class ListenerUser {
 public:
  virtual ~ListenerUser() = default;
  /// Connections may arrive from now on. `bound` has the real port.
  virtual void listening(const Address& bound) = 0;
  /// The address could not be had. The same server may listen again later, with a new Listener.
  virtual void listen_failed(const Error& error) = 0;
  /// A connection: non-blocking, close-on-exec. Return true and move it out, or return false and
  /// leave it: the server is full, and the connection is offered to another worker, or closed if
  /// there is none.
  virtual bool connection(OwnFd& fd) = 0;
  /// Asked before a connection is accepted: if true, it waits in the kernel's queue, for this
  /// process or another, until `Listener::resume`.
  virtual bool full() const { return false; }
  /// Before `listening`: what it has open is to be counted there from now on (`Load::counts_open`),
  /// by a server that knows it.
  virtual void publish_to(const std::shared_ptr<Load>& /*load*/) {}
  /// Others serve meanwhile: clients of open connections are to go there, as soon as the protocol
  /// allows. Or not any more.
  virtual void rest(bool /*on*/) {}
  /// The process wants to end: stop listening (`Listener::close`), let connections finish, then
  /// call `done` exactly once. Called at most once per listen.
  virtual void drain(std::function<void()> done) = 0;
  /// The host ends now: drop the Listener, the connections, and every handler of the user's, since
  /// those may own this server or the host. Nothing is called back.
  virtual void abandon() = 0;
};

/// One server's claim on an address. Destroying it is closing it.
class Listener {
 public:
  virtual ~Listener() = default;
  /// No connection will be delivered any more. Idempotent. A port without other users is released.
  virtual void close() = 0;
  /// There is room again after `ListenerUser::full` was true or a connection was refused. Never
  /// calls back before it returned.
  virtual void resume() = 0;
  /// The listening descriptor, still owned by the Listener, where the policy has one; else -1.
  virtual int native_handle() const = 0;
  /// Whether somebody else goes on serving the address, and takes idle connections over. Asked
  /// while the server drains.
  virtual bool takes_back() const { return false; }
  /// A connection on which nothing is under way, for whoever serves the address from now on. Bytes
  /// that arrived and were not read go with it.
  virtual void give_back(OwnFd /*connection*/) {}
};

/// Whoever gives out listeners: a worker asks its primary, a plain process binds.
class Host {
 public:
  virtual const Loop& loop() const = 0;
  /// Never calls back before it returned.
  virtual std::unique_ptr<Listener> listen(const ListenRequest& request,
                                           std::shared_ptr<ListenerUser> user) = 0;
  /// The same on a socket that listens already, non-blocking; or on none, which keeps the server
  /// alive and drains it, and never calls `listening`.
  virtual std::unique_ptr<Listener> adopt(OwnFd listening, std::shared_ptr<ListenerUser> user) = 0;
  /// A listening descriptor for code that accepts by itself, owned by the host until the process
  /// ends. Blocks until it is there: for a worker, until its primary answered. NoDescriptor where
  /// the policy has none.
  virtual Result<int> listening_descriptor(const ListenRequest& request) = 0;

 protected:
  ~Host() = default;
};

}  // namespace cohort::net
