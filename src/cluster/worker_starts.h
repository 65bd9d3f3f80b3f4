// Makes the processes of workers: what they load that runs under Node, and whose forks they are
// where the workers of a generation share what was loaded (cohort/preload.h).
//
// Owned by the Primary; loop's executor only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/callback_scope.h"
#include "base/loop.h"
#include "cluster/node_workers.h"
#include "cohort/settings.h"
#include "process/zygote.h"

namespace cohort::cluster {

class WorkerStarts {
 public:
  explicit WorkerStarts(const Loop& loop) : loop_{loop}, node_{loop} {}

  using Loaded = std::function<void(const Result<void>& loaded)>;

  /// Whether workers of that generation cannot be started now: what they share is not loaded.
  bool has_to_load(int generation, const Settings& settings) const;
  /// Loads it, unless that is under way, and calls `done`, in a later turn. `worker`: who waits for
  /// it; 0: none.
  void load(int generation, const Settings& settings, int worker, Loaded done);
  /// It waits no more. False: it did not.
  bool forget(int worker);

  struct Who {
    int worker;
    std::size_t slot;
    int generation;
  };
  /// `slots`: so many there are.
  Result<process::Child> spawn(process::SpawnRequest& request, const Who& who,
                               const Settings& settings, std::size_t slots);
  /// The worker is gone.
  void gone(int worker) { node_.gone(worker); }
  /// What was loaded for other generations is wanted no more.
  void keep(const std::function<bool(int generation)>& needed);

 private:
  struct Waiter {
    int generation;
    int worker;
    Loaded done;
  };

  void start_loading(int generation, const Settings& settings);
  void changed(int generation, const std::string& name);
  void tell(int generation, const Result<void>& loaded);

  const Loop loop_;
  NodeWorkers node_;
  std::map<int, std::unique_ptr<process::Zygote>> loaders_;  // by generation
  std::vector<Waiter> waiters_;
  CallbackScope callbacks_;
};

}  // namespace cohort::cluster
