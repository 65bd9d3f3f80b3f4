// Runs the Supervisor: tells it what happens, one event after the other, and wakes it up in time.
//
// Owned by the Primary; loop's executor only.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <utility>

#include "base/callback_scope.h"
#include "base/loop.h"
#include "cluster/supervisor_queue.h"

namespace cohort::cluster {

class SupervisorLoop {
 public:
  using CarryOut = std::function<void(const SupervisorAction&)>;

  SupervisorLoop(const Loop& loop, CarryOut carry_out)
      : loop_{loop},
        queue_{{.now = [] { return TimePoint::clock::now(); }, .carry_out = std::move(carry_out)}},
        timer_{loop.context()} {}

  const Supervisor& state() const { return queue_.state(); }
  void set_drain_timeout(Duration timeout) { queue_.set_drain_timeout(timeout); }

  /// What happens while an event's actions are carried out comes after them.
  void tell(const SupervisorEvent& event);

 private:
  void arm_timer();

  const Loop loop_;
  SupervisorQueue queue_;
  boost::asio::steady_timer timer_;
  CallbackScope callbacks_;
};

}  // namespace cohort::cluster
