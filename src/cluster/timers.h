// The timers of a Cluster: Node's setTimeout and setInterval.
//
// Owned by the Cluster; loop's executor only.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "base/loop.h"
#include "cohort/cluster.h"

namespace cohort::cluster {

class Timers {
 public:
  explicit Timers(const Loop& loop) : loop_{loop} {}

  /// Owned by its own wait from now on. A period of 0 is one of a millisecond, as in Node: else
  /// nothing else would ever run.
  Timer add(std::chrono::milliseconds period, bool repeats, std::function<void()> task);
  void cancel_all();

 private:
  const Loop loop_;
  std::vector<std::weak_ptr<Timer::Impl>> timers_;
};

}  // namespace cohort::cluster
