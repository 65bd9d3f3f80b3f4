// An HTTP/1.1 server with the names of Node's `http`.
//
//   cohort::http::create_server(cluster, [](const auto& req, auto& res) {
//     res.status_code(200);
//     res.end("hello world\n");
//   }).listen(8000);
//
// Connections come from a `net::Host`: a Cluster, or a plain io_context. Everything here is called,
// and every handler runs, on the host's executor, one at a time. A handler must not run the loop
// itself.
//
// Differences from Node: a request's body has arrived before the handler runs (`Request::body`),
// and is limited; a handler that throws is answered 500 and does not end the process; a response
// that is ended in one piece has a Content-Length, also after `write_head`.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "cohort/address.h"
#include "cohort/callback.h"
#include "cohort/error.h"
#include "cohort/handle.h"
#include "cohort/listen_options.h"

namespace boost::asio {
class io_context;
}
namespace cohort {
class Loop;  // internal
}
namespace cohort::net {
class Host;
}

namespace cohort::http {

class Connection;  // internal
class ServerCore;  // internal

struct Header {
  std::string_view name;
  std::string_view value;
};

/// A request, whole. It, and every view that it gives, is valid until the handler returns.
class Request {
 public:
  explicit Request(Connection& connection) : connection_{connection} {}
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  std::string_view method() const;
  /// The request target as it was sent: `/path?query`, as Node's `url`.
  std::string_view url() const;
  /// "1.1" or "1.0".
  std::string_view http_version() const;
  /// In the order and spelling of the client.
  std::span<const Header> headers() const;
  /// The first header of that name in any case, or an empty view.
  std::string_view header(std::string_view name) const;
  bool has_header(std::string_view name) const;
  /// The decoded body, whether it came with a Content-Length or chunked.
  std::string_view body() const;
  /// The peer; `Address{}` for a Unix socket. Asked from the system once per connection.
  const Address& remote_address() const;

 private:
  Connection& connection_;
};

/// The answer to one request: a handle. Copy it to answer later, from a timer for example; `const`
/// is that of a pointer. When the answer has ended, or the client is gone, every call does nothing.
class Response {
 public:
  Response(std::weak_ptr<Connection> connection, std::shared_ptr<const Loop> loop,
           std::uint64_t serial)
      : connection_{std::move(connection)}, loop_{std::move(loop)}, serial_{serial} {}

  /// 200 until set. The next `write` or `end` sends it. What is not of 200...999 is answered as 500
  /// unless a later call sets another one, and the notice `status_invalid` says so: also 101, since
  /// there are no upgrades, and the other 1xx, which are no answers (`write_continue`). Does
  /// nothing once the head is fixed.
  void status_code(int status) const;
  int status_code() const;
  /// Replaces every header of that name. InvalidArgument, and no change, for a name that is no
  /// token, a value with control characters (CR, LF, NUL: response splitting), framing that the
  /// server could not keep (`Transfer-Encoding` other than chunked, a `Content-Length` that is no
  /// number, `Connection` other than close and keep-alive, any `Keep-Alive`), and after the head is
  /// fixed.
  Result<void> set_header(std::string_view name, std::string_view value) const;
  /// Adds one beside those of the same name (`Set-Cookie`). Errors as set_header.
  Result<void> append_header(std::string_view name, std::string_view value) const;
  /// The first value, valid until the headers change; empty if there is none.
  std::string_view get_header(std::string_view name) const;
  bool has_header(std::string_view name) const;
  void remove_header(std::string_view name) const;
  /// Status and headers in one call, and the head is fixed: nothing can be set afterwards. It
  /// leaves with the first data. A header that `set_header` would refuse is left out and returned
  /// as the error; a status outside of 200...999 is answered as 500.
  Result<void> write_head(int status, std::initializer_list<Header> headers = {}) const;
  /// Sends a part of the body: chunked, unless a Content-Length was set (what exceeds it is
  /// dropped) or the client speaks HTTP/1.0 (the connection's end then ends the body). False: more
  /// than 64 KiB wait for the client; stop until `on_drain`. What is written nevertheless is kept
  /// in memory.
  bool write(std::string_view chunk) const;
  /// Ends the answer. If nothing was written before, it gets a Content-Length.
  void end(std::string_view data = {}) const;
  /// `100 Continue`. The server sends it by itself before it reads a body that waits for it, so
  /// this is for handlers that want to say it later; nothing once the head is sent, or to HTTP/1.0.
  void write_continue() const;
  /// The head is fixed (Node's `headersSent`).
  bool headers_sent() const;
  /// `end` was called, or the client is gone: nothing can be written any more.
  bool writable_ended() const;
  /// Once, when all that a false `write` left waiting has been handed to the system, or after `end`
  /// when the last of the answer has been; not if the client is gone before. Several are kept, here
  /// and below, and called in the order of addition.
  void on_drain(Callback<void()> callback) const;
  /// Once, when the answer has ended, or earlier if the client is gone (see
  /// `ServerOptions::half_close_timeout`). One that is added later is called in the next turn.
  void on_close(Callback<void()> callback) const;

 private:
  std::shared_ptr<Connection> find() const;

