#include "http/server_core.h"

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <ctime>
#include <stdexcept>

#include "base/sys.h"
#include "http/connection.h"

namespace cohort::http {

using std::chrono::milliseconds;

/// The clock of one server: ticks while there are connections, and once more. Owned by its own
/// pending wait, so that it is gone with the loop, whatever handles still exist.
class Ticker : public std::enable_shared_from_this<Ticker> {
 public:
  Ticker(ServerCore& server, const Loop& loop)
      : server_{server.weak_from_this()}, timer_{loop.executor()} {}

  void start(milliseconds period) {
    timer_.expires_after(period);
    timer_.async_wait([self = shared_from_this(), period](boost::system::error_code error) {
      const auto server = self->server_.lock();
      if (error || !server || server->connections_.empty()) return;
      server->tick();
      self->start(period);
    });
  }
  void stop() { timer_.cancel(); }

 private:
  std::weak_ptr<ServerCore> server_;
  boost::asio::steady_timer timer_;
};

Ticks::Ticks(const ServerOptions& options) {
  constexpr milliseconds kLongest{500};
  constexpr milliseconds kShortest{5};
  static constexpr std::chrono::hours kForever{24 * 365};
  const milliseconds times[] = {options.headers_timeout,    options.request_timeout,
                                options.keep_alive_timeout, options.send_timeout,
                                options.half_close_timeout, options.drain_quiet,
                                options.linger_timeout};
  period = kLongest;
  for (const milliseconds time : times)
    if (time.count() > 0) period = std::min(period, time / 2);
  period = std::max(period, kShortest);
  const auto ticks = [this](milliseconds time) {
    if (time.count() <= 0 || time > kForever) return kNever;
    return static_cast<std::uint32_t>((time + period - milliseconds{1}) / period) + 1;
  };
  headers = ticks(options.headers_timeout);
  request = ticks(options.request_timeout);
  keep_alive = ticks(options.keep_alive_timeout);
  send = ticks(options.send_timeout);
  half_close = options.half_close_timeout.count() > 0 ? ticks(options.half_close_timeout) : 0;
  // An end must come, so these two cannot be disabled.
  drain_quiet = std::max(options.drain_quiet.count() > 0 ? ticks(options.drain_quiet) : 1, 1U);
  linger = options.linger_timeout.count() > 0 ? ticks(options.linger_timeout) : 1;
}

ServerCore::ServerCore(net::Host& host, Handler handler, const ServerOptions& options)
    : host_{host},
      loop_{std::make_shared<Loop>(host.loop())},
      handler_{std::move(handler)},
      parser_limits_{options.header_size_max, options.header_count_max, options.body_size_max},
      ticks_{options},
      read_buffer_{std::make_unique<std::array<char, 64 * 1024>>()} {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(options.keep_alive_timeout);
  if (seconds.count() > 0)
    keep_alive_line_ = "Keep-Alive: timeout=" + std::to_string(seconds.count()) + "\r\n";
}

ServerCore::~ServerCore() = default;

void ServerCore::listen(const net::ListenRequest& request, std::function<void()> on_listening) {
  if (state_ != State::Idle) {
    fail_later(system_error(EALREADY, "listen " + to_string(request.address),
                            "this server listens, or is still closing"));
    return;
  }
  state_ = State::Starting;
  no_delay_ = request.no_delay;
  first_listening_ = std::move(on_listening);
  listener_ = host_.listen(request, shared_from_this());
}

void ServerCore::listening(const Address& bound) {
  if (state_ != State::Starting) return;  // closed in the meantime
  state_ = State::Listening;
  address_ = bound;
  if (const auto first = std::exchange(first_listening_, nullptr)) first();
  on_listening_();
}

void ServerCore::listen_failed(const Error& error) {
  if (state_ == State::Starting) {
    state_ = State::Idle;
    first_listening_ = nullptr;
    drop_listener();
  }
  fail_later(error);
}

// Later: the handler may call listen() again, and an exception must not pass through the host.
void ServerCore::fail_later(Error error) {
  loop_->post([self = shared_from_this(), error = std::move(error)] {
    if (self->on_error_.empty()) throw std::runtime_error{error.message()};
    self->on_error_(error);
  });
}

bool ServerCore::connection(OwnFd& fd) {
  if (state_ != State::Listening || full()) return false;
  std::make_shared<Connection>(shared_from_this(), std::move(fd))->start();
  return true;
}

void ServerCore::adopt(Handle connection) {
  if (connection.kind() != Handle::Kind::Socket || state_ == State::Ending) return;
  // While it does not listen, the host has to know of it all the same.
  if (state_ == State::Idle) {
    state_ = State::Listening;
    listener_ = host_.adopt({}, shared_from_this());
  }
  const std::string head = connection.head();
  OwnFd fd = connection.release();
  sys::set_nonblocking(fd.get(), true);
  std::make_shared<Connection>(shared_from_this(), std::move(fd))->start(head);
}

void ServerCore::max_connections(std::size_t limit) {
  limit_ = limit;
  if (state_ == State::Listening) listener_->resume();
}

void ServerCore::close(std::function<void()> done) {
  const auto self = shared_from_this();
  if (done) ended_.push_back(std::move(done));
  if (state_ == State::Starting || state_ == State::Listening) {
    state_ = State::Ending;
    address_ = {};
    first_listening_ = nullptr;
    listener_->close();
    // Backwards: one that is given back leaves.
    for (std::size_t i = connections_.size(); i-- > 0;) connections_[i]->drain();
  }
  check_ended();
}

void ServerCore::abandon() {
  const auto self = shared_from_this();
  state_ = State::Idle;
  first_listening_ = nullptr;
  ended_.clear();
  on_listening_.clear();
  on_error_.clear();
  while (!connections_.empty()) connections_.back()->abandon();
  handler_ = nullptr;
  address_ = {};
  listener_.reset();
}

// Later: the host may be calling us.
void ServerCore::drop_listener() {
  loop_->post([listener = std::shared_ptr<net::Listener>{std::move(listener_)}] {});
}

void ServerCore::check_ended() {
  if (state_ == State::Starting || state_ == State::Listening || !connections_.empty()) return;
  if (state_ == State::Ending) drop_listener();
  state_ = State::Idle;
  if (const auto ticker = ticker_.lock()) ticker->stop();
  for (auto& done : std::exchange(ended_, {})) loop_->post(std::move(done));
}

void ServerCore::join(Connection& connection) {
  connection.index = connections_.size();
  connections_.push_back(&connection);
  ++counters_.connections;
  publish();
  if (!ticker_.expired()) return;
  const auto ticker = std::make_shared<Ticker>(*this, loop());
  ticker_ = ticker;
  ticker->start(ticks_.period);
}

void ServerCore::leave(Connection& connection) {
  connections_[connection.index] = connections_.back();
  connections_[connection.index]->index = connection.index;
  connections_.pop_back();
  connection.set_busy(false);
  publish();
  if (limit_ != 0 && state_ == State::Listening) listener_->resume();
}

void ServerCore::count_in_flight(int more) {
  in_flight_ += more;
  net::Load::set(load_->in_flight, in_flight_);
}

void ServerCore::publish_to(const std::shared_ptr<net::Load>& load) {
  load_ = load;  // there are no connections: it was idle
  net::Load::set(load_->counts_open, 1);
  count_in_flight(0);
  publish();
}

void ServerCore::publish() {
  net::Load::set(load_->connections, connections_.size());
  net::Load::set(load_->arriving, 0);
}

void ServerCore::tick() {
  ++now_;
  // Backwards, as in end(). A connection may end others through its handlers.
  for (std::size_t i = connections_.size(); i-- > 0;)
    if (i < connections_.size()) connections_[i]->check_timeouts();
}

Reply::Common ServerCore::reply_common() {
  return {.date_line = date_.at(std::time(nullptr)),
          .keep_alive_line = keep_alive_line_,
          .closing = ending()};
}

ServerStats ServerCore::stats() const {
  ServerStats stats = counters_;
  stats.connections_open = connections_.size();
  return stats;
}

}  // namespace cohort::http
