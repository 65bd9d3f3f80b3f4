// Carries out the Ending of one worker: looks at it from time to time, and does what is due.
//
// Owned by the ForkedWorker; loop's executor only.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <functional>
#include <optional>
#include <set>

#include "base/callback_scope.h"
#include "base/loop.h"
#include "cluster/ending.h"
#include "cohort/value.h"

namespace cohort::cluster {

/// When, and by which signal, the service ends.
struct EndingRules {
  int stop_signal;
  Ending::Clock::time_point start;
  Ending::Clock::duration grace;
};

/// What the preload of a Node worker says of it (docs/ipc.md).
struct NodeReport {
  bool there = false;  ///< It said something.
  std::set<int> signals = {};
  bool minds_disconnect = false;
  std::optional<std::size_t> requests = {};
  std::optional<std::size_t> connections = {};

  /// `listeners` and `serving`; false for others. What makes no sense is left out.
  bool take(const Value& message);
};

/// The signal for a program: the wanted one, unless it handles only the other of TERM and INT.
int signal_for(int stop_signal, const std::function<bool(int)>& handles);

class WorkerEnd {
 public:
  struct Hands {
    /// What is known of the worker now; `stop_signal` is the one of the rules.
    std::function<EndingFacts(int stop_signal)> facts;
    /// `signal`: that of the facts.
    std::function<void(EndingAct, int signal)> act;
  };
  WorkerEnd(const Loop& loop, Hands hands);

  /// From now on it is to end. Once; `look` is due.
  void begin(const EndingRules& rules);
  bool has_begun() const { return ending_.has_value(); }
  /// It has ended.
  void stop();
  /// Something may have changed. Nothing before it began. Not from within `Hands`.
  void look();

  NodeReport& report() { return report_; }
  const NodeReport& report() const { return report_; }

 private:
  void look_later(Ending::Clock::duration after);

  const Hands hands_;
  NodeReport report_;
  int stop_signal_ = 0;
  std::optional<Ending> ending_;
  boost::asio::steady_timer timer_;
  CallbackScope callbacks_;
};

}  // namespace cohort::cluster
