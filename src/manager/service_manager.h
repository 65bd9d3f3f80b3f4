// Tells systemd how the application is (Type=notify): when all workers serve, of reloads and of the
// stop, that the primary's loop still turns (WatchdogSec=), and how many workers serve.
//
// Does nothing where systemd does not ask: no descriptor, no timer. Owned by whoever runs the
// cluster, which may outlive it only if it does not run any more. The loop's thread.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "cohort/cluster.h"
#include "manager/service_messages.h"
#include "manager/service_socket.h"

namespace cohort::manager {

/// What systemd asks for, by NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.
struct ServiceWishes {
  std::string socket{};                   ///< Empty: nothing.
  std::chrono::microseconds watchdog{0};  ///< It wants to hear at least that often; 0: it does not.
};
/// Of the environment, which does not have them any more: a worker is not to speak for the primary.
ServiceWishes take_service_wishes();

class ServiceManager {
 public:
  ServiceManager(Cluster& cluster, const ServiceWishes& wishes);
  ServiceManager(const ServiceManager&) = delete;
  ServiceManager& operator=(const ServiceManager&) = delete;

  void reloading();
  /// For each `reloading`, once, whatever the outcome: one line.
  void reloaded(std::string_view verdict);

 private:
  void watch_the_cluster();
  void look_in(std::chrono::milliseconds delay);
  void tell(const std::optional<ServiceMessage>& message);

  Cluster& cluster_;
  ServiceMessages messages_;
  std::optional<ServiceSocket> socket_;
  std::optional<Timer> next_look_;
};

}  // namespace cohort::manager
