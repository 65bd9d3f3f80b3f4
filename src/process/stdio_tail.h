// How a stderr of ours comes to a child whose last lines are wanted, and how they are known.
//
//   stderr is        the child's is                        its last lines
//   a pipe           a pipe to us, passed on (StderrRelay)   are read as they pass
//   a file           the file                              are read back from the file
//   anything else    the same                              are not known: who looks there has them
//
// So a program sees the terminal, and what it writes to a file or a socket is there at once. On the
// loop's executor only.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/loop.h"
#include "cohort/error.h"
#include "cohort/fd.h"
#include "process/line_tail.h"
#include "process/stderr_relay.h"

namespace cohort::process {

/// What the user wants more, where both cannot be had.
enum class StderrWish { AsItIs, LastLines };

/// Made before the child, for one child.
struct StderrPlan {
  OwnFd child_end;   ///< To be the child's stderr, then closed. None: the child gets ours.
  OwnFd source;      ///< The other end.
  int copy_to = -1;  ///< Where that goes; -1: nowhere.
  OwnFd file;        ///< Our stderr, to be read.
  off_t file_start = 0;
};

/// `fd`: what the child would get. -1: nothing that is open.
Result<StderrPlan> plan_stderr(int fd, StderrWish wish);

class StderrTail {
 public:
  /// Nothing if the last lines cannot be known.
  static std::unique_ptr<StderrTail> start(const Loop& loop, StderrPlan plan);

  /// The child has ended: its last words are here afterwards.
  void drain_now();
  std::vector<std::string> last_lines(std::size_t count) const;

 private:
  std::shared_ptr<StderrRelay> relay_;  // shared with its io_context
  OwnFd file_;
  off_t file_start_ = 0;
  LineTail read_back_;
};

}  // namespace cohort::process
