// Which worker gets which connection that is handed off, for one port. Pure.
//
// A worker is in the dispatcher while it may be offered connections now: that is all that `has`
// means. (Who uses the port the port knows.) Who left still answers what it was offered, and when
// it comes back it is remembered how long it is to be left alone.
//
// A worker has *credits*: how many connections it may hold unanswered (1 for a Node peer, as in
// Node). The free worker with the fewest unanswered ones is next, in turns. A worker that refused
// (it is at its limit) is left alone for a while that doubles, 5 ms to 320 ms, so that nobody
// spins: Node offers it the same connection again at once, about 10 000 times a second.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

namespace cohort::cluster {

using ConnectionId = std::uint64_t;

class Dispatcher {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  struct Assignment {
    int worker;
    ConnectionId connection;
  };

  /// It may be offered connections from now on.
  void join(int worker, unsigned credits);
  /// It is offered no more, but still answers those that it holds. It may join again.
  void leave(int worker);
  /// It is dead. Returns the connections that it held unanswered, oldest first: the caller decides
  /// their fate.
  std::vector<ConnectionId> lose(int worker);
  bool has(int worker) const;
  bool any_unanswered() const;

  /// A connection waits for a worker, for the first time or again. Ids grow in the order of
  /// arrival, and that is the order of the hand-offs. `wanted`: it waits for that worker, as long
  /// as that one takes connections at all; 0: for any.
  void offer(ConnectionId connection, int wanted = 0);
  /// The next hand-off that can be made, if any. The connection is unanswered from here on.
  std::optional<Assignment> next(TimePoint now);
  /// The worker's answers. False if it did not hold that connection.
  bool accepted(int worker, ConnectionId connection);
  bool refused(int worker, ConnectionId connection, TimePoint now);

  /// It refused, and is left alone for now.
  bool is_full(int worker, TimePoint now) const;
  /// A worker that had refused may be tried again at once.
  void has_room(int worker);

  /// How many more connections to accept: as many as could be handed off at once, unless too many
  /// wait for workers that they want. While it is 0, leave them in the kernel's queue.
  std::size_t room(TimePoint now) const;
  /// When the first worker that refused may be tried again.
  std::optional<TimePoint> retry_at(TimePoint now) const;
  std::size_t waiting() const { return waiting_.size(); }

 private:
  struct Worker {
    bool is_in() const { return credits > 0; }

    int id;
    unsigned credits;  // 0: it left
    std::vector<ConnectionId> unanswered;
    TimePoint full_until{};
    std::chrono::milliseconds full_for{0};
    std::uint64_t last_turn = 0;
  };
  struct Waiting {
    ConnectionId connection;
    int wanted;
  };
  const Worker* find(int worker) const;
  Worker* find(int worker);
  Worker* best(TimePoint now);
  bool waits_for(const Waiting& waiting) const;
  static bool is_free(const Worker& worker, TimePoint now);
  static bool answer(Worker* worker, ConnectionId connection);

  std::vector<Worker> workers_;
  std::deque<Waiting> waiting_;
  std::uint64_t turn_ = 0;
};

}  // namespace cohort::cluster
