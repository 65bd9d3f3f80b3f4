// Writing to a descriptor that others use too, above all stderr, without ever waiting for its
// reader.
//
// O_NONBLOCK would do, but it belongs to the open file, which our shell, our workers and whoever
// started us share: a program that finds its stderr non-blocking loses output. So each kind of file
// has a way of its own. Any thread, one at a time.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <string_view>

#include "cohort/fd.h"

namespace cohort {

class SharedOutput {
 public:
  /// `fd` stays the caller's, and open. Its flags are left alone.
  explicit SharedOutput(int fd);

  /// Writes as much from the beginning as is taken now. How much, or -1 and errno: EAGAIN if
  /// nothing is; anything else is the end of it. What was not taken has to be the beginning of the
  /// next call's bytes.
  ssize_t write_some(std::string_view bytes);
  /// Polls as writable when more is taken.
  int fd() const { return fd_; }
  /// So that a reader that comes late still finds what its pipe had no room for: makes it 1 MiB,
  /// if the system lets us.
  void make_room();

 private:
  enum class Kind { Pipe, Socket, NonBlocking, AlwaysTaken, Polled };

  ssize_t splice_some(std::string_view bytes);
  ssize_t poll_and_write(std::string_view bytes);

  int fd_;
  OwnFd own_;  // open on the same, for us alone
  Kind kind_ = Kind::Polled;
  std::size_t polled_size_;
  OwnFd staged_read_;
  OwnFd staged_write_;
  std::size_t staged_ = 0;  // of the bytes that were not taken, what our own pipe has
};

/// For a Watch: a descriptor that is readable while `fd` is writable. A Watch of `fd`, or of a
/// duplicate, would make the open file non-blocking for all who share it: Asio does, and for good.
/// None and errno: no descriptor is left; EPERM: a file that always takes what is written.
OwnFd readable_while_writable(int fd);

/// How long an end may wait for a reader: while it takes something in each `still`, and for `total`
/// at most.
class LastPatience {
 public:
  explicit LastPatience(std::chrono::milliseconds still = std::chrono::seconds{1},
                        std::chrono::milliseconds total = std::chrono::seconds{10});
  /// Whether `output` takes more in time. False from the first false on.
  bool wait(const SharedOutput& output);

 private:
  std::chrono::milliseconds still_;
  std::chrono::steady_clock::time_point end_;
  bool over_ = false;
};

/// Blocks until all is written, or patience ends. How much was taken.
std::size_t write_out(SharedOutput& output, std::string_view bytes, LastPatience& patience);

/// For the last words of a process, when no loop runs any more. Blocks for a second at most.
void write_to_stderr(std::string_view text);

}  // namespace cohort
