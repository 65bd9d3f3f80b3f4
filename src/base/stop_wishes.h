// Which of the signals to end are wishes of their own. Pure.
#pragma once

#include <chrono>
#include <optional>

namespace cohort {

/// Two signals to end within this time are one wish: timeout(1) and npm send theirs to a program
/// and to the process group that it is in.
inline constexpr std::chrono::milliseconds kOneWish{100};

class StopWishes {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  /// Whether the signal that came is a wish of its own: the first is, and each later one that is
  /// not the same as the first.
  bool is_one(TimePoint now) {
    if (!first_)
      first_ = now;
    else if (now - *first_ < kOneWish)
      return false;
    return true;
  }
  bool any() const { return first_.has_value(); }

 private:
  std::optional<TimePoint> first_;
};

}  // namespace cohort
