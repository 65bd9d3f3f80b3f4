// The time before a Node worker is told to disconnect.
//
// A Node worker that is told so resets connections that it was just handed, or accepted, and has
// not read from. So the clients of those get a moment to send their request; then none may wait for
// the worker; and then its loop turns so often that it has read them. All of that within two
// seconds.
//
// Owned by the ForkedWorker; loop's executor only.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>

#include "base/callback_scope.h"
#include "base/loop.h"

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
  bool under_way() const { return turns_left_ > 0; }

 private:
  void after(std::chrono::milliseconds time, std::function<void()> task);

  const User user_;
  int turns_left_ = 0;  // more before it is told
  std::chrono::steady_clock::time_point earliest_;
  boost::asio::steady_timer timer_;
  CallbackScope callbacks_;
};

}  // namespace cohort::cluster
