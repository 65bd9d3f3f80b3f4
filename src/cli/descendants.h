// The processes below `cohort run` that are not its workers, and what happens to its workers other
// than their end.
//
// The command is a subreaper (PR_SET_CHILD_SUBREAPER; the library is not, as a program may have
// children of its own): whoever loses its parent below it becomes its child, whatever session and
// group it is in. As PID 1 of a container it gets everybody's orphans. So none stays a zombie, and
// none outlives a stop. SIGCHLD tells of all that, so that nothing is done while nothing happens.
//
// One per process, on the loop of the command.
#pragma once

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/stop_wishes.h"

namespace cohort::cli {

class Descendants {
 public:
  struct Callbacks {
    /// Whether the library will reap it.
    std::function<bool(pid_t)> is_worker;
    /// A child was stopped by a signal; none: it was continued.
    std::function<void(pid_t, std::optional<int>)> stopped;
  };

  Descendants(boost::asio::io_context& io, Callbacks callbacks);

  /// Before the first worker. Children that the process has already (of a shell that became it) are
  /// reaped, but left alone otherwise.
  void start();
  /// To be called as well when the library has reaped a worker.
  void look();

  /// Ends all that is left: TERM, KILL at the deadline or when TERM or INT comes once more. Blocks
  /// until nobody lives, or a second after the deadline. For after the loop, when no worker lives.
  /// `found` is told, if anybody is there, who has lost its parent: pids and command lines.
  /// `wishes`: those before.
  void end(std::chrono::steady_clock::time_point deadline, StopWishes wishes,
           const std::function<void(const std::vector<std::string>&)>& found);

 private:
  void await_signal();
  std::vector<pid_t> children_to_end() const;

  boost::asio::signal_set signals_;
  Callbacks callbacks_;
  std::set<pid_t> earlier_;  // children from before the start
};

}  // namespace cohort::cli
