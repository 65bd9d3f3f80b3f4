// The life of the cluster: who is forked and when, and how it ends. Pure: `step` changes a value
// and says what to do; the clock comes in with the event.
//
// A *place* is one of the `keep(n)` workers; workers that the user forked himself have none, and
// only count for the end. A worker leaves its place when it ends on purpose and uses no port any
// more: its successor is started then, and serves beside it while it finishes what it serves. Once
// its channel is closed and it serves nobody, it is ended as at the end of the service.
//
// Node's workers close their servers first, and say that they end when their last connection has
// ended. So one that closed all its servers, and opened none for kLeavesAfter, is taken for one
// that leaves. But not if it had them for a shorter time: it tried whether a port is free. And one
// that opens a server after that shows that this program comes back: nobody is taken for leaving
// any more, and one of the two that have the place is ended.
//
// A port that nobody uses stays open for the next worker of the place. When that one has used
// others for kAsksWithin, and has not asked for it, it is closed.
//
// A place can have a *successor*, started on request beside a worker that serves: `Replace`. It has
// the place from when it is ready, or when the other is gone. The other is *retired* then: it gets
// no more connections, lets in what has arrived for it, and is told to end.
//
// A *rollout* gives every place a worker of a new *generation* so: `Reload`. Whom those replace is
// *held* meanwhile: it gets no more connections, but stays. When all places have theirs, and none
// of them failed for a while, the held ones are retired. When one fails, or another rollout is
// wanted, it is undone: who is held has its place again, and serves. supervisor_rollout.cc has it.
//
// The held ones can be *parked* when a rollout is reached: they stay for a while, and a `Rollback`
// gives them their places again. Where one has died, another of their generation is started.
//
// A worker that exits by itself with kPermanent says that another like it would end so too: its
// place is *closed*. None of the generation that serves is started there; the next rollout starts
// one of its own, and opens the place when it is reached. Of a worker of a rollout that code is the
// rollout's failure, and closes nothing. When all places are closed, the service ends. Where there
// are to be fewer places, the closed ones go first. supervisor_closing.cc has it.
//
// One worker *leads*: of those that were told so, one at a time. supervisor_leader.cc has it.
//
// A port that is closed resets what waits in its queue. So at the end nothing more arrives first,
// and the workers go on until they have taken all that has; then they are asked to end.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <variant>
#include <vector>

#include "cluster/rollout.h"
#include "cluster/rules.h"

namespace cohort::cluster {

/// The exit code of a worker that says that it is of no use to start it again.
inline constexpr int kPermanent = 100;

/// How long after it closed a server it is known whether a worker of a place leaves (see above), or
/// closed that one for good.
inline constexpr Duration kLeavesAfter = std::chrono::seconds{1};
/// So many may leave a place and live: when the next successor is started, the oldest is told to
/// end. Of twice as many one has to have ended first.
inline constexpr int kLeaversMax = 8;
/// How long a worker that uses a port has to ask for the others that its predecessors used.
inline constexpr Duration kAsksWithin = std::chrono::minutes{1};
/// The ports of so many predecessors of a worker stay open for it.
inline constexpr std::size_t kPredecessorsMax = 8;

/// Of a process that is still to be started. So far away that nothing is due because of it, and
/// near enough for sums.
inline constexpr TimePoint kNotYet{Duration::max() / 2};

/// At the end of the service: how long handshakes under way have to complete, how often the queues
/// are looked at from then on, and until when. At most a quarter, and half, of the grace time. Who
/// is retired has as long for the first, and the grace time for all of it.
inline constexpr Duration kArrivalsMin = std::chrono::milliseconds{100};
inline constexpr Duration kArrivalsLook = std::chrono::milliseconds{10};
inline constexpr Duration kArrivalsMax = std::chrono::seconds{2};

struct Supervisor {
  enum class Phase : std::uint8_t {
    Running,
    LettingIn,  ///< Nothing more arrives; workers go on until they have taken all that has.
    Draining,   ///< Workers are asked to end.
    Killing,    ///< Workers were killed; their exits are awaited.
    Over,       ///< The loop may end. Terminal.
  };
  /// What had arrived is let in.
  struct Arrivals {
    TimePoint look_at;  ///< When to look whether any wait.
    TimePoint until;    ///< They have so long.
  };
  struct Place {
    std::optional<int> worker;       ///< Who fills it.
    std::optional<TimePoint> due;    ///< When to fork the next one, while nobody does.
    int failures = 0;                ///< Deaths in a row without health.
    bool succeeds = false;           ///< A successor is being forked, on request.
    std::optional<int> successor{};  ///< It was, and is not ready.
    int generation = 1;              ///< Of who has it, or is forked for it next.
    /// Who had it, and used ports that the next one may ask for; oldest first.
    std::vector<int> predecessors{};
    /// By whom: none of the generation that serves is started for it. While a rollout goes on, it
    /// may have one of another.
    std::optional<int> closed{};
  };
  /// Why it ends.
  struct Reasons {
    bool gave_up = false;     ///< No worker was ever ready.
    bool all_closed = false;  ///< Every place is.
    bool told = false;        ///< Somebody has asked for the end.
  };
  struct Closed {
    TimePoint at;
    bool tried;  ///< It had it for less than kLeavesAfter.
  };
  struct Told {
    std::optional<TimePoint> kill_at;  ///< Nothing: it was killed.
  };
  struct Live {
    std::optional<std::size_t> place;
    TimePoint since;  ///< kNotYet: it has no process.
    bool ready = false;
    bool ends = false;                   ///< It said so, or was asked to.
    bool used_ports = false;             ///< Ever.
    bool idle = false;                   ///< Its channel is closed, and it serves nobody.
    std::optional<TimePoint> accepts{};  ///< Since when it uses a port.
    std::optional<Closed> closed{};      ///< The port that it closed last, until kLeavesAfter.
    std::optional<std::size_t> left{};   ///< The place that it had, and left.
    std::optional<Told> told{};          ///< `End` was said.
    bool held = false;                   ///< Its successor has its place, for now.
    bool up = false;                     ///< Its rollout found that it listens, or has lived.
    std::optional<Arrivals> retired{};   ///< Its successor has its place.
    int generation = 1;                  ///< As which it was forked.
    bool says_ready = false;             ///< So that it has lived is no sign of it.
  };
  struct Leadership {
    std::set<int> greeted;      ///< Who can be told to lead, of those that live.
    std::optional<int> leader;  ///< Who was.
    bool asked = false;         ///< It was asked to lead no more, and has not answered.
  };

