// What a child writes to a stderr of ours that is a pipe: passed on, with its last lines kept.
//
// Nothing is lost and nothing is repeated: while the reader takes nothing, nothing is read, so the
// child's own pipe fills and the child waits, as it would if it wrote there by itself. A child that
// has ended does not wait for anybody: what it left is read at once, and passed on as the reader
// takes it. Whoever else holds the pipe (a grandchild) goes on being read.
//
// Owned by its io_context from the start to the end of the stream, and by whoever wants the last
// lines. On the loop's executor only. Never blocks and never keeps the loop running.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/loop.h"
#include "base/shared_output.h"
#include "cohort/fd.h"
#include "process/line_tail.h"

namespace cohort::process {

class StderrRelay {
 public:
  /// What the ended children of one io_context may leave to a reader that takes nothing, together.
  /// What is beyond is dropped, with a notice.
  static constexpr std::size_t kLeftMax = 16 * 1024 * 1024;

  /// Reads from `source`, a pipe, and copies to what `copy_to` is open on now (-1: nowhere), whose
  /// flags are left alone.
  static std::shared_ptr<StderrRelay> start(const Loop& loop, OwnFd source, int copy_to);
  StderrRelay(const Loop& loop, OwnFd source, int copy_to);
  StderrRelay(const StderrRelay&) = delete;
  StderrRelay& operator=(const StderrRelay&) = delete;

  /// The child has ended: reads what is in the pipe now. Not up to the end of the stream, which a
  /// grandchild may put off.
  void child_ended();
  std::vector<std::string> last_lines(std::size_t count) const { return lines_.last_lines(count); }
  std::size_t waiting() const { return waiting_.size(); }
  /// Passes on what is there, and blocks as long as the reader is worth the patience.
  void finish(LastPatience& patience);

 private:
  void pump();
  void pass_on();
  bool read_some(std::size_t size_max);
  void wait_for_room();

  Loop loop_;
  std::optional<Watch> source_;  // empty once the stream has ended
  OwnFd target_;
  std::optional<Watch> room_;           // readable while the target takes more
  std::optional<SharedOutput> output_;  // none: no copy, or nobody reads it any more
  bool awaits_room_ = false;
  std::string waiting_;  // read, but not taken yet
  LineTail lines_;
};

/// Before the process ends: passes on what the children of this io_context left, as LastPatience
/// has it for all of them together.
void finish_relays(boost::asio::io_context& io);

}  // namespace cohort::process
