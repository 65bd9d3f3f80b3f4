// What a Server handle stands for: listens, keeps the list of connections, their clock and
// counters.
//
// Kept alive by the host while it listens, by every open connection, and by handles. Loop's
// executor only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/handlers.h"
#include "base/loop.h"
#include "cohort/http.h"
#include "http/date.h"
#include "http/parser.h"
#include "http/reply.h"
#include "net/listener.h"

namespace cohort::http {

class Ticker;

/// ServerOptions' times in ticks of the server's clock; kNever if disabled. Each is one tick longer
/// than its time, since the tick that runs has begun already.
struct Ticks {
  static constexpr std::uint32_t kNever = 0xffffffff;

  explicit Ticks(const ServerOptions& options);

  std::chrono::milliseconds period;
  std::uint32_t headers, request, keep_alive, send, half_close, drain_quiet, linger;
};

class ServerCore final : public net::ListenerUser, public std::enable_shared_from_this<ServerCore> {
 public:
  ServerCore(net::Host& host, Handler handler, const ServerOptions& options);
  ~ServerCore() override;

  // For Server.
  void listen(const net::ListenRequest& request, std::function<void()> listening);
  void adopt(Handle connection);
  /// Stops listening, lets connections finish, then calls `done` from the loop.
  void close(std::function<void()> done);
  void max_connections(std::size_t limit);
  bool is_listening() const { return state_ == State::Listening; }
  const Address& address() const { return address_; }
  ServerStats stats() const;
  Handlers<>& on_listening() { return on_listening_; }
  Handlers<const Error&>& on_error() { return on_error_; }

  // net::ListenerUser.
  void listening(const Address& bound) override;
  void listen_failed(const Error& error) override;
  bool connection(OwnFd& fd) override;
  /// For a connection that drains: whether another process takes it over, and handing it there.
  bool takes_back() const { return listener_ && listener_->takes_back(); }
  void give_back(OwnFd connection) { listener_->give_back(std::move(connection)); }
  bool full() const override { return limit_ != 0 && connections_.size() >= limit_; }
  void publish_to(const std::shared_ptr<net::Load>& load) override;
  void drain(std::function<void()> done) override { close(std::move(done)); }
  void abandon() override;

  // For connections.
  const Loop& loop() const { return *loop_; }
  /// For those who may outlive the server.
  const std::shared_ptr<const Loop>& shared_loop() const { return loop_; }
  const auto& handler() const { return handler_; }
  const ParserLimits& parser_limits() const { return parser_limits_; }
  const Ticks& ticks() const { return ticks_; }
  bool no_delay() const { return no_delay_; }
  /// The clock of timeouts: counts the loop's time, not that of a blocked loop.
  std::uint32_t now() const { return now_; }
  bool ending() const { return state_ == State::Ending; }
  Reply::Common reply_common();
  /// One for all connections: whoever reads has used it up before the next one reads.
  std::span<char> read_buffer() { return *read_buffer_; }
  ServerStats& counters() { return counters_; }
  /// Counts and lists it, until `leave`.
  void join(Connection& connection);
  void leave(Connection& connection);
  /// So many more connections have something that is not answered, or fewer.
  void count_in_flight(int more);
  /// The last connection may have left: tell whoever waits for it.
  void check_ended();

 private:
  friend class Ticker;

  enum class State { Idle, Starting, Listening, Ending };

  void fail_later(Error error);
  void drop_listener();
  void publish();
  void tick();

  net::Host& host_;
  std::shared_ptr<const Loop> loop_;  // shared with answers
  std::function<void(const Request&, Response&)> handler_;
  ParserLimits parser_limits_;
  Ticks ticks_;
  State state_ = State::Idle;
  std::unique_ptr<net::Listener> listener_;  // closed, but kept, until the last connection ended
  Address address_;
  Handlers<> on_listening_;
  Handlers<const Error&> on_error_;
  std::function<void()> first_listening_;  // the callback of this listen()
  std::size_t limit_ = 0;
  bool no_delay_ = true;
  std::vector<std::function<void()>> ended_;
  std::vector<Connection*> connections_;  // each leaves before it dies
  std::weak_ptr<Ticker> ticker_;          // owned by its own wait
  std::uint32_t now_ = 0;
  ServerStats counters_;
  int in_flight_ = 0;
  std::shared_ptr<net::Load> load_ = std::make_shared<net::Load>();  // shared with its publisher
  DateLine date_;
  std::string keep_alive_line_;
  std::unique_ptr<std::array<char, 64 * 1024>> read_buffer_;
};

}  // namespace cohort::http
