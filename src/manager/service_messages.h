// What systemd is told of an application, and when: the datagrams of sd_notify(3). Pure: what
// happens goes in, the text of one datagram or none comes out.
//
// Owned by the ServiceManager.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cohort/status.h"

namespace cohort::manager {

struct ServiceMessage {
  std::string text;
  /// systemd waits for it: it has to arrive, however late. The others only count at once.
  bool awaited = false;
};

/// How many places have a worker that serves: it listens, or has lived for as long as `keep` waits
/// for one that never does.
std::size_t serving(const ClusterStatus& status);

class ServiceMessages {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  explicit ServiceMessages(pid_t primary) : primary_{primary} {}

  /// How it is now. Call it whenever something may have changed; `READY=1` once all serve.
  std::optional<ServiceMessage> look(const ClusterStatus& status, TimePoint now);
  /// Whether to look again within a second, though nothing happens.
  bool wants_look() const { return wants_look_; }

  std::optional<ServiceMessage> reloading(TimePoint now);
  /// One of those is over, whatever its outcome.
  std::optional<ServiceMessage> reloaded(std::string_view verdict);
  /// Only the first counts. `deadline`: who has not ended then is killed.
  std::optional<ServiceMessage> stopping(TimePoint deadline, TimePoint now);

 private:
  enum class State : std::uint8_t { Starting, Serving, Reloading, Stopping };

  ServiceMessage ready(std::string_view text) const;
  std::optional<ServiceMessage> changed(std::string text, TimePoint now);
  std::string more_time(TimePoint now) const;

  pid_t primary_;
  State state_ = State::Starting;
  int reloads_ = 0;  ///< Under way.
  std::string said_;
  std::optional<TimePoint> said_at_;
  bool wants_look_ = false;
  TimePoint deadline_;
};

}  // namespace cohort::manager
