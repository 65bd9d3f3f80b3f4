// A process that was started and what it has here: signals to it, its cgroup, the last lines of its
// stderr, its limits of time. What a `ChildProcess` and a worker have in common.
//
// Owned by either. Loop's executor only.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/callback_scope.h"
#include "base/loop.h"
#include "cohort/child_process.h"
#include "cohort/error.h"
#include "cohort/exit.h"
#include "process/child_launch.h"
#include "process/child_streams.h"
#include "process/child_watch.h"
#include "process/stdio_tail.h"

namespace cohort::process {

class RunningChild {
 public:
  struct User {
    /// Once, never from the constructor. `settle` is due.
    std::function<void(const Exit&)> exited;
    /// Its time is over, or it is to stop: `end` is due.
    std::function<void(ExitCause)> has_to_end;
  };

  /// Takes from `launch` what the child needs while it runs, its streams into `streams`.
  RunningChild(const Loop& loop, Child child, ChildLaunch& launch, const SpawnOptions& options,
               ChildWatch::Ends ends, const ChildStreams& streams, User user);

  /// Stays what it was after the end.
  pid_t pid() const { return process_.pid(); }
  /// Not reaped yet.
  bool alive() const { return process_.alive(); }
  /// A signal was sent to it.
  bool killed() const { return killed_; }
  /// The last one that was sent to it; 0: none.
  int last_signal() const { return last_signal_; }

  /// ESRCH if it has ended.
  Result<void> signal(int number);
  /// To the session that it leads (`ChildWatch::Ends::WithItsGroup`); false if nobody was reached.
  bool signal_group(int number) const { return process_.signal_group(number); }
  /// As `ChildProcess::kill_tree`.
  std::size_t signal_tree(int number);
  /// Sends `kill_signal`, for this reason, which the exit record will name. As `signal`.
  Result<void> end(ExitCause cause);

  /// It has exited: reads its last words. What became of it, with the cause if one of its limits
  /// was it.
  Exit settle(const Exit& exit);
  std::vector<std::string> last_stderr_lines(std::size_t count) const;
  /// As ChildWatch.
  std::optional<LeftGroup> take_left();
  void set_ref(bool ref) { process_.set_ref(ref); }
  /// Kills it and waits for that, unless it is detached. Nothing is called back.
  void abandon();
  /// Nobody is left of it: its cgroup goes, and what reads its stderr.
  void close();

 private:
  std::optional<ExitCause> cause_of(const Exit& exit) const;

  const Loop loop_;
  const ChildStreams& streams_;
  const int kill_signal_;
  const bool detached_;
  const bool leads_group_;
  const bool ends_with_its_group_;
  const bool group_is_its_own_;  // on request: `end` ends all of it
  const std::size_t stderr_lines_;
  bool killed_ = false;
  int last_signal_ = 0;
  std::optional<ExitCause> cause_;  // of our own doing
  std::unique_ptr<ChildCgroup> cgroup_;
  std::unique_ptr<StderrTail> stderr_tail_;
  LineTail stderr_read_;
  ChildWatch process_;
  std::optional<boost::asio::steady_timer> timeout_;
  std::optional<std::stop_callback<std::function<void()>>> stop_;
  CallbackScope callbacks_;
};

}  // namespace cohort::process
