// TCP and Unix-socket servers with Node's names: `net.Server` and `net.Socket`.
//
//   cohort::net::create_server(cluster, [](cohort::net::Socket socket) {
//     socket.on_data([=](std::string_view data) { socket.write(data); });
//   }).listen(8000);
//
// `Server` and `Socket` are cheap handles: copy them freely. A server lives while it listens or has
// connections, whoever holds a handle; a connection lives until both sides ended it. A handle to
// something closed stays valid: its functions do nothing. Everything here is called on the
// cluster's executor, where handlers run too, one at a time. Several handlers of one event are
// called in the order of addition. Handles must not outlive the io_context. Contract: Node's
// documentation of `net`.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "cohort/address.h"
#include "cohort/callback.h"
#include "cohort/error.h"
#include "cohort/handle.h"
#include "cohort/listen_options.h"

namespace boost::asio {
class io_context;
}

namespace cohort::net {

class Host;
class ServerImpl;
class SocketHolder;
class SocketImpl;

/// One connection.
///
/// It starts to read when it gets an `on_data` handler or `resume()`. Until then bytes wait in the
/// kernel, and only a peer that closes without having sent any is noticed. A socket of which no
/// handle is left flows by itself: bytes that nobody listens for are thrown away, so that its end
/// is seen. (In Node such a socket stays until the process ends.)
class Socket {
 public:
  explicit Socket(std::shared_ptr<SocketHolder> holder) : holder_{std::move(holder)} {}

  /// Sends `data`, copying what the system does not take at once. False if more than 64 KiB wait:
  /// stop until `on_drain`. `done` is called once, later: with nothing when the system has taken
  /// all of it, else with the reason (EPIPE after `end`, ECANCELED after `destroy`).
  bool write(std::string_view data, Callback<void(std::optional<Error>)> done = {}) const;
  /// Sends `data`, then half-closes: the peer sees the end of the stream, and may still send.
  void end(std::string_view data = {}) const;
  /// Closes at once. What was not sent is lost.
  void destroy() const;
  bool destroyed() const;

  /// Takes the connection out of this process's hands, to be sent to another one, with `unread`:
  /// bytes that came by `on_data` and are for the next owner. No event comes any more. EBUSY while
  /// bytes wait to be written, ENOTCONN if it is closed.
  Result<Handle> release(std::string_view unread = {}) const;
  /// Stops and restarts `on_data`. While paused not even the peer's end is noticed.
  void pause() const;
  void resume() const;
  /// Calls `handler` when nothing was read or written for `idle`; the connection stays open. Again
  /// only after new activity. 0 switches it off.
  void set_timeout(std::chrono::milliseconds idle, Callback<void()> handler = {}) const;

  /// Once the socket is closed, these are `Address{}` unless they had been asked for before; also
  /// for the peer on a Unix socket, which has no name.
  Address remote_address() const;
  Address local_address() const;
  std::uint64_t bytes_read() const;
  /// Including what still waits to be sent.
  std::uint64_t bytes_written() const;

  // Events. The bytes of `on_data` are valid during the call.
  void on_data(Callback<void(std::string_view)> handler) const;
  /// The peer ended its side. Unless the server allows half-open connections, ours follows by
  /// itself when everything was written.
  void on_end(Callback<void()> handler) const;
  /// Everything that waited was written, after a `write` that returned false.
  void on_drain(Callback<void()> handler) const;
  /// The connection broke; `on_close` follows. Without a handler it just closes, where Node's
  /// process ends.
  void on_error(Callback<void(const Error&)> handler) const;
  /// The last event.
  void on_close(Callback<void()> handler) const;

  friend bool operator==(const Socket&, const Socket&) = default;

 private:
  SocketImpl& impl() const;

  std::shared_ptr<SocketHolder> holder_;  // shared by the handles
};

struct ServerOptions {
  /// Keep our side open when the peer ended its own; then every connection must be `end`ed.
  bool allow_half_open = false;
};

class Server {
 public:
  explicit Server(std::shared_ptr<ServerImpl> impl) : impl_{std::move(impl)} {}

  /// Starts to listen, on `*:port` or an address; port 0 lets the system choose. `on_listening` is
  /// called once it does, never before this returned. Names are resolved blocking. Again only after
  /// `close`.
  Server listen(std::uint16_t port, Callback<void()> on_listening = {}) const;
  Server listen(const Address& address, Callback<void()> on_listening = {}) const;
  Server listen(const Address& address, const ListenOptions& options,
                Callback<void()> on_listening = {}) const;
  /// On a listening socket that another process sent (`Worker::on_message`): both accept from it.
  Server listen(Handle handle, Callback<void()> on_listening = {}) const;
  /// The socket it listens on, to be sent to another process, which then accepts too. NoDescriptor
  /// if it does not listen, or in a worker under round-robin; EMFILE.
  Result<Handle> handle() const;
  /// A connection that another process sent becomes one of this server's, as if it had accepted it.
  /// What is not a connection becomes a socket that is `destroyed()`.
  Socket adopt(Handle connection) const;
  /// Accepts no more. `closed` is called once every connection has ended; they are not cut.
  void close(Callback<void()> closed = {}) const;

  /// With the real port; `Address{}` while it does not listen.
  Address address() const;
  bool listening() const;
  std::size_t connections() const;
  /// With so many connections further ones wait in the kernel, or go to other workers. 0, the
  /// default: no limit.
  void max_connections(std::size_t limit) const;

  // Events.
  void on_listening(Callback<void()> handler) const;
  /// The address could not be had, or the server listens already. Without a handler the error
  /// leaves the loop as a std::runtime_error: the process ends, as in Node.
  void on_error(Callback<void(const Error&)> handler) const;

 private:
  std::shared_ptr<ServerImpl> impl_;  // shared by handles, the host, and callbacks that are running
};

/// A connection that another process sent. Owned by the host until it is closed.
Socket adopt(Host& host, Handle connection);
Socket adopt(boost::asio::io_context& io, Handle connection);

/// `on_connection` is called for every connection. A `Cluster` converts to the host.
Server create_server(Host& host, Callback<void(Socket)> on_connection,
                     const ServerOptions& options = {});
Server create_server(boost::asio::io_context& io, Callback<void(Socket)> on_connection,
                     const ServerOptions& options = {});

/// The host of an io_context, for whatever takes a Host (`Acceptor`...): its Cluster, or else one
/// that binds this process's own sockets. Everything of it runs on one strand, also what `spawn(io,
/// ...)` starts, and where several threads run `io`. Owned by `io`; `io.run()` returns when every
/// server was closed and every connection has ended.
Host& host(boost::asio::io_context& io);

}  // namespace cohort::net
