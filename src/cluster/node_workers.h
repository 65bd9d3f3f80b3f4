// What is known of the workers that run under Node: the debugger ports that they have.
//
// Owned by the Primary; loop's executor only.
#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "base/callback_scope.h"
#include "base/loop.h"
#include "cluster/node_launch.h"
#include "process/spawn.h"

namespace cohort::cluster {

class NodeWorkers {
 public:
  explicit NodeWorkers(const Loop& loop) : loop_{loop} {}

  /// Adds the preload, and a debugger port of its own, to a worker that runs under Node. The port
  /// is that of its slot, unless one that left the slot still has it: then one behind `slots`.
  void prepare(process::SpawnRequest& request, int worker, std::size_t slot, std::size_t slots,
               NodeWishes wishes);
  /// The worker is gone, and its port free.
  void gone(int worker) { debugger_of_.erase(worker); }

 private:
  std::size_t debugger_for(int worker, std::size_t slot, std::size_t slots);
  void tell_debuggers();

  const Loop loop_;
  std::map<int, std::size_t> debugger_of_;        // index of its port, by id of who lives
  std::map<std::size_t, std::string> debuggers_;  // where they listen or listened, by index
  bool without_preload_ = false;                  // and it was said
  CallbackScope callbacks_;
};

}  // namespace cohort::cluster
