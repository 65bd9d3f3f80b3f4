// How a process of a cluster ends on an exception that nobody caught: as in Node, with its message
// on stderr, queued messages written, and exit code 1.
#pragma once

#include <exception>
#include <functional>

namespace cohort::cluster {

/// Writes `Uncaught std::runtime_error: text` to stderr.
void print_uncaught(const std::exception_ptr& exception);

/// While it lives, std::terminate does the above for an uncaught exception (one that left a plain
/// `io.run()`), and std::exit writes queued messages first. One per process at a time.
class ExitHooks {
 public:
  explicit ExitHooks(std::function<void()> flush);
  ~ExitHooks();
  ExitHooks(const ExitHooks&) = delete;
  ExitHooks& operator=(const ExitHooks&) = delete;
};

}  // namespace cohort::cluster
