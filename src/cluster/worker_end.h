// Carries out the Ending of one worker: looks at it from time to time, and does what is due.
//
// Owned by the ForkedWorker from the moment at which it is to end; loop's executor only.
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
    std::function<EndingFacts()> facts;
    std::function<void(EndingAct)> act;
  };
  WorkerEnd(const Loop& loop, const EndingRules& rules, Hands hands);

  /// Something may have changed. Not from within `Hands`.
  void look();

 private:
  void look_later(Ending::Clock::duration after);

  Ending ending_;
  Hands hands_;
  boost::asio::steady_timer timer_;
  CallbackScope callbacks_;
};

}  // namespace cohort::cluster
