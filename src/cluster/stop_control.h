// The wish that the service ends: TERM, INT, or the program's own.
//
// Owned by the Cluster; loop's executor only.
#pragma once

#include <boost/asio/signal_set.hpp>
#include <chrono>
#include <functional>
#include <optional>

#include "base/callback_scope.h"
#include "base/event.h"
#include "base/loop.h"
#include "base/stop_wishes.h"
#include "cohort/cluster.h"

namespace cohort::cluster {

class StopControl {
 public:
  /// `stop` carries a wish out: begins the end, or hurries it.
  StopControl(const Loop& loop, std::function<void(const Stopping&)> stop);

  /// From now on TERM and INT are wishes, once the loop runs. They do not keep it running.
  void listen();
  /// As a signal; nothing: the program's own.
  void wish(std::optional<int> signal);
  bool any() const { return wishes_.any(); }

  std::chrono::milliseconds grace() const { return grace_; }
  void set_grace(std::chrono::milliseconds grace) { grace_ = grace; }

  Event<const Stopping&> on_stopping;  ///< Before it is carried out.

 private:
  void await_signal();

  const Loop loop_;
  const std::function<void(const Stopping&)> stop_;
  boost::asio::signal_set signals_;
  bool listens_ = false;
  StopWishes wishes_;
  std::chrono::milliseconds grace_{std::chrono::seconds{25}};
  std::chrono::steady_clock::time_point deadline_;
  CallbackScope callbacks_;
};

}  // namespace cohort::cluster
