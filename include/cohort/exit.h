// How a process ended, and what it used.
//
// A plain value: copy it, keep it, print it, from any thread. Node's `exit` event has (code,
// signal); this is the same and more. `std::cout << exit` is one readable line:
//
//     exited with code 1, CPU 0.03 s, peak memory 4.1 MB
//     killed by SIGSEGV (core dumped), CPU 1.20 s, peak memory 21.7 MB
//     killed by SIGTERM: timeout, CPU 0.00 s, peak memory 3.5 MB
#pragma once

#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

namespace cohort {

class Value;

/// Why a process ended, where that is known from outside of it.
enum class ExitCause {
  Unknown,      ///< Its own affair: it exited, crashed, or somebody else killed it.
  NotStarted,   ///< There was no process: the spawn failed.
  Killed,       ///< `kill()` on its handle.
  Timeout,      ///< The option `timeout`.
  MaxBuffer,    ///< It wrote more than the option `max_buffer`.
  Cancelled,    ///< The option `stop`, or the cancellation of an operation.
  OutOfMemory,  ///< The kernel killed it, or a process below it: its `memory_max` was reached.
  Requested,    ///< It exited after `disconnect()` was called on its handle.
  // With kUnknownCode: who took the code.
  SigchldIgnored,  ///< The kernel threw it away: SIGCHLD is ignored here, or has SA_NOCLDWAIT.
  ReapedByOther,   ///< Another part of this program: it calls `wait()`, `waitpid(-1)` or the like.
};

/// `timeout`, `out of memory`...; empty for Unknown.
std::string to_string(ExitCause cause);

class Exit {
 public:
  /// `code()` of a process whose end was seen but whose status somebody else took; `cause()` is
  /// SigchldIgnored or ReapedByOther then.
  static constexpr int kUnknownCode = -1;

  /// Exited with code 0.
  Exit() = default;
  static Exit exited(int code);
  static Exit killed(int signal, bool core_dumped = false);
  /// There was no process. `code()` is the negative errno, as in Node.
  static Exit not_started(int errno_value);
  /// The same end, with its cause.
  Exit with_cause(ExitCause cause) const;
  /// The same end, with the last lines of its stderr, oldest first.
  Exit with_stderr(std::vector<std::string> lines) const;
  /// The same end, with what the process used.
  Exit with_usage(std::chrono::microseconds user_time, std::chrono::microseconds system_time,
                  std::uint64_t peak_memory_bytes) const;

  /// The exit code, 0 to 255; 0 if a signal ended it; `kUnknownCode`; a negative errno if there was
  /// no process (cause NotStarted).
  int code() const { return code_; }
  /// The number of the signal that ended it, 0 if none did.
  int signal() const { return signal_; }
  /// `SIGSEGV`; empty if no signal ended it.
  std::string signal_name() const;
  bool core_dumped() const { return core_dumped_; }
  /// Code 0, and no signal.
  bool success() const { return code_ == 0 && signal_ == 0; }
  ExitCause cause() const { return cause_; }
  /// Where they were asked for (`stderr_lines`), oldest first.
  const std::vector<std::string>& stderr_lines() const { return stderr_lines_; }

  /// CPU time of the process and of the children that it waited for.
  std::chrono::microseconds user_time() const { return user_time_; }
  std::chrono::microseconds system_time() const { return system_time_; }
  /// The most memory (resident set) that it had at once, 0 if not known. Linux counts from before
  /// exec on, so this is never less than what the process that spawned it had at that time.
  std::uint64_t peak_memory_bytes() const { return peak_memory_bytes_; }

  /// `{code, signal, coreDumped, cause, userTime, systemTime, peakMemory, stderr}`; what is not
  /// known or did not happen is null. Times in seconds, memory in bytes. `to_json(exit.to_value())`
  /// is a line for a log.
  Value to_value() const;

  friend bool operator==(const Exit&, const Exit&) = default;

 private:
  int code_ = 0;
  int signal_ = 0;
  bool core_dumped_ = false;
  ExitCause cause_ = ExitCause::Unknown;
  std::chrono::microseconds user_time_{};
  std::chrono::microseconds system_time_{};
  std::uint64_t peak_memory_bytes_ = 0;
  std::vector<std::string> stderr_lines_;
};

std::ostream& operator<<(std::ostream& out, const Exit& exit);

}  // namespace cohort
