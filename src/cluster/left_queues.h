// Tells when a connection arrives in a queue that nobody takes from any more: its handshake had
// begun before its worker was retired, and those may take long.
//
// Owned by a SlotPort, as is the group; loop's executor only. Costs nothing until one arrives.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <set>

#include "base/loop.h"
#include "net/slot_group.h"

namespace cohort::cluster {

class LeftQueues {
 public:
  using Arrived = std::function<void(std::size_t queue)>;

  LeftQueues(const Loop& loop, const net::SlotGroup& group, Arrived arrived)
      : loop_{loop}, group_{group}, arrived_{std::move(arrived)} {}

  /// Watches these from now on, and no others.
  void watch(const std::set<std::size_t>& queues);

 private:
  void wait(std::size_t queue);

  const Loop& loop_;
  const net::SlotGroup& group_;
  const Arrived arrived_;
  std::map<std::size_t, std::unique_ptr<Watch>> watches_;
};

}  // namespace cohort::cluster
