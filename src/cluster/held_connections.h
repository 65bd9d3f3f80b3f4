// The connections that the primary holds for a port: accepted by it, or given back by a worker,
// each waits for a worker, or was offered to one that has not answered. Our copies of their
// descriptors are kept until a worker took them.
//
// Owned by a Port; loop's executor only. What goes to whom, and what is kept, the HeldBook says:
// pure.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>

#include "cluster/held_book.h"
#include "cluster/port_users.h"
#include "cohort/fd.h"

namespace cohort::cluster {

/// A connection that is moved from worker to worker is handed off alone: who turns out to be
/// blocked has but one.
constexpr unsigned kMovedCredits = 1;

class HeldConnections {
 public:
  using TimePoint = Dispatcher::TimePoint;

  explicit HeldConnections(HeldBook& book) : book_{book} {}

  /// A connection waits from now on, as Dispatcher::offer.
  void hold(OwnFd connection, int wanted = 0);
  /// Offers to the workers what may be offered to them now; `key` is the port's. Who is in the
  /// dispatcher is a user.
  void hand_off(const std::string& key, const PortUsers& users);
  /// The worker took the first `accepted` of these, and refused the others: they wait again. False:
  /// it refused none.
  bool answer(int worker, std::span<const ConnectionId> connections, std::size_t accepted);
  /// The worker is dead. What it had not answered and nobody has touched waits again, if `again`;
  /// all else is closed.
  void lose(int worker, bool again);

  /// As Dispatcher's, now.
  void join(int worker, unsigned credits) { dispatcher().join(worker, credits); }
  void leave(int worker) { dispatcher().leave(worker); }
  void has_room(int worker) { dispatcher().has_room(worker); }
  bool is_full(int worker) const { return dispatcher().is_full(worker, now()); }
  std::size_t room() const { return dispatcher().room(now()); }
  std::optional<TimePoint> retry_at() const { return dispatcher().retry_at(now()); }
  std::size_t waiting() const { return dispatcher().waiting(); }
  /// With those that were offered to a worker, and not answered.
  std::size_t size() const { return connections_.size(); }
  bool any_unanswered() const { return dispatcher().any_unanswered(); }

 private:
  static TimePoint now() { return TimePoint::clock::now(); }

  Dispatcher& dispatcher() { return book_.dispatcher(); }
  const Dispatcher& dispatcher() const { return book_.dispatcher(); }

  HeldBook& book_;  // the port's
  std::unordered_map<ConnectionId, OwnFd> connections_;
};

}  // namespace cohort::cluster
