// The life of the cluster: who is forked and when, and how it ends. Pure: `step` changes a value
// and says what to do; the clock comes in with the event.
//
// A *place* is one of the `keep(n)` workers; workers that the user forked himself have none, and
// only count for the end.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <variant>
#include <vector>

namespace cohort::cluster {

using TimePoint = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

inline constexpr Duration kBackoffMin = std::chrono::milliseconds{100};
inline constexpr Duration kBackoffMax = std::chrono::seconds{10};
/// A worker that lived this long was healthy: its place starts over with the shortest back-off.
inline constexpr Duration kHealthyAfter = std::chrono::seconds{10};
/// Deaths without any worker ever ready after which the cluster gives up.
inline constexpr int kTriesMax = 5;

/// Two signals to end within this time are one wish: timeout(1) and npm send theirs to a program
/// and to the process group that it is in.
inline constexpr Duration kOneWish = std::chrono::milliseconds{100};
class StopWishes {
 public:
  /// Whether the signal that came is a wish of its own: the first is, and each later one that is
  /// not the same as the first.
  bool is_one(TimePoint now) {
    if (!first_)
      first_ = now;
    else if (now - *first_ < kOneWish)
      return false;
    return true;
  }
  bool any() const { return first_.has_value(); }

 private:
  std::optional<TimePoint> first_;
};

struct Supervisor {
  enum class Phase : std::uint8_t {
    Running,
    Draining,  ///< Workers are asked to end, or will be once nothing waits for them.
    Killing,   ///< Workers were killed; their exits are awaited.
    Over,      ///< The loop may end. Terminal.
  };
  struct Place {
    std::optional<int> worker;     ///< Who fills it.
    std::optional<TimePoint> due;  ///< When to fork the next one, while nobody does.
    int failures = 0;              ///< Deaths in a row without health.
  };
  struct Live {
    std::optional<std::size_t> place;
    TimePoint since;
    bool ready = false;
  };

  Phase phase = Phase::Running;
  std::vector<Place> places;
  std::map<int, Live> live;  ///< Every process that has not exited, by worker id.
  bool ever_ready = false;
  int tries = 0;  ///< Deaths of workers with a place while `ever_ready` was false.
  Duration drain_timeout = std::chrono::seconds{25};
  std::optional<TimePoint> deadline;  ///< Of the drain.
};

namespace event {
struct Keep {
  unsigned count;
};  ///< The user wants `count` places.
/// A process was started (or failed to: `Exited` follows).
struct Forked {
  int worker;
  std::optional<std::size_t> place;
};
struct Ready {
  int worker;
};  ///< It listens.
struct Exited {
  int worker;
};  ///< It is gone, or could not be started.
struct Terminate {};   ///< TERM or INT. The second one kills.
struct TimePassed {};  ///< A wake-up that was asked for, or any other moment.
}  // namespace event

using SupervisorEvent = std::variant<event::Keep, event::Forked, event::Ready, event::Exited,
                                     event::Terminate, event::TimePassed>;

namespace action {
struct Fork {
  std::size_t place;
};  ///< Fork a worker for it, then report `Forked`.
struct DisconnectAll {};  ///< Ask every live worker to end, when it has taken what arrived for it.
struct KillAll {};        ///< SIGKILL every live worker.
struct GiveUp {};         ///< No worker was ever ready: say why. `Finish` follows.
struct Finish {};         ///< Stop the loop.
}  // namespace action

using SupervisorAction = std::variant<action::Fork, action::DisconnectAll, action::KillAll,
                                      action::GiveUp, action::Finish>;

std::vector<SupervisorAction> step(Supervisor& state, const SupervisorEvent& event, TimePoint now);

/// When `TimePassed` is wanted next.
std::optional<TimePoint> next_wakeup(const Supervisor& state);

/// How long a place waits after its `failures`-th death in a row (from 1): 100 ms, doubling, to 10
/// s.
Duration backoff(int failures);

}  // namespace cohort::cluster
