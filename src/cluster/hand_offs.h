// What one worker was handed over its channel and has not answered: connections, and the question
// whether its loop turns.
//
// Owned by the ForkedWorker; loop's executor only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/callback_scope.h"
#include "base/loop.h"
#include "cluster/listeners.h"
#include "ipc/peer.h"

namespace cohort::cluster {

class HandOffs {
 public:
  struct User {
    /// Of this process's cluster messages.
    std::function<std::int64_t()> next_seq;
    /// As Listeners::answer.
    std::function<void(const std::string& key, std::span<const ConnectionId>, std::size_t accepted)>
        answered;
    /// The loop of the worker turned: it answered a probe.
    std::function<void()> turned;
  };

  HandOffs(const Loop& loop, ipc::Peer& peer, User user)
      : loop_{loop}, peer_{peer}, user_{std::move(user)} {}

  /// As HandoffPeer.
  unsigned credits() const;
  void hand_off(const std::string& key, std::span<const HandoffPeer::Offer> connections);
  bool hand_own(const std::string& key, int fd);
  /// False: there are no descriptors for it.
  bool probe();
  /// As Worker::ping. False: as `probe`.
  bool ping(std::function<void()> turned);
  /// The same of one that gives signs by itself, without being asked. False: it never did.
  bool await_sign(std::function<void()> given);
  void gave_sign();

  /// The worker's answer. Nothing if it answers what it was not asked.
  void answer(std::int64_t seq, std::size_t accepted);
  bool all_answered() const { return unanswered_.empty(); }
  /// Nobody answers any more.
  void forget() {
    unanswered_.clear();
    pings_.clear();
  }

 private:
  struct HandOff {
    std::int64_t seq;
    std::string key;
    std::vector<ConnectionId> connections;
  };

  void send(const HandOff& hand_off, std::vector<int> fds);

  const Loop loop_;
  ipc::Peer& peer_;
  const User user_;
  std::deque<HandOff> unanswered_;            // oldest first
  std::vector<std::function<void()>> pings_;  // that the next answer to a probe, or sign, is for
  bool gives_signs_ = false;
  bool one_at_a_time_ = false;  // it had no descriptors for several connections
  CallbackScope callbacks_;
};

}  // namespace cohort::cluster
