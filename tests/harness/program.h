// A program under test, run as a real process: its output line by line, its signals, its end.
//
// The harness is plain POSIX and uses nothing of cohort, so that no bug of the library can hide in
// its test tool. A Program belongs to the test that made it; its destructor kills the process and
// whatever the process left behind, wherever it went (every descendant is found by a mark in its
// environment). Two reader threads drain the output, so that no program ever waits for its test.
// Everything else is called from the test's thread, and every wait has a deadline and says on
// failure what was printed.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace harness {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// How long a test waits for something that must happen. Long: it is only reached by a failing
/// test, and a virtual machine may be without one of its CPUs for half a minute.
inline constexpr milliseconds kPatience{60'000};

/// How long somebody still waits. To be asked often: what lies between two answers counts as 100 ms
/// at most, so that nobody's patience ends while the whole machine stands still (a virtual one that
/// is paused: 35 s were seen).
class Deadline {
 public:
  explicit Deadline(milliseconds time, Clock::time_point now = Clock::now())
      : left_{time}, asked_{now} {}
  milliseconds left(Clock::time_point now = Clock::now());
  bool passed() { return left() <= milliseconds{0}; }

 private:
  Clock::duration left_;
  Clock::time_point asked_;
};

/// How a program ended: one of both is set.
struct Ended {
  std::optional<int> code;
  std::optional<int> signal;
};

struct ProgramOptions {
  std::vector<std::pair<std::string, std::string>> env{};  ///< Added to the test's environment.
  std::string cwd{};
  bool terminal = false;  ///< stdout and stderr are one pseudo-terminal, 80 by 24.
  /// Capabilities (CAP_...) that it and its descendants must do without, even as root.
  std::vector<int> without{};
};

class Program {
 public:
  /// Starts argv[0], looked up in PATH if it has no slash. Throws if it cannot be started.
  explicit Program(const std::vector<std::string>& argv, const ProgramOptions& options = {});
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  pid_t pid() const;
  /// Signals the process alone.
  void signal(int signal_number);
  /// Signals its process group, as a terminal's Ctrl-C does.
  void signal_group(int signal_number);

  /// What was printed so far; a last line without its newline counts.
  std::vector<std::string> lines() const;
  std::vector<std::string> error_lines() const;
  std::string output() const;
  std::string errors() const;
  /// How many lines of stdout so far are `line`.
  int count(std::string_view line) const;

  /// Waits until stdout has `line` at least `times`.
  testing::AssertionResult wait_for_line(std::string_view line, int times = 1,
                                         milliseconds deadline = kPatience);
  /// Waits until some line of stderr (stdout) has a part that matches the regular expression.
  testing::AssertionResult wait_for_error(const std::string& pattern, milliseconds = kPatience);
  testing::AssertionResult wait_for_match(const std::string& pattern, milliseconds = kPatience);
  /// Waits until the test says so; it is asked again after each piece of output, and every 10 ms.
  testing::AssertionResult wait_until(const std::string& what, const std::function<bool()>& done,
                                      milliseconds deadline = kPatience);

  /// Waits for the end of the process, and of its output unless a descendant holds it open. Nothing
  /// if the deadline passes; the end may be asked for again.
  std::optional<Ended> wait_exit(milliseconds deadline = kPatience);
  /// The same, as a test: exits with `code`.
  testing::AssertionResult exits_with(int code, milliseconds deadline = kPatience);
  bool has_exited();
  /// Interrupts it as Ctrl-C does: exits with 0 and leaves no process.
  testing::AssertionResult ends_on_interrupt();

  /// Processes that live and descend from this one, itself excluded, also if it is dead.
  std::vector<pid_t> descendants() const;
  /// Waits until none lives.
  testing::AssertionResult leaves_no_process(milliseconds deadline = kPatience);
  /// stdout and stderr, for the messages of failed tests.
  std::string transcript() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// `wait_until` for what no program prints; asks every 10 ms.
testing::AssertionResult eventually(const std::string& what, const std::function<bool()>& done,
                                    milliseconds deadline = kPatience);

}  // namespace harness
