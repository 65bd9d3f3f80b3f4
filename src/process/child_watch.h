// Waits on the loop for one process to end, and reaps it.
//
// Reaping is per process (its pidfd), never `waitpid(-1)`. It happens in two steps: as soon as the
// loop sees the end, the child is marked dead and its descriptors are closed; the callback runs in
// a later step of the loop. So whoever is called back finds all that died at the same time marked.
// Whoever is left of the group that it leads is sent TERM in the first step, if that is wanted.
//
// On the loop's executor only. The loop must outlive it. Keeps the loop running until the child
// ended, unless told otherwise.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "base/loop.h"
#include "cohort/error.h"
#include "cohort/exit.h"
#include "process/group.h"
#include "process/spawn.h"

namespace cohort::process {

class ChildWatch {
 public:
  using OnExit = std::function<void(const Exit&)>;
  enum class Ends { Alone, WithItsGroup };

  /// Calls `on_exit` once, never from here; it may destroy this object. `WithItsGroup`: of a child
  /// that leads a session.
  ChildWatch(const Loop& loop, Child child, OnExit on_exit, Ends ends = Ends::Alone);
  /// `on_exit` is not called any more. For a child that lives on: see `Child`.
  ~ChildWatch();
  ChildWatch(const ChildWatch&) = delete;
  ChildWatch& operator=(const ChildWatch&) = delete;

  /// Stays what it was after the end.
  pid_t pid() const { return pid_; }
  /// Not reaped yet.
  bool alive() const { return watch_.has_value(); }
  /// Sends a signal (0: only tests the right to). ESRCH once the child has ended, reaped or not.
  Result<void> signal(int number) const;
  /// To the group that it leads, itself included; false if nobody was reached, or if it was reaped.
  bool signal_group(int number) const;
  /// What it left of its group, once: for a GroupEnd. Destroying it kills who holds the lifeline.
  std::optional<LeftGroup> take_left() { return std::exchange(left_, std::nullopt); }
  /// Whether it keeps the loop running.
  void set_ref(bool ref);
  /// SIGKILL, to its group too if that is to end with it, and waits for its own end, a second at
  /// most. `on_exit` is not called any more.
  void kill_and_reap();

 private:
  void wait();
  bool has_ended() const;
  void reap();

  const Loop& loop_;
  const pid_t pid_;
  const Ends ends_;
  OwnFd lifeline_, lifeline_read_;
  std::shared_ptr<OnExit> on_exit_;  // shared with a posted call, which may outlive this object
  std::optional<Watch> watch_;       // on the pidfd; empty once reaped
  std::optional<LeftGroup> left_;
};

}  // namespace cohort::process
