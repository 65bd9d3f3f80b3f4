// Which workers hang, and why: those that were asked for a sign of life (Worker::ping) and have
// given none for too long. Pure, but for `loop_evidence_of`.
//
// A worker that computes, or waits for something that is not its loop, is to blame. One that
// somebody has stopped, that waits for a disk, or that gets no CPU is not: that is said once. The
// time of the first two begins anew then; of the last, its CPU time counts.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cohort::manager {

/// Of the thread with which a process began, where its loop runs in most.
struct LoopEvidence {
  char state = 0;                       ///< As proc(5) has it: R, S, D, T...
  std::chrono::milliseconds ran{0};     ///< CPU time, ever.
  std::chrono::milliseconds waited{0};  ///< For a CPU, ever.
  std::string waits_in{};               ///< The kernel's function in which it sleeps, if known.
};

/// Of `/proc/PID/task/PID/stat` and `schedstat`.
std::optional<LoopEvidence> parse_loop_evidence(std::string_view stat, std::string_view schedstat);
/// Nothing if there is no such process any more.
std::optional<LoopEvidence> loop_evidence_of(pid_t pid,
                                             const std::filesystem::path& root = "/proc");

class HangRule {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  enum class Kind : std::uint8_t {
    Computes,  ///< It has used the CPU.
    Waits,     ///< It sleeps, and not in its loop: for a lock, another process.
    Starved,   ///< It would run, and gets no CPU.
    OnDisk,    ///< It waited for a disk, or a file system behind a network.
    Stopped,   ///< It was, by a signal or a debugger.
  };
  struct Verdict {
    int worker = 0;
    Kind kind = Kind::Computes;
    std::chrono::milliseconds time{0};  ///< For so long it gave no sign of life.
    LoopEvidence since{};               ///< What its thread did meanwhile.
    bool is_to_blame() const { return kind == Kind::Computes || kind == Kind::Waits; }
  };

  /// How long a worker may give no sign of life.
  explicit HangRule(std::chrono::milliseconds patience) : patience_{patience} {}
  /// How often to look.
  std::chrono::milliseconds period() const;

  /// Whether it was asked and has not answered.
  bool is_asked(int worker) const { return asked_.contains(worker); }
  /// What its thread does is looked at from the next `look` on: most have answered by then.
  void asked(int worker, TimePoint at) { asked_.try_emplace(worker, Asked{.at = at}); }
  /// It answered, or is gone.
  void forget(int worker) { asked_.erase(worker); }

  /// Who gave no sign of life for too long; whoever is to blame, once. `evidence` of a worker;
  /// nothing: it is gone. If nobody looked for long, this process had no CPU: then nobody hangs.
  std::vector<Verdict> look(TimePoint now,
                            const std::function<std::optional<LoopEvidence>(int worker)>& evidence);

 private:
  struct Asked {
    TimePoint at{};
    std::optional<LoopEvidence> then{};  // since `at`
    std::optional<Kind> excuse{};        // that was seen since then
    std::optional<Kind> said{};          // that it is not to blame
    bool judged = false;                 // it was found to be to blame
  };

  std::chrono::milliseconds patience_;
  std::map<int, Asked> asked_;  // by id
  std::optional<TimePoint> looked_;
};

/// `and computes (29.8 s of CPU time)`.
std::string hang_text(const HangRule::Verdict& verdict);

}  // namespace cohort::manager
