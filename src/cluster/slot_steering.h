// How the kernel chooses among the queues of one address, a listening socket for each worker: what
// SlotBook decides, as programs that the kernel runs for each connection. A socket is opened when a
// worker needs one, and stays.
//
// Owned by a SlotPort; loop's executor only. What it needs of the kernel costs some 10 us, but for
// `choose_how`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/slot_book.h"
#include "cohort/cluster.h"
#include "net/load.h"
#include "net/slot_group.h"

namespace cohort::cluster {

class SlotSteering {
 public:
  /// Of a group with one socket. `datagrams`: a flow is a client of its own; under Policy::Sticky.
  /// Fails where the kernel attaches no program: NoDescriptor.
  static Result<SlotSteering> open(net::SlotGroup group, Policy policy, bool datagrams);
  Policy policy() const { return policy_; }

  const net::SlotGroup& group() const { return group_; }
  /// At least so many queues. What `group_.add()` fails with.
  Result<void> grow(std::size_t queues);
  /// From now on new connections go to the queues that get some, by their shares, or by the
  /// client's slot.
  void follow(const SlotBook& book);
  /// Under Policy::Adaptive: the shortest queue from now on, if the kernel lets us read them, which
  /// takes some 30 ms to find out. How connections come to the slots, and why so.
  std::string choose_how();

  /// The queue's worker says what it takes, and has open; null: it does not.
  void publishes(std::size_t queue, std::shared_ptr<const net::Load> load);
  /// How many connections it ever took, if it says so.
  std::optional<std::uint64_t> taken(std::size_t queue) const;
  /// The kernel is told how many each has open.
  void tell_open(const SlotBook& book);

  /// As SlotGroup::connect.
  Result<OwnFd> connect(std::size_t queue) { return group_.connect(queue); }

  /// Queues that could not listen again after `migrate` try to.
  void reopen() { group_.reopen(); }
  /// Whether the kernel moves what waits in a queue.
  bool can_migrate() const { return by_queues_ && group_.can_migrate(); }
  /// As SlotGroup::migrate. False: the kernel does not allow it any more; `follow` again.
  bool migrate(std::size_t queue);

 private:
  SlotSteering(net::SlotGroup group, Policy policy, bool datagrams);
  bool by_client() const { return policy_ == Policy::Hash || policy_ == Policy::Sticky; }
  net::Shares shares(const SlotBook& book) const;
  Result<void> steer(const net::Shares& shares, const SlotBook& book);
  net::BucketSlots clients(const net::Shares& shares, const SlotBook& book);

  net::SlotGroup group_;
  Policy policy_;
  bool datagrams_;
  bool by_queues_ = false;                               // the kernel chooses the shortest queue
  net::BucketTable buckets_;                             // by slot
  net::Shares steered_to_;                               // as the attached program has them
  std::vector<std::shared_ptr<const net::Load>> loads_;  // by queue; null: its worker does not say
};

}  // namespace cohort::cluster
