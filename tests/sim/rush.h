// Many connections come, everybody does what he has to in time, and some workers block: who waits,
// and who gets what. Where processes act at random moments, nothing can be said of that.
#pragma once

#include <map>
#include <set>
#include <utility>

#include "sim/climate.h"
#include "sim/model_primary.h"
#include "sim/random.h"

namespace cohort::cluster::sim {

class Rush {
 public:
  Rush(Random& random, const Climate& climate, ModelPrimary& primary);

  /// How many things a process does in a round.
  int speed() const { return speed_; }
  /// At the start of a round.
  void connections_come();
  /// After everybody acted: in some rushes nobody's queue is ever empty.
  void more_connections_come();
  /// At the end of a round. Throws Violation.
  void watch();

 private:
  struct AtWork {
    TimePoint since{};
    int came = 0;  // since then, to the listener
    int got = 0;
  };
  // In how many rounds some came: in the one in which a blocked worker is tried again, many may.
  struct Rounds {
    void some_came_in(int round) { count += std::exchange(last, round) != round; }
    int count = 0;
    int last = -1;
  };
  struct Blocked {
    Rounds came{};  // while one is blocked, and another at work, for a while
    Rounds got{};
  };

  bool takes(int listener, int worker) const;
  void connect(int listener);
  void watch(int listener);

  Random& random_;
  const Climate& climate_;
  ModelPrimary& primary_;
  const TimePoint start_;
  const bool pressed_;
  const int speed_;
  const unsigned connects_;
  std::map<std::pair<int, int>, AtWork> at_work_;  // by listener and worker
  std::map<int, TimePoint> blocked_since_;
  std::set<std::pair<int, int>> was_blocked_, there_before_;
  int rounds_ = 0;
  std::map<int, Blocked> blocked_;  // by listener
};

}  // namespace cohort::cluster::sim
