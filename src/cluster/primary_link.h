// What a worker says to the primary of its cluster.
//
// Owned by the OwnWorker; loop's executor only.
#pragma once

#include <cstdint>
#include <tuple>
#include <utility>

#include "cohort/value.h"
#include "ipc/peer.h"

namespace cohort::cluster {

class PrimaryLink {
 public:
  /// `is_worker`: the peer is a primary; else the parent of a child, or nobody.
  PrimaryLink(ipc::Peer& peer, bool is_worker, bool of_cohort)
      : peer_{peer}, is_worker_{is_worker}, of_cohort_{of_cohort} {}

  /// There is a primary that listens.
  bool is_there() const { return is_worker_ && peer_.has_channel(); }
  /// The primary, or the parent, is of cohort.
  bool of_cohort() const { return of_cohort_; }

  /// A message of the cluster's. Its number, by which the answer refers to it. An error means that
  /// the primary is gone: the end of the channel tells.
  std::int64_t send(Value message, ipc::Lane lane = ipc::Lane::Data) {
    message["seq"] = seq_;
    std::ignore = peer_.send_own(message, lane);
    return seq_++;
  }
  /// The same with a descriptor, which the caller keeps.
  void send_descriptor(Value message, int fd) {
    message["seq"] = seq_++;
    std::ignore = peer_.send_descriptors(ipc::wrap_handle("net.Native", std::move(message)), {fd},
                                         {}, ipc::Lane::Control);
  }
  /// Blocks until the primary has answered the message with this number, and that was handled.
  bool wait_for_answer(std::int64_t seq, ipc::Peer::Clock::time_point deadline) {
    return peer_.receive_until(
        [seq](const ipc::Incoming& incoming) {
          return incoming.kind == ipc::MessageKind::Cluster &&
                 incoming.value["ack"].int64_or(-1) == seq;
        },
        deadline);
  }

 private:
  ipc::Peer& peer_;
  const bool is_worker_;
  const bool of_cohort_;
  std::int64_t seq_ = 0;
};

}  // namespace cohort::cluster
