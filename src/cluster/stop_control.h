// The wish that the service ends: TERM, INT, or the program's own.
//
// Owned by the Cluster; loop's executor only.
#pragma once

#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <optional>

#include "base/callback_scope.h"
#include "base/event.h"
#include "base/loop.h"
#include "cluster/stop_stages.h"
#include "cohort/cluster.h"

namespace cohort::cluster {

class StopControl {
 public:
  /// `stop` carries the end out: begins it, or hurries it.
  StopControl(const Loop& loop, std::function<void(const Stopping&)> stop);

  /// From now on TERM and INT are wishes, once the loop runs. They do not keep it running.
  void listen();
  /// As a signal; nothing: the program's own.
  void wish(std::optional<int> signal);

  /// Whether the end has begun.
  bool ends() const { return stages_.stage() > StopStages::Stage::LameDuck; }
  bool is_lame_duck() const { return stages_.stage() == StopStages::Stage::LameDuck; }
  /// How long the end may take, behind the lame duck time.
  std::chrono::milliseconds rest() const { return stages_.rest(); }
  void set_grace(std::chrono::milliseconds grace) { stages_.grace = grace; }
  void set_lame_duck(std::chrono::milliseconds time) { stages_.lame_duck = time; }

  Event<const Stopping&> on_stopping;  ///< Before it is carried out.

 private:
  void await_signal();
  void be_lame_duck(std::optional<int> signal);
  void end(std::optional<int> signal);
  void hurry(std::optional<int> signal, bool was_lame_duck);

  const Loop loop_;
  const std::function<void(const Stopping&)> stop_;
  boost::asio::signal_set signals_;
  boost::asio::steady_timer timer_;
  bool listens_ = false;
  StopStages stages_;
  CallbackScope callbacks_;
};

}  // namespace cohort::cluster
