// Several listening sockets on one TCP address, one for each worker: a slot's worker accepts from a
// queue of its own, and who dies leaves his queue to a successor.
//
// Owned by the primary, which keeps every socket open. The kernel gives each connection to the slot
// that the steering program names (by a hash of the addresses without one). Slots are only added:
// one that has no worker is steered around.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "cohort/error.h"
#include "cohort/fd.h"
#include "net/listener.h"
#include "net/queue_steering.h"
#include "net/steering.h"

namespace cohort::net {

class SlotGroup {
 public:
  /// Slot 0, listening. It binds without SO_REUSEPORT, so that a busy port is an error, whoever has
  /// it; errors as `bind_socket` and `listen_on`.
  static Result<SlotGroup> open(const ListenRequest& request);

  /// One more slot, number `size()`, listening on the same address: connections may arrive at once.
  Result<void> add();
  std::size_t size() const { return sockets_.size(); }
  int fd(std::size_t slot) const { return sockets_[slot].get(); }

  /// From now on the program chooses. Takes some 10 us; connections that wait stay where they are.
  Result<void> steer(const SteeringProgram& program);
  /// From now on new connections go to the shortest queue among the eligible slots. Errors as
  /// `QueueSteering::load`, at the first call.
  Result<void> steer_by_queues(const std::vector<bool>& eligible);
  /// Connections that wait to be accepted.
  unsigned waiting(std::size_t slot) const;

 private:
  explicit SlotGroup(int backlog) : backlog_{backlog} {}

  int backlog_;
  std::optional<QueueSteering> by_queues_;
  std::vector<OwnFd> sockets_;  // a slot's number is its place in the kernel's group
};

}  // namespace cohort::net
