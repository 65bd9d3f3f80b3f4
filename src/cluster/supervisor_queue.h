// The Supervisor, told one event after the other: what happens while the actions of one are carried
// out comes after them. Pure: the clock, and who carries the actions out, are given.
//
// A value in the SupervisorLoop.
#pragma once

#include <deque>
#include <functional>
#include <utility>
#include <vector>

#include "cluster/supervisor.h"

namespace cohort::cluster {

class SupervisorQueue {
 public:
  struct Hands {
    std::function<TimePoint()> now;
    std::function<void(const SupervisorAction&)> carry_out;
    /// For whoever watches: what was decided, before it is carried out.
    std::function<void(const SupervisorEvent&, const std::vector<SupervisorAction>&)> decided = {};
  };

  explicit SupervisorQueue(Hands hands) : hands_{std::move(hands)} {}

  const Supervisor& state() const { return state_; }
  /// Of whoever tries others than those of a primary.
  void set_rules(const Rules& rules) { state_.rules = rules; }
  void set_drain_timeout(Duration timeout) { state_.rules.drain_timeout = timeout; }

  /// True: this, and whatever came of it, is carried out. False: it comes after what is under way.
  bool tell(const SupervisorEvent& event);

 private:
  const Hands hands_;
  Supervisor state_;
  std::deque<SupervisorEvent> events_;  // the first is being carried out
};

}  // namespace cohort::cluster
