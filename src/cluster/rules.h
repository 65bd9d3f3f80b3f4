// The Supervisor's rules that are numbers: when those who die are replaced, and how long they have
// to end. A primary changes the last one only; `cohort sim --policy` tries others.
#pragma once

#include <chrono>

namespace cohort::cluster {

using Duration = std::chrono::steady_clock::duration;

inline constexpr Duration kBackoffMin = std::chrono::milliseconds{100};
inline constexpr Duration kBackoffMax = std::chrono::seconds{10};
/// A worker that lived this long was healthy: its place starts over with the shortest back-off.
inline constexpr Duration kHealthyAfter = std::chrono::seconds{10};
/// Deaths without any worker ever ready after which the cluster gives up.
inline constexpr int kTriesMax = 5;

struct Rules {
  Duration backoff_min = kBackoffMin;
  Duration backoff_max = kBackoffMax;
  Duration healthy_after = kHealthyAfter;
  int tries_max = kTriesMax;
  Duration drain_timeout = std::chrono::seconds{25};
};

}  // namespace cohort::cluster
