#include "http/service.h"

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <ctime>
#include <utility>

#include "http/connection.h"

namespace cohort::http {

using std::chrono::milliseconds;

/// The clock of one server: ticks while there are connections, and once more. Owned by its own
/// pending wait, so that it is gone with the loop, whatever handles still exist.
class Service::Ticker : public std::enable_shared_from_this<Ticker> {
 public:
  explicit Ticker(const std::shared_ptr<Service>& service)
      : service_{service}, timer_{service->loop().executor()} {}

  void start(milliseconds period) {
    timer_.expires_after(period);
    timer_.async_wait([self = shared_from_this(), period](boost::system::error_code error) {
      const auto service = self->service_.lock();
      if (error || !service || service->open_.empty()) return;
      service->tick();
      self->start(period);
    });
  }
  void stop() { timer_.cancel(); }

 private:
  std::weak_ptr<Service> service_;
  boost::asio::steady_timer timer_;
};

ServiceSettings::ServiceSettings(const ServerOptions& options)
    : parser_limits{options.header_size_max, options.header_count_max, options.body_size_max},
      ticks{options} {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(options.keep_alive_timeout);
  if (seconds.count() > 0)
    keep_alive_line = "Keep-Alive: timeout=" + std::to_string(seconds.count()) + "\r\n";
}

Service::Service(ServiceOwner& owner, const Loop& loop, Handler handler,
                 const ServerOptions& options)
    : owner_{owner},
      loop_{std::make_shared<Loop>(loop)},
      handler_{std::move(handler)},
      settings_{options},
      read_buffer_{std::make_unique<std::array<char, 64 * 1024>>()} {}

void Service::serve(const std::shared_ptr<Service>& service, OwnFd fd, std::string_view head) {
  const auto connection = std::make_shared<Connection>(service, std::move(fd));
  start_clock(service);
  connection->start(head);
}

void Service::join(Connection& connection) {
  open_.join(connection);
  ++counters_.connections;
}

void Service::leave(Connection& connection) {
  open_.leave(connection);
  owner_.has_room();
}

void Service::start_clock(const std::shared_ptr<Service>& service) {
  if (!service->ticker_.expired()) return;
  const auto ticker = std::make_shared<Ticker>(service);
  service->ticker_ = ticker;
  ticker->start(service->settings_.ticks.period);
}

void Service::stop_clock() {
  if (const auto ticker = ticker_.lock()) ticker->stop();
}

void Service::tick() {
  ++now_;
  open_.check_timeouts();
}

void Service::abandon() {
  open_.abandon();
  handler_ = nullptr;
}

Reply::Common Service::reply_common() {
  return {.date_line = date_.at(std::time(nullptr)),
          .keep_alive_line = settings_.keep_alive_line,
          .closing = owner_.ending()};
}

ServerStats Service::stats() const {
  ServerStats stats = counters_;
  stats.connections_open = open_.size();
  return stats;
}

}  // namespace cohort::http
