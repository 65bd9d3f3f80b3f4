// The time before a Node worker is told to disconnect: what the SettlingRule says, with a timer.
//
// Owned by the ForkedWorker; loop's executor only.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <functional>

#include "base/callback_scope.h"
#include "base/loop.h"
#include "cluster/settling_rule.h"

namespace cohort::cluster {

class Settling {
 public:
  struct User {
    /// Asks the worker for a sign of life: `turned` follows.
    std::function<void()> probe;
    /// Whether connections wait that the worker would accept by itself.
    std::function<bool()> any_waiting;
    /// The time is over.
    std::function<void()> late;
  };

  Settling(const Loop& loop, User user) : user_{std::move(user)}, timer_{loop.executor()} {}

  void start();
  /// The worker's loop turned.
  void turned();
  void stop();
  bool under_way() const { return rule_.under_way(); }

 private:
  void arm_timer();
  void time_passed();

  const User user_;
  SettlingRule rule_;
  boost::asio::steady_timer timer_;
  CallbackScope callbacks_;
};

}  // namespace cohort::cluster
