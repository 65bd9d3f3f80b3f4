// Waits on the loop for one process to end, and reaps it.
//
// Reaping is per process (its pidfd), never `waitpid(-1)`. It happens in two steps: as soon as the
// loop sees the end, the child is marked dead and its descriptors are closed; the callback runs in
// a later step of the loop. So whoever is called back finds all that died at the same time marked.
//
// On the loop's executor only. The loop must outlive it. Keeps the loop running until the child
// ended, unless told otherwise.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "base/loop.h"
#include "cohort/error.h"
#include "cohort/exit.h"
#include "process/spawn.h"

namespace cohort::process {

class ChildWatch {
 public:
  using OnExit = std::function<void(const Exit&)>;

  /// Calls `on_exit` once, never from here; it may destroy this object.
  ChildWatch(const Loop& loop, Child child, OnExit on_exit);
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
  /// Whether it keeps the loop running.
  void set_ref(bool ref);
  /// SIGKILL, and waits for the end, a second at most. `on_exit` is not called any more.
  void kill_and_reap();

 private:
  void wait();
  void reap();

  const Loop& loop_;
  const pid_t pid_;
  OwnFd lifeline_;
  std::shared_ptr<OnExit> on_exit_;  // shared with a posted call, which may outlive this object
  std::optional<Watch> watch_;       // on the pidfd; empty once reaped
};

}  // namespace cohort::process
