// Tells when a connection arrives in a queue that nobody takes from any more: its handshake had
// begun before its worker was retired, and those may take long.
//
// Owned by a SlotPort, as is the group; loop's executor only. Costs nothing until one arrives.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <set>

#include "base/callback_scope.h"
#include "base/loop.h"
#include "net/slot_group.h"

namespace cohort::cluster {

class LeftQueues {
 public:
  /// Is to accept all that waits in the queue.
  using Arrived = std::function<void(std::size_t queue)>;

  LeftQueues(const Loop& loop, const net::SlotGroup& group, Arrived arrived)
      : loop_{loop}, group_{group}, arrived_{std::move(arrived)}, retry_{loop.executor()} {}

  /// Watches these from now on, and no others.
  void watch(const std::set<std::size_t>& queues);

 private:
  void wait(std::size_t queue);
  void wait_later();

  const Loop& loop_;
  const net::SlotGroup& group_;
  const Arrived arrived_;
  std::map<std::size_t, std::unique_ptr<Watch>> watches_;
  boost::asio::steady_timer retry_;
  CallbackScope callbacks_;
};

}  // namespace cohort::cluster
