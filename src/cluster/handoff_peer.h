// A worker as the primary's ports see it.
//
// ForkedWorker is one; a port refers to it from its first query until `Listeners::lose`, or until
// it let go of the port. Loop's executor only.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "cluster/dispatcher.h"
#include "cluster/wire.h"

namespace cohort::cluster {

class HandoffPeer {
 public:
  virtual int id() const = 0;
  /// Of those that live, no other has it.
  virtual std::size_t slot() const = 0;
  /// How many connections it may hold unanswered.
  virtual unsigned credits() const = 0;
  /// Answers a query; `fd` goes with the reply if it is not -1 (the caller keeps it).
  virtual void reply(const QueryServer& query, Value reply, int fd) = 0;
  struct Offer {
    ConnectionId connection;
    int fd;
  };
  /// Offers connections, no more than it has credits. `Listeners::answer` follows once for all of
  /// them, or the worker's end. The caller keeps their descriptors.
  virtual void hand_off(const std::string& key, std::span<const Offer> connections) = 0;
  /// A connection of this process's own, which nobody waits to hear of. False: it has not taken
  /// the one before.
  virtual bool hand_own(const std::string& key, int fd) = 0;
  /// Asks for a sign of life: `Listeners::turns` follows, when its loop turns.
  virtual void probe() = 0;

 protected:
  ~HandoffPeer() = default;
};

}  // namespace cohort::cluster