  Phase phase = Phase::Running;
  std::vector<Place> places;
  std::map<int, Live> live;  ///< Every process that has not exited, by worker id.
  std::set<int> left;        ///< Workers that have exited, and processes of their group live on.
  bool ever_ready = false;
  bool comes_back = false;  ///< A worker that was taken for leaving opened a port again.
  int tries = 0;            ///< Deaths of workers with a place while `ever_ready` was false.
  Rules rules;
  std::optional<TimePoint> deadline;  ///< Of the drain.
  std::optional<Arrivals> arrivals;   ///< While it lets them in.
  Reasons reasons;
  int generation = 1;  ///< The last that a rollout reached.
  std::optional<Rollout> rollout;
  std::optional<Parked> parked;  ///< While no rollout is under way.
  Leadership leadership;
};

namespace event {
struct Keep {
  unsigned count;
};  ///< The user wants `count` places. The workers of others stay, and have none.
struct Scale {
  unsigned count;
};  ///< The same; the workers of others are retired.
/// A process was started (or failed to: `Exited` follows).
struct Forked {
  int worker;
  std::optional<std::size_t> place;
  int generation = 1;       ///< As `Fork` said.
  bool says_ready = false;  ///< It will say so in another way than by living for long.
  bool waits = false;       ///< It has no process yet: `Started` follows, or `Exited`.
};
struct Started {
  int worker;
};  ///< One that had no process has one.
struct Ready {
  int worker;
};  ///< It listens.
struct Greeted {
  int worker;
};  ///< It was heard of, in a way that says that it can be told to lead.
struct Followed {
  int worker;
};  ///< It leads no more, as it was asked to.
struct Opened {
  int worker;
};  ///< It asked for a port.
struct Closed {
  int worker;
  bool accepts;  ///< It uses others.
};  ///< It closed a port, or lost it.
struct Ends {
  int worker;
};  ///< It ends on purpose: it said so, or was asked to.
struct Idle {
  int worker;
};  ///< Its channel is closed, and it serves nobody.
struct Exited {
  int worker;
  bool leaves_some = false;  ///< Processes of its group live on: `Vanished` follows.
  bool permanent = false;    ///< With kPermanent, and nobody had told it to end.
};  ///< It is gone, or could not be started.
struct Vanished {
  int worker;
};  ///< What an exited worker had left is gone too, or cannot be ended.
/// The user wants a successor for the worker of a place. Does nothing unless `may_be_replaced`.
struct Replace {
  int worker;
};
/// The user wants workers of a generation that is higher than any before.
struct Reload {
  RolloutWish wish;
};
struct Rollback {
};  ///< The user wants the generation before: that of a rollout, or the parked one.
struct Unfit {
  int worker;
};  ///< It serves, but not as it should. Matters while its generation is rolled out.
struct Dry {
  int worker;
};  ///< Nothing waits any more for a worker that is retired.
struct NothingArrives {};  ///< Nothing waits at the ports any more, or there are none.
struct Terminate {};       ///< Somebody asks for the end. The second time kills.
struct TimePassed {};      ///< A wake-up that was asked for, or any other moment.
}  // namespace event

using SupervisorEvent =
    std::variant<event::Keep, event::Scale, event::Forked, event::Started, event::Ready,
                 event::Greeted, event::Followed, event::Opened, event::Closed, event::Ends,
                 event::Idle, event::Exited, event::Vanished, event::Replace, event::Reload,
                 event::Rollback, event::Unfit, event::Dry, event::NothingArrives, event::Terminate,
                 event::TimePassed>;

namespace action {
struct Fork {
  std::size_t place;
  int generation = 1;
  std::optional<int> beside{};  ///< Who serves there until this one does, or left last, and lives.
};  ///< Fork a worker for it, then report `Forked`.
struct Release {
  int worker;
};  ///< The ports that it used last, and nobody uses: nobody will ask for them again.
/// From now on the worker gets no more connections, but takes those that wait for it.
struct Retire {
  int worker;
  bool succeeded = true;  ///< Another has its place.
};
/// The same, until `Resume` or `Retire`.
struct Hold {
  int worker;
};
/// It gets connections again.
struct Resume {
  int worker;
};
/// It is parked: clients of connections that it has are to go elsewhere, until `Resume`.
struct Rest {
  int worker;
};
/// It is told to lead.
struct Lead {
  int worker;
};
/// It is asked to lead no more: `Followed` follows, or `Exited`.
struct Follow {
  int worker;
};
struct LookWhetherDry {
  int worker;
};  ///< `Dry` follows if nothing waits for it.
/// Ask the worker to end; it is killed when the grace time has passed.
struct End {
  enum class Why : std::uint8_t {
    ServesNothing,  ///< It left, and is idle.
    TooMany,        ///< It left, and so did kLeaversMax of its place.
    TwoInAPlace,    ///< It left, or was to replace one that did, who came back.
    Replaced,       ///< It is retired, and dry.
    RolledBack,     ///< It was to replace another, and its rollout is undone.
    Surplus,        ///< The same, and its place is no more.
  };
  int worker;
  Why why;
};
struct Kill {
  int worker;
};  ///< SIGKILL the worker and its group: it was asked to end, and did not.
struct StopArrivals {};     ///< From now on nothing arrives at the ports. `NothingArrives` follows
                            ///< if there are none.
struct LookForArrivals {};  ///< `NothingArrives` follows if none wait.
struct DisconnectAll {};    ///< Ask every live worker to end.
struct KillAll {};          ///< SIGKILL every live worker and its group, and what others left.
struct RolloutOver {
  RolloutVerdict verdict;
};
struct GiveUp {};  ///< No worker was ever ready: say why. `Finish` follows.
struct Close {
  int worker;
};  ///< The place of this one, which has exited, is closed: say so.
struct AllClosed {};  ///< Every place is: say why. The service ends, as if somebody asked.
struct Finish {
  bool gave_up;
  bool all_closed = false;
};  ///< Stop the loop.
}  // namespace action

using SupervisorAction =
    std::variant<action::Fork, action::Release, action::Retire, action::Hold, action::Resume,
                 action::Rest, action::Lead, action::Follow, action::LookWhetherDry, action::End,
                 action::Kill, action::StopArrivals, action::LookForArrivals, action::DisconnectAll,
                 action::KillAll, action::RolloutOver, action::GiveUp, action::Close,
                 action::AllClosed, action::Finish>;

std::vector<SupervisorAction> step(Supervisor& state, const SupervisorEvent& event, TimePoint now);

/// Whether the worker left its place, and uses no port (again).
bool has_left(const Supervisor& state, int worker);
/// Whether its successor has its place, for good.
bool is_retired(const Supervisor& state, int worker);
/// Whether its successor has its place, for now.
bool is_held(const Supervisor& state, int worker);
/// It left its place by itself, and was not told to end.
bool leaves(const Supervisor& state, int worker);
/// Whether it was told to lead, and has not answered that it does no more.
bool leads(const Supervisor& state, int worker);
/// Whether the generation before is there: a rollout is under way and not being undone, or some of
/// the parked ones live.
bool may_go_back(const Supervisor& state);
/// Whether nobody has it, and none of the generation that serves is started for it.
bool is_closed(const Supervisor& state, const Supervisor::Place& place);
/// Whether at least two of its workers have died in a row, and none has lived for long since.
bool is_failing(const Supervisor& state, const Supervisor::Place& place, TimePoint now);
/// How many places have a worker of that generation.
std::size_t places_of(const Supervisor& state, int generation);
/// Whether others serve until it is ready: it is to replace one, or to be of a new generation.
bool is_tried(const Supervisor& state, int worker);
/// Who is to have its place, and has not yet.
std::optional<int> successor_of(const Supervisor& state, int worker);
/// Whether a successor may be started for it: it has a place, stays, has no successor yet, and the
/// one before it accepts no more.
bool may_be_replaced(const Supervisor& state, int worker);

/// When `TimePassed` is wanted next.
std::optional<TimePoint> next_wakeup(const Supervisor& state);

/// How long a place waits after its `failures`-th death in a row (from 1): 100 ms, doubling, to 10
/// s, by the rules of a primary. From the second one on up to a quarter more, by place: what fails
/// together is not started together again and again.
Duration backoff(int failures, std::size_t place = 0, const Rules& rules = {});

}  // namespace cohort::cluster
