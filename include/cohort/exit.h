// How a process ended, and what it used.
//
// A plain value: copy it, keep it, print it, from any thread. Node's `exit` event has (code,
// signal); this is the same and more. `std::cout << exit` is one readable line:
//
//     exited with code 1, CPU 0.03 s, peak memory 4.1 MB
//     killed by SIGSEGV (core dumped), CPU 1.20 s, peak memory 21.7 MB
#pragma once

#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <string>

namespace cohort {

class Exit {
 public:
  /// `code()` of a process whose end was seen but whose status somebody else took: SIGCHLD is
  /// ignored in this process, or another part of it calls `waitpid(-1)`.
  static constexpr int kUnknownCode = -1;

  /// Exited with code 0.
  Exit() = default;
  static Exit exited(int code);
  static Exit killed(int signal, bool core_dumped = false);
  /// The same end, with what the process used.
  Exit with_usage(std::chrono::microseconds user_time, std::chrono::microseconds system_time,
                  std::uint64_t peak_memory_bytes) const;

  /// The exit code, 0 to 255; 0 if a signal ended it; `kUnknownCode`.
  int code() const { return code_; }
  /// The number of the signal that ended it, 0 if none did.
  int signal() const { return signal_; }
  /// `SIGSEGV`; empty if no signal ended it.
  std::string signal_name() const;
  bool core_dumped() const { return core_dumped_; }
  /// Code 0, and no signal.
  bool success() const { return code_ == 0 && signal_ == 0; }

  /// CPU time of the process and of the children that it waited for.
  std::chrono::microseconds user_time() const { return user_time_; }
  std::chrono::microseconds system_time() const { return system_time_; }
  /// The most memory (resident set) that it had at once, 0 if not known. Linux counts from before
  /// exec on, so this is never less than what the process that spawned it had at that time.
  std::uint64_t peak_memory_bytes() const { return peak_memory_bytes_; }

  friend bool operator==(const Exit&, const Exit&) = default;

 private:
  int code_ = 0;
  int signal_ = 0;
  bool core_dumped_ = false;
  std::chrono::microseconds user_time_{};
  std::chrono::microseconds system_time_{};
  std::uint64_t peak_memory_bytes_ = 0;
};

std::ostream& operator<<(std::ostream& out, const Exit& exit);

}  // namespace cohort
