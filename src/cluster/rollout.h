// The words of a rollout: what is wanted, how far it is, how it ended. Pure values.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "cluster/rules.h"

namespace cohort::cluster {

using TimePoint = std::chrono::steady_clock::time_point;

struct RolloutPlan {
  unsigned canaries = 1;  ///< So many are replaced first; at least 1.
  unsigned batch = 1;     ///< Then so many at a time; at least 1.
  unsigned surge = 0;     ///< So many workers more than places, as far as it causes them; 0: any.
  Duration ready_within = std::chrono::seconds{60};  ///< Of a worker's start.
  Duration prove = std::chrono::seconds{5};          ///< All of them, without a failure.
  Duration park{0};  ///< Then whom they replaced is held for so long, and can have its place back.
};

struct RolloutWish {
  int generation;
  RolloutPlan plan;
};

/// How a rollout came to its end, or what undid it.
enum class RolloutEnd : std::uint8_t {
  Reached,     ///< Every place has a worker of its generation.
  Died,        ///< One of its workers did, or could not be started.
  NotReady,    ///< One of its workers was not, in time.
  Unfit,       ///< One of its workers was found to be.
  Superseded,  ///< Another was wanted.
  Stopped,     ///< The service ended.
  TakenBack,   ///< Somebody wanted the generation before; also after it was reached.
};

struct RolloutVerdict {
  int generation = 0;
  RolloutEnd end = RolloutEnd::Reached;
  std::optional<int> worker{};  ///< Whose fault it was.
};

struct Rollout {
  enum class Phase : std::uint8_t {
    Replacing,
    Proving,  ///< All are replaced.
    Undoing,  ///< Whom it replaced, or others like them, get their places back.
  };
  RolloutWish wish;
  Phase phase = Phase::Replacing;
  std::optional<TimePoint> proven_at{};  ///< While it is Proving.
  // Once it is Undoing:
  RolloutVerdict verdict{};
  int failures = 0;                     ///< Of those that were started to undo it, in a row.
  std::optional<TimePoint> retry_at{};  ///< No other is started before.
};

/// Those that the last rollout has replaced: they are held, for a while.
struct Parked {
  int generation;
  TimePoint until;
  RolloutPlan plan;  ///< Of that rollout.
};

}  // namespace cohort::cluster
