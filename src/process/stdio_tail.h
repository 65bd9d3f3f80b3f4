// What a child writes to its stderr: passed on, and its last lines kept to explain its death.
//
// On the loop's executor only. Never keeps the loop running, never blocks it: a terminal that does
// not take the bytes (Ctrl-S, a stopped pager) costs the bytes beyond a limit, which are counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/loop.h"
#include "cohort/fd.h"

namespace cohort::process {

/// The end of a stream of text. Pure.
class LineTail {
 public:
  explicit LineTail(std::size_t size_max = 4096) : size_max_{size_max} {}

  void append(std::string_view bytes);
  /// Up to `count` lines, oldest first, without their newlines; a last line that has none counts.
  /// Lines are whole, but for one that is longer than `size_max` itself, of which the end is kept.
  std::vector<std::string> last_lines(std::size_t count) const;

 private:
  std::size_t size_max_;
  std::string text_;
  bool starts_mid_line_ = false;
};

class StderrTail {
 public:
  /// How much waits at most for a reader of the copy that is slow.
  static constexpr std::size_t kBacklogSizeMax = 256 * 1024;

  /// Reads from `pipe_read_end`; copies to `copy_to_fd` (-1: nowhere), which stays the caller's and
  /// must stay open. Its flags are left alone: it may be shared with other processes.
  StderrTail(const Loop& loop, OwnFd pipe_read_end, int copy_to_fd);
  ~StderrTail();
  StderrTail(const StderrTail&) = delete;
  StderrTail& operator=(const StderrTail&) = delete;

  /// Reads what is in the pipe now. For the time when the child has ended: its last words are here
  /// afterwards. Does not wait for the end of the stream: a grandchild may hold the pipe open.
  void drain_now();
  std::vector<std::string> last_lines(std::size_t count) const { return lines_.last_lines(count); }
  /// Bytes that were not copied since their reader was too slow.
  std::uint64_t dropped() const;

 private:
  class Copy;

  void wait();
  std::size_t read_some(std::size_t size_max);

  std::optional<Watch> source_;  // empty once the stream has ended
  std::unique_ptr<Copy> copy_;   // null: no copy
  LineTail lines_;
};

}  // namespace cohort::process
