// For servers that exist already: three ways to give them a cluster's connections.
//
//   // An Asio server, awaitable<void> serve(cohort::Acceptor): one line changes.
//   asio::co_spawn(io, serve(cohort::Acceptor{cluster, {"::", 8080}}), asio::detached);
//   // One that takes connected descriptors.
//   cohort::on_connection(cluster, {"::", 50051}, adopt);
//   // One that takes a listening descriptor.
//   int fd = cohort::Listener{cluster, {"::", 8080}}.native_handle();
//
// A `Cluster` converts to the host. Everything is called on the cluster's executor, unless it says
// otherwise; none of it may outlive the io_context.
#pragma once

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "cohort/address.h"
#include "cohort/callback.h"
#include "cohort/error.h"
#include "cohort/fd.h"
#include "cohort/listen_options.h"

namespace cohort {

namespace net {
class Host;
}
class AcceptorImpl;
class ConnectionsImpl;

/// In the place of a `tcp::acceptor`, under every policy: connections that this process accepted
/// and those that its primary handed over. It listens from its construction on. Move-only;
/// destroying it closes it, pending operations then end with operation_aborted.
///
/// Connections that nobody asked for yet wait here, a few, then in the kernel or in other workers.
/// When the process is told to end (`disconnect`), it stops listening, hands out what waits, and
/// then completes with operation_aborted: leave the loop that accepts, and finish what it serves.
class Acceptor {
 public:
  /// A name is resolved, blocking. An address that cannot be had is the error of the first
  /// operation.
  Acceptor(net::Host& host, const Address& address, const ListenOptions& options = {});
  Acceptor(Acceptor&&) noexcept;
  Acceptor& operator=(Acceptor&&) noexcept;
  ~Acceptor();

  // Operations. They may be started in any thread that runs the io_context, several at a time; they
  // can be cancelled. After a failed listen they complete with its error: see `error`.

  /// Completes with (error_code, tcp::socket), on the cluster's executor. operation_not_supported
  /// for a Unix socket: take `async_accept_fd`.
  template <class Token>
  auto async_accept(Token&& token) {
    return start<boost::asio::ip::tcp::socket>(&Acceptor::accept, std::forward<Token>(token));
  }
  /// Completes with (error_code, OwnFd): a connected socket, non-blocking and close-on-exec.
  template <class Token>
  auto async_accept_fd(Token&& token) {
    return start<OwnFd>(&Acceptor::accept_fd, std::forward<Token>(token));
  }
  /// Completes with (error_code, Address) once it listens; the address has the real port.
  template <class Token>
  auto async_wait_listening(Token&& token) {
    return start<Address>(&Acceptor::wait_listening, std::forward<Token>(token));
  }

  /// Accepts no more; connections that wait here are closed. Any thread.
  void close();
  /// With the real port; `Address{}` while it does not listen.
  Address local_address() const;
  /// Why it cannot listen, in a sentence.
  std::optional<Error> error() const;

 private:
  template <class Result>
  using Handler = boost::asio::any_completion_handler<void(boost::system::error_code, Result)>;
  using Impl = std::shared_ptr<AcceptorImpl>;

  template <class Result, class Token>
  auto start(void (*operation)(const Impl&, Handler<Result>), Token&& token) {
    return boost::asio::async_initiate<Token, void(boost::system::error_code, Result)>(
        [impl = impl_, operation](auto handler) { operation(impl, std::move(handler)); }, token);
  }
  static void accept(const Impl& impl, Handler<boost::asio::ip::tcp::socket> handler);
  static void accept_fd(const Impl& impl, Handler<OwnFd> handler);
  static void wait_listening(const Impl& impl, Handler<Address> handler);

  Impl impl_;  // shared with the host and with pending operations
};

/// What `on_connection` gives: a handle, copy it freely. The cluster owns what listens, so it may
/// be dropped.
class Connections {
 public:
  explicit Connections(std::shared_ptr<ConnectionsImpl> impl) : impl_{std::move(impl)} {}

  /// No connection is delivered any more.
  void close() const;
  /// With the real port; `Address{}` while it does not listen.
  Address address() const;
  void on_listening(Callback<void(const Address&)> handler) const;
  /// The address could not be had. Without a handler the error leaves the loop as a
  /// std::runtime_error: the process ends, as in Node.
  void on_error(Callback<void(const Error&)> handler) const;

 private:
  std::shared_ptr<ConnectionsImpl> impl_;  // shared by handles and the host
};

/// Calls `adopt` with every connection: non-blocking, close-on-exec. `shutdown` it
/// before you close it: a primary that handed it over may hold a copy for a moment. What becomes of
/// it is yours: when the process is told to end it stops listening and waits for nothing.
Connections on_connection(net::Host& host, const Address& address,
                          Callback<void(OwnFd fd, const Address& peer)> adopt,
                          const ListenOptions& options = {});

/// A listening descriptor, where there is one: in a process without a primary, and under policies
/// that share a socket; under round-robin `error()` is Errc::NoDescriptor.
///
/// Of an `Address::datagram` it is a bound UDP socket, under every policy. Under `adaptive`, `hash`
/// and `sticky` each worker has its own: all datagrams from one address and port come to one
/// worker, until one is added, and what waits when it dies is its successor's.
class Listener {
 public:
  /// Blocks until the descriptor is there: for a worker, until its primary answered. Call it at
  /// start-up.
  Listener(net::Host& host, const Address& address, const ListenOptions& options = {});

  /// Non-blocking and close-on-exec. The host owns it until the process ends, also when this object
  /// is gone: give `dup` of it to code that closes what it gets. -1 if it cannot be had.
  int native_handle() const { return fd_; }
  const std::optional<Error>& error() const { return error_; }

 private:
  int fd_ = -1;
  std::optional<Error> error_;
};

}  // namespace cohort