  std::weak_ptr<Connection> connection_;
  std::shared_ptr<const Loop> loop_;  // shared with the server
  std::uint64_t serial_;
};

using Handler = Callback<void(const Request&, Response&)>;

/// Names and defaults are Node's, where Node has them. Times are checked every half second, so that
/// they end up to a second late, never early; 0 disables one.
struct ServerOptions {
  /// From a request's first byte (or the connection's start) to the end of its headers; 408.
  std::chrono::milliseconds headers_timeout{60'000};
  /// From a request's first byte to the end of its body; 408.
  std::chrono::milliseconds request_timeout{300'000};
  /// How long a connection may wait for its next request. Clients are told (`Keep-Alive:
  /// timeout=5`).
  std::chrono::milliseconds keep_alive_timeout{5'000};
  /// How long a client may take nothing of an answer that waits for it, before it is cut off.
  std::chrono::milliseconds send_timeout{60'000};
  /// How long an answer may go on for a client that has ended its side, while nothing of it is
  /// sent; then the client counts as gone. TCP says the same (a FIN) of a client that left and of
  /// one that sends no more but waits for its answer (`nc -N`, old HTTP/1.0 clients). What is
  /// written shows it sooner: a client that left answers with a reset. So does its end on a Unix
  /// socket. Raise this if such clients ask for what takes longer. Lower it, and a long poll of one
  /// that left is noticed sooner; 0: at once, as Node does, whose answer to a half-closed client is
  /// lost unless it is ended within the handler's own turn. A year or more: no limit.
  std::chrono::milliseconds half_close_timeout{5'000};
  /// When the server ends: how long a connection without a request is kept, so that a request under
  /// way is answered rather than lost. Longer than a slow round trip or one retransmission; it is
  /// what an orderly end takes at least while clients keep idle connections. Most callers leave
  /// this.
  std::chrono::milliseconds drain_quiet{1'000};
  /// After an answer that ends the connection: how long the server goes on reading, so that the
  /// client gets the answer rather than a reset. Most callers leave this.
  std::chrono::milliseconds linger_timeout{2'000};
  /// Request line and headers, in bytes (Node's `maxHeaderSize`); 431, or 414 for the line alone.
  std::size_t header_size_max = 16 * 1024;
  /// Headers of a request, and trailers of its body; 431. Node has this limit too (20: what exceeds
  /// it is dropped; 26: 431). 0: none.
  std::size_t header_count_max = 1000;
  /// Bytes of a body, and what one connection may make the server keep; 413.
  std::size_t body_size_max = 1024 * 1024;
};

struct ServerStats {
  std::uint64_t connections = 0;       ///< Ever taken.
  std::uint64_t connections_open = 0;  ///< Now.
  std::uint64_t requests = 0;          ///< Given to the handler.
  std::uint64_t refused = 0;           ///< Answered by the server itself: 400, 408, 413...
  std::uint64_t handler_failures = 0;  ///< Handlers that threw.
};

/// A handle; `const` is that of a pointer. The server lives while it listens or has connections; a
/// handle to one that was closed says so (`listening()`), and may listen again. Several handlers of
/// one event are called in the order of addition.
class Server {
 public:
  explicit Server(std::shared_ptr<ServerCore> core) : core_{std::move(core)} {}

  /// Listens on any address (`::`, serving IPv4 too). Port 0: the system chooses, `address()`
  /// tells. `on_listening` is called once it does. Failures go to `on_error`; without a handler
  /// they end the process as in Node: `cluster.run()` prints
  /// `Uncaught std::runtime_error: listen 127.0.0.1:80: ...` and returns 1.
  Server listen(std::uint16_t port, Callback<void()> on_listening = {}) const;
  Server listen(const Address& address, Callback<void()> on_listening = {}) const;
  Server listen(const Address& address, const ListenOptions& options,
                Callback<void()> on_listening = {}) const;
  /// A connection that another process sent (`Worker::on_message`) becomes one of this server's, as
  /// if it had accepted it, whether it listens or not; its head is read first. Anything else is
  /// closed.
  void adopt(Handle connection) const;
  /// Stops accepting and lets the connections finish: a request in progress is answered with
  /// `Connection: close`, and so is the next one of an idle connection, which is closed if none
  /// comes for `drain_quiet`. Then `closed` is called.
  void close(Callback<void()> closed = {}) const;
  bool listening() const;
  /// Where it listens, with the real port; `Address{}` unless `listening()`.
  Address address() const;
  /// Connections beyond this wait, or go to another worker. 0, the default: no limit.
  void max_connections(std::size_t limit) const;
  ServerStats stats() const;

  void on_listening(Callback<void()> handler) const;
  void on_error(Callback<void(const Error&)> handler) const;

 private:
  std::shared_ptr<ServerCore> core_;  // shared with the host while it listens, and its connections
};

/// Does not listen yet. A `Cluster` converts to the host; of an io_context it is `net::host(io)`.
Server create_server(net::Host& host, Handler handler, ServerOptions options = {});
Server create_server(boost::asio::io_context& io, Handler handler, ServerOptions options = {});

}  // namespace cohort::http
