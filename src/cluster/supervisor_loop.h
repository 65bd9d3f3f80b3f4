// Runs the Supervisor: tells it what happens, one event after the other, and wakes it up in time.
//
// Owned by the Primary; loop's executor only.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <functional>

#include "base/callback_scope.h"
#include "base/loop.h"
#include "cluster/supervisor.h"

namespace cohort::cluster {

class SupervisorLoop {
 public:
  using CarryOut = std::function<void(const SupervisorAction&)>;

  SupervisorLoop(const Loop& loop, CarryOut carry_out)
      : loop_{loop}, carry_out_{std::move(carry_out)}, timer_{loop.context()} {}

  const Supervisor& state() const { return state_; }
  void set_drain_timeout(Duration timeout) { state_.drain_timeout = timeout; }

  /// What happens while an event's actions are carried out comes after them.
  void tell(const SupervisorEvent& event);

 private:
  void arm_timer();

  const Loop loop_;
  const CarryOut carry_out_;
  Supervisor state_;
  std::deque<SupervisorEvent> events_;  // the first is being carried out
  boost::asio::steady_timer timer_;
  CallbackScope callbacks_;
};

}  // namespace cohort::cluster
