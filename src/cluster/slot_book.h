// The slots of one address and their queues: who fills them, which of them get new connections, and
// from which of them the connections that wait are moved to others. Pure.
//
// A slot has a queue, and a second one once a worker had a successor beside it: each of the two
// takes from its own. Only the slot's *current* queue gets new connections: that of the older one
// until he is retired, then the other's. A client, a weight are a slot's; all else is a queue's.
// What waits in the queue that a retired worker left is for the slot's worker, its *heir*, where
// clients have slots, or nothing moves.
//
// A queue is *stuck* when connections have waited in it for `rescue_after` and none was taken
// (as its worker says, or as it shows by shrinking), while another, of a current worker, is empty:
// its worker is blocked, stopped or full. It is steered around until its worker is known to turn,
// or, since not every worker can say so, for a second.
//
// While no queue is empty, a queue that does not shrink may be as long as ever because as many came
// as were taken, by a worker that does not say so. So its worker is *doubted*, and asked, after
// that time; stuck, if it has not answered, after twice that; and the others, which are not in
// doubt, take what waits there. While every worker is in doubt nothing moves. One that answers and
// still takes none (it is full) is asked again after a time that doubles, up to 25 times as long.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "net/steering.h"

namespace cohort::cluster {

class SlotBook {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  struct Rules {
    /// Whether slots without a worker, and stuck ones, get no connections while others can.
    bool steer_around = true;
    /// Whether a client has a slot, and stays there while its worker is replaced.
    bool by_client = false;
    /// How long connections wait before they are moved; none: they never are. Those of a worker
    /// that ended, or is stuck, wait so long only where nothing is steered around.
    std::optional<std::chrono::milliseconds> rescue_after;
  };

  struct Weights {
    std::vector<unsigned> of_slots;              ///< As `Cluster::set_weights`.
    std::chrono::milliseconds slow_start{1000};  ///< As `Cluster::set_weights`.
  };

  explicit SlotBook(Rules rules) : rules_{rules} {}
  const Rules& rules() const { return rules_; }
  void set_weights(Weights weights) { weights_ = std::move(weights); }

  /// The queue of the worker from now on: the one that was last that of its slot (Worker::slot), if
  /// nobody has that, or another of its slot. A slot that is not there is the first one that has no
  /// worker, or a new one. A new queue is number `size()` until now.
  /// `only_accepts`: the worker can neither be asked nor handed anything. Where all are like that,
  /// nothing but they takes connections, and a queue that shrinks shows that its worker turns.
  std::size_t fill(std::size_t slot, int worker, TimePoint now = {}, bool only_accepts = false);
  /// The worker gets no more connections, but may get some again.
  void hold(int worker, bool held);
  /// The worker ends: it gets no more connections, but still accepts those that wait. Where nothing
  /// is steered around, what arrives waits for its successor, if one is `expected`.
  void retire(int worker, bool successor_expected);
  /// It accepts no more: its queue is free for another. Retires it first, if that was not done.
  void vacate(int worker, bool successor_expected);
  /// It vacated its queue, and none is expected after all.
  void expect_no_successor(int worker);
  /// How many queues there are.
  std::size_t size() const { return queues_.size(); }
  bool has_workers() const;
  std::optional<std::size_t> queue_of(int worker) const;
  /// How many slots have queues, and which of them, counted in the order in which they came, has
  /// this one. It never changes.
  std::size_t slots() const { return numbers_.size(); }
  std::size_t slot_of(std::size_t queue) const { return queues_[queue].slot; }
  /// Who is to be handed what waits in a queue that has no worker, where clients have slots, or
  /// nothing moves: its slot's, if he can be handed anything.
  std::optional<int> heir(std::size_t queue) const;

  /// The worker's loop turned: it is not blocked, or not any more.
  void turns(int worker);

  struct Findings {
    std::vector<std::size_t> rescue;  ///< Queues whose connections are to be moved...
    std::size_t connections = 0;      ///< ... so many...
    std::vector<int> targets;         ///< ... to these workers, once they are seen to turn.
    std::vector<int> probe;           ///< Doubted or stuck since now: call `turns` once they do.
    bool any_moves = false;           ///< Some were taken, or a worker could take some.
  };
  struct Length {
    unsigned waiting = 0;
    /// How many connections its worker ever took, if it says so: then what is taken is known, and
    /// not seen only where the queue shrinks.
    std::optional<std::uint64_t> taken{};
  };
  /// Every queue's length, now, and whether a worker refuses connections. To be called every
  /// `rescue_after`, or more often; less often while nothing happens.
  Findings observe(TimePoint now, std::span<const Length> lengths,
                   const std::function<bool(int worker)>& is_full);

  /// What waited in the queue went to other queues, its worker unasked: if that one is stuck
  /// it is tried again soon, since nothing waits there any more that would shrink; if it takes none
  /// again, after twice the time, up to a second.
  void moved(std::size_t queue, TimePoint now);
  /// Whether that may be done: it has no worker, and its slot none, or one that is stuck and cannot
  /// be asked.
  bool may_be_moved(std::size_t queue) const;
  /// Whether time alone changes what is eligible, or the shares: keep observing.
  bool unsettled(TimePoint now) const;

  /// For each queue, whether it gets new connections. At least one does, and at most one of a slot.
  std::vector<bool> eligible() const;
  /// The same in shares: less than whole for one of less weight than others, and for a worker
  /// that came while others served.
  net::Shares shares(TimePoint now) const;

 private:
  // What was seen of a queue.
  struct Seen {
    unsigned waiting = 0;
    std::optional<std::uint64_t> taken;
    TimePoint since{};  // when one was last seen to be taken, or the queue was empty
  };
  // Of a queue that is stuck.
  struct Trial {
    TimePoint again_at{};  // when it will be tried again
    TimePoint at{};        // when it was
    std::chrono::milliseconds moved_for{0};
  };
  struct Queue {
    bool serves() const { return worker && !retired && !held; }

    std::size_t slot = 0;  // in `numbers_`
    std::optional<int> worker;
    bool only_accepts = false;
    bool retired = false;
    bool held = false;
    bool awaited = false;  // by a successor that is expected...
    int predecessor = 0;   // ... of this worker
    bool stuck = false;
    std::optional<TimePoint> doubted;  // since when
    std::chrono::milliseconds trusted_for{0};
    Seen seen{};
    Trial trial{};
    TimePoint came{};  // its worker
    bool starts_slowly = false;
  };
  Queue* find(int worker);
  std::optional<int> taker(std::size_t queue) const;
  std::size_t slot_for(std::size_t number);
  /// Of each slot.
  std::vector<std::size_t> current() const;
  bool waits_for_its_slot(const Queue& queue, const std::vector<std::size_t>& current) const;
  bool starts(const Queue& queue, TimePoint now) const;
  unsigned weight(const Queue& queue) const;
  bool only_workers_take() const;
  std::vector<int> doubt(TimePoint now, const std::function<bool(int worker)>& is_full,
                         Findings& findings);

  Rules rules_;
  Weights weights_;
  std::vector<Queue> queues_;
  std::vector<std::size_t> numbers_;  // of the slots: not every worker uses every port
};

}  // namespace cohort::cluster
