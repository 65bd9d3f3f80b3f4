// A port with slots, a listening socket for each worker: what SlotBook decides, carried out.
//
// The kernel is steered around who takes nothing (SlotSteering). What waits there all the same is
// rescued: when a look at the queues (QueueWatch) finds some, workers that have none waiting are
// asked for a sign of life, and who gives one is handed a connection that the primary accepts from
// that queue. Or the kernel moves it. What still comes to the queue that a retired worker left is
// handed to its slot's worker, where a client keeps its slot.
//
// Owned by the Listeners; loop's executor only.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "cluster/left_queues.h"
#include "cluster/port.h"
#include "cluster/queue_watch.h"
#include "cluster/slot_book.h"
#include "cluster/slot_steering.h"

namespace cohort::cluster {

class SlotPort final : public Port {
 public:
  struct Choice {
    Policy policy;
    std::optional<std::chrono::milliseconds> rescue_after;  ///< As `Cluster::set_policy`.
  };
  /// How connections come to the slots: told once, when it is known.
  using Decided = std::function<void(const std::string& why)>;

  SlotPort(const Loop& loop, Asked asked, SlotSteering steering, Choice choice, Decided decided);

  int socket_of(int worker) const override;
  Policy policy() const override { return steering_.policy(); }
  void complete(Value& reply, int worker) const override;
  void welcome(HandoffPeer& worker) override;
  void close(int worker, bool for_good) override;
  void hold(int worker) override;
  void resume(HandoffPeer& worker) override;
  void retire(int worker, bool for_good) override;
  void lose(int worker) override;
  void expect_no_successor(int worker) override;
  void answer(int worker, std::span<const ConnectionId> connections, std::size_t accepted) override;
  void take_back(OwnFd connection) override;
  void turns(int worker) override;
  void publishes(int worker, const std::shared_ptr<const net::Load>& load) override;
  void set_weights(const SlotBook::Weights& weights) override;
  bool any_waiting(int worker) const override;

 private:
  Result<void> enter(HandoffPeer& worker, bool only_accepts, bool held) override;
  std::vector<int> sockets() const override;
  bool any_arrived() const override;
  Result<OwnFd> connect_to_queue_of(int worker) override;

  std::size_t queue_of(int user) const;
  void vacate(int worker, bool successor_expected);
  void workers_changed();
  void wake();
  void look();
  std::vector<SlotBook::Length> lengths();
  void migrate(std::vector<std::size_t>& queues);
  void look_for_targets(const SlotBook::Findings& findings);
  void rescue();
  OwnFd next_waiting();
  void watch_left_queues();
  void inherit(std::size_t queue);
  void heirs_take();
  bool heirs_are_dead() const;

  SlotBook book_;
  SlotSteering steering_;
  std::unique_ptr<QueueWatch> queue_watch_;  // none: nothing is ever moved
  std::vector<std::size_t> stuck_;           // queues whose connections are to be moved...
  std::set<int> targets_;                    // ... to these, once they show that they turn
  std::size_t next_target_ = 0;
  LeftQueues left_queues_;
  std::set<int> heirs_;  // of connections that are held for them
  boost::asio::steady_timer deciding_;
};

}  // namespace cohort::cluster
