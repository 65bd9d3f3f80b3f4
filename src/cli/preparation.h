// The command of --once: what has to be done before workers of a new generation start, as a
// migration of a database.
//
// One runs at a time and is never cut short by a reload: who comes meanwhile waits, and of those
// the newest counts. Owned by the Runner; the loop's thread.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>

#include "cli/operator.h"
#include "cohort/child_process.h"

namespace cohort::cli {

class Preparation {
 public:
  struct Outcome {
    std::string problem{};   ///< Half a sentence; empty: it succeeded.
    bool permanent = false;  ///< Trying again will not help: it said so by exit code 100.
  };
  /// Called once; not if a newer one came, or after `end`.
  using Done = std::function<void(const Outcome&)>;

  explicit Preparation(Cluster& cluster) : cluster_{cluster} {}

  /// Runs what these options have as `once`, where and as the workers would run. Without one `done`
  /// is called at once.
  void run(const ProgramNow& now, Done done);
  /// TERM to the command and to all that it has started; nothing is told any more.
  void end();
  bool runs(pid_t pid) const { return running_ && running_->pid() == pid; }

 private:
  struct Wanted {
    std::string command;
    SpawnOptions options;
    Done done;
  };

  void start(const Wanted& wanted);
  void over(const Outcome& outcome);

  Cluster& cluster_;
  std::optional<ChildProcess> running_;
  Done done_;                   ///< Of the one that runs.
  std::optional<Wanted> next_;  ///< When that has ended.
  bool ended_ = false;
};

}  // namespace cohort::cli
