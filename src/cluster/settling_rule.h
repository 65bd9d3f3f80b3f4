// When a Node worker may be told to disconnect: how long it settles. Pure.
//
// One that is told so resets connections that it was just handed, or accepted, and has not read
// from. So the clients of those get a moment to send their request; then none may wait for the
// worker; and then its loop turns so often that it has read them. All of that within two seconds.
//
// A value in the Settling.
#pragma once

#include <chrono>
#include <functional>
#include <optional>

namespace cohort::cluster {

class SettlingRule {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  void start(TimePoint now);
  void stop() { turns_left_ = 0; }
  bool under_way() const { return turns_left_ > 0; }

  /// The worker's loop turned. True: ask for another sign of life. `any_waiting`: whether
  /// connections wait that it would accept by itself.
  bool turned(TimePoint now, const std::function<bool()>& any_waiting);
  enum class Due { Nothing, Probe, Late };
  /// What is due now: the first sign of life is asked for, or the time is over.
  Due time_passed(TimePoint now);
  /// When that is wanted next.
  std::optional<TimePoint> next() const;

 private:
  int turns_left_ = 0;  // more before it is told
  bool asked_ = false;
  TimePoint earliest_{}, latest_{};
};

}  // namespace cohort::cluster
