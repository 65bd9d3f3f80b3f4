// Several listening sockets on one TCP address, one for each worker: it accepts from a queue of its
// own, and who dies leaves his queue to a successor. Each is a slot here; of those that workers
// have one may have two, see SlotBook. Or UDP sockets: what is said of connections holds for
// datagrams.
//
// Owned by the primary, which keeps every socket open. The kernel gives each connection to the slot
// that the steering program names (by a hash of the addresses without one). Slots are only added:
// one that has no worker is steered around.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
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
  /// Slot 0 of UDP sockets; errors as `bind_datagram`.
  static Result<SlotGroup> open_datagram(const Address& address, bool v6, bool ipv6_only);

  /// One more slot, number `size()`, listening on the same address: connections may arrive at once.
  Result<void> add();
  std::size_t size() const { return sockets_.size(); }
  int fd(std::size_t slot) const { return sockets_[slot].get(); }

  /// From now on the program chooses. Takes some 10 us; connections that wait stay where they are.
  Result<void> steer(const SteeringProgram& program);
  /// From now on new connections go as `QueueSteering::choose_among` says. Errors
  /// as `QueueSteering::load`, at the first call. Not again after `steer`: the kernel takes its
  /// time to let go of what was attached.
  Result<void> steer_by_queues(const Shares& shares);
  /// While the queues steer: as QueueSteering::set_open.
  void set_open(std::span<const std::uint32_t> of_slots) {
    if (by_queues_) by_queues_->set_open(of_slots);
  }
  /// What a program answers to name the slot: its socket's position in the kernel's group, which is
  /// the slot's number until `migrate`. kSlotsMax while it is in none.
  std::size_t position(std::size_t slot) const;
  bool can_migrate() const { return by_queues_ && backlog_ && size() > 1; }
  /// Moves what waits in the slot's queue to the queues of slots that have a share, with the bytes
  /// that were received. Some 25 us, in which whoever accepts from that slot may get EINVAL. Only
  /// if `can_migrate`. On an error the queues may steer no more: `steer`. A slot that could not
  /// listen again is in no position until `reopen`.
  Result<void> migrate(std::size_t slot);
  /// Slots that could not listen again try to.
  void reopen();
  /// A connection to the slot, whatever the program says of others: the client's end, which does
  /// not block. EAGAIN: its queue is full. Only once a program steers.
  Result<OwnFd> connect(std::size_t slot);
  /// Connections that wait to be accepted; whether datagrams wait.
  unsigned waiting(std::size_t slot) const;

 private:
  explicit SlotGroup(std::optional<int> backlog) : backlog_{backlog} {}
  Result<void> append(Result<OwnFd> bound);
  Result<void> attach(const SteeringProgram& program);
  Result<void> lead(std::uint16_t source_port, std::size_t slot);
  Result<void> listen_again(std::size_t slot);
  std::vector<std::size_t> positions() const;

  std::optional<int> backlog_;  // none: datagrams
  SteeringProgram program_;     // classic BPF; of no use while the queues steer
  std::optional<QueueSteering> by_queues_;
  Shares shares_;  // as `by_queues_` has them
  std::vector<OwnFd> sockets_;
  std::vector<std::size_t> order_;   // of the slots in the kernel's group
  std::vector<std::size_t> closed_;  // slots that do not listen
};

}  // namespace cohort::net
