// What the connections of one server share, and all that they know of it: the handler, settings, a
// clock, counters, and who else is there.
//
// A part of its owner (ServerCore), which every connection keeps alive through it. Loop's executor
// only.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/loop.h"
#include "cohort/fd.h"
#include "cohort/http.h"
#include "http/date.h"
#include "http/open_connections.h"
#include "http/parser.h"
#include "http/reply.h"
#include "http/ticks.h"

namespace cohort::http {

/// Where connections come from, and go back to.
class ServiceOwner {
 public:
  /// No connection is kept beyond the answer that it waits for.
  virtual bool ending() const = 0;
  /// Whether another process takes over a connection that drains, and handing it there.
  virtual bool takes_back() const = 0;
  virtual void give_back(OwnFd connection) = 0;
  /// A connection has left: there is room. The loop may be gone.
  virtual void has_room() = 0;
  /// The same, but the loop goes on: it may have been the last one that somebody waits for.
  virtual void connection_ended() = 0;

 protected:
  ~ServiceOwner() = default;
};

struct ServiceSettings {
  explicit ServiceSettings(const ServerOptions& options);

  ParserLimits parser_limits;
  Ticks ticks;
  std::string keep_alive_line;
  bool no_delay = true;  ///< As the listener's connections have it.
};

class Service {
 public:
  Service(ServiceOwner& owner, const Loop& loop, Handler handler, const ServerOptions& options);

  /// Serves the bytes in `head`, and then the connection, which keeps `service` alive.
  static void serve(const std::shared_ptr<Service>& service, OwnFd connection,
                    std::string_view head = {});

  // For connections.
  ServiceOwner& owner() { return owner_; }
  const Loop& loop() const { return *loop_; }
  /// For those who may outlive the server.
  const std::shared_ptr<const Loop>& shared_loop() const { return loop_; }
  const ServiceSettings& settings() const { return settings_; }
  const auto& handler() const { return handler_; }
  /// The clock of timeouts: counts the loop's time, not that of a blocked loop.
  std::uint32_t now() const { return now_; }
  Reply::Common reply_common();
  /// One for all connections: whoever reads has used it up before the next one reads.
  std::span<char> read_buffer() { return *read_buffer_; }
  ServerStats& counters() { return counters_; }
  /// Counts and lists it, until `leave`.
  void join(Connection& connection);
  void leave(Connection& connection);
  void set_busy(OpenConnections::Seat& seat, bool busy) { open_.set_busy(seat, busy); }
  void count_answer() { open_.count_answer(); }

  // For the owner.
  std::size_t size() const { return open_.size(); }
  ServerStats stats() const;
  void set_no_delay(bool no_delay) { settings_.no_delay = no_delay; }
  /// There are no connections yet.
  void publish_to(const std::shared_ptr<net::Load>& load) { open_.publish_to(load); }
  /// The owner ends.
  void drain() { open_.drain(); }
  /// Time goes on. Its own clock calls this, from `serve` on while there are connections.
  void tick();
  /// The last connection has left.
  void stop_clock();
  /// Closes every connection without a word to the user, and drops the handler.
  void abandon();

 private:
  class Ticker;

  static void start_clock(const std::shared_ptr<Service>& service);

  ServiceOwner& owner_;
  std::shared_ptr<const Loop> loop_;  // shared with answers
  std::function<void(const Request&, Response&)> handler_;
  ServiceSettings settings_;
  OpenConnections open_;
  ServerStats counters_;
  std::weak_ptr<Ticker> ticker_;  // owned by its own wait
  std::uint32_t now_ = 0;
  DateLine date_;
  std::unique_ptr<std::array<char, 64 * 1024>> read_buffer_;
};

}  // namespace cohort::http
