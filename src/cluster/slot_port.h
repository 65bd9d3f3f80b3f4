// One TCP address as slots, a listening socket for each worker: what SlotBook decides, carried out.
//
// Owned by the Listeners; loop's executor only. While nothing waits it sleeps: a connection wakes
// it, and it looks at the queues every `rescue_after`, or more often, until they are empty; a
// little longer if many come.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/callback_scope.h"
#include "base/loop.h"
#include "cluster/slot_book.h"
#include "cohort/cluster.h"
#include "net/slot_group.h"

namespace cohort::cluster {

class SlotPort {
 public:
  struct User {
    /// Once: how connections come to the slots.
    std::function<void(const std::string& why)> decided;
    /// Asked of each worker: whether it refuses connections.
    std::function<bool(int worker)> is_full;
    /// Connections may have to move: `next_waiting` has them.
    std::function<void(const SlotBook::Findings&)> found;
  };

  struct Choice {
    Policy policy;
    std::optional<std::chrono::milliseconds> rescue_after;  ///< As `Cluster::set_policy`.
    /// Of UDP: a flow is a client of its own. Under Policy::Sticky.
    bool datagrams = false;
  };

  /// Of a group with one slot. Fails where the kernel attaches no program: NoDescriptor.
  static Result<std::unique_ptr<SlotPort>> open(const Loop& loop, net::SlotGroup group,
                                                Choice choice, User user);
  SlotPort(const SlotPort&) = delete;
  SlotPort& operator=(const SlotPort&) = delete;

  /// As SlotBook::fill. No worker has two slots of a port.
  Result<std::size_t> join(std::size_t slot, int worker, bool only_accepts);
  int fd(std::size_t slot) const { return group_.fd(slot); }
  /// Of a worker that joined.
  std::size_t slot_of(int worker) const { return book_.slot_of(worker).value(); }
  /// The worker ends, and gets no more connections.
  void retire(int worker, bool successor_expected);
  /// It accepts no more.
  void leave(int worker, bool successor_expected);
  /// It left, and has no successor after all.
  void expect_no_successor(int worker);
  /// Whether connections wait in the worker's queue; in any queue.
  bool any_waiting(int worker) const;
  bool any_waiting() const;
  /// As net::stop_arrivals.
  void stop_arrivals();
  /// The worker says what it takes from the port, and what it has open, there.
  void publishes(int worker, std::shared_ptr<const net::Load> load);
  /// A worker that was probed answered.
  void turns(int worker);
  /// Of no effect under Hash and Sticky.
  void set_weights(const SlotBook::Weights& weights);
  /// Looks at the queues soon: there is something that `User::found` should hear.
  void wake();
  /// One of the connections that are to be moved; none if no more wait.
  OwnFd next_waiting();

 private:
  using Clock = std::chrono::steady_clock;

  SlotPort(const Loop& loop, net::SlotGroup group, Choice choice, User user);
  void decide();
  void workers_changed();
  void steer();
  bool watch_queues();
  std::vector<SlotBook::Queue> queues();
  void tell_open();
  void fall_asleep();
  void wake_up();
  std::chrono::milliseconds look_every() const;
  void look_later();
  void look();
  void migrate(std::vector<std::size_t>& slots, Clock::time_point now);

  Loop loop_;  // before what refers to it
  net::SlotGroup group_;
  Choice choice_;
  SlotBook::Rules rules_;
  SlotBook book_;
  bool by_queues_ = false;                         // the kernel chooses the shortest queue
  std::optional<Clock::time_point> by_queues_at_;  // when to try that
  net::BucketTable buckets_;
  net::Shares steered_to_;  // as the attached program has them
  User user_;
  std::vector<std::shared_ptr<const net::Load>> loads_;  // by slot; null: its worker does not say
  std::vector<std::size_t> rescue_;
  boost::asio::steady_timer timer_;
  bool awake_ = false;
  int idle_looks_ = 0;
  Clock::time_point awake_until_;
  // An epoll of its own over every slot: the slots stay as blocking as they are, and one call tells
  // which of them to look at.
  OwnFd queues_;
  std::size_t watched_ = 0;        // slots that are in it
  std::unique_ptr<Watch> asleep_;  // has it while nothing arrives
  Clock::time_point asleep_since_;
  CallbackScope callbacks_;
};

}  // namespace cohort::cluster
