#include "manager/service_manager.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdlib>

namespace cohort::manager {
namespace {

using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;

std::string take_variable(const char* name) {
  const char* value = std::getenv(name);
  std::string taken = value == nullptr ? "" : value;
  ::unsetenv(name);
  return taken;
}

std::int64_t number_or_0(const std::string& text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() ? number : 0;
}

}  // namespace

ServiceWishes take_service_wishes() {
  ServiceWishes wishes{.socket = take_variable("NOTIFY_SOCKET")};
  const std::string every = take_variable("WATCHDOG_USEC"), whose = take_variable("WATCHDOG_PID");
  if (whose.empty() || number_or_0(whose) == ::getpid())
    wishes.watchdog = std::chrono::microseconds{std::max<std::int64_t>(number_or_0(every), 0)};
  return wishes;
}

ServiceManager::ServiceManager(Cluster& cluster, const ServiceWishes& wishes)
    : cluster_{cluster}, messages_{::getpid()} {
  if (wishes.socket.empty()) return;
  socket_.emplace(Loop{cluster.io_context(), cluster.io_context().get_executor()}, wishes.socket);
  watch_the_cluster();
  if (wishes.watchdog > 0us)
    cluster_.set_interval(
        std::chrono::duration_cast<std::chrono::milliseconds>(wishes.watchdog / 2),
        [this] { socket_->send({"WATCHDOG=1"}); });
}

void ServiceManager::watch_the_cluster() {
  cluster_.on_fork([this](const Worker&) { look_in(0ms); });
  cluster_.on_listening([this](const Worker&, const Address&) { look_in(0ms); });
  cluster_.on_exit([this](const Worker&, const Exit&) { look_in(0ms); });
  cluster_.on_stopping([this](const Stopping& stopping) {
    tell(messages_.stopping(stopping.deadline, Steady::now()));
    look_in(1s);
  });
}

void ServiceManager::reloading() { tell(messages_.reloading(Steady::now())); }

void ServiceManager::reloaded(std::string_view verdict) {
  tell(messages_.reloaded(verdict));
  if (socket_) look_in(0ms);
}

// In a turn of its own, after whatever has happened.
void ServiceManager::look_in(std::chrono::milliseconds delay) {
  if (next_look_) next_look_->cancel();
  next_look_ = cluster_.set_timeout(delay, [this] {
    tell(messages_.look(cluster_.status(), Steady::now()));
    if (messages_.wants_look()) look_in(1s);
  });
}

void ServiceManager::tell(const std::optional<ServiceMessage>& message) {
  if (socket_ && message) socket_->send(*message);
}

}  // namespace cohort::manager
