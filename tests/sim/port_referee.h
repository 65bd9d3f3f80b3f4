// Who uses one listener's port, kept count of independently of PortUsers: when it may be closed,
// and when it must be.
#pragma once

#include <set>

#include "sim/climate.h"

namespace cohort::cluster::sim {

class PortReferee {
 public:
  void joined(int worker) {
    users_.insert(worker);
    expected_after_.erase(worker);
    unwanted_ = false;
  }
  /// It closed its server, or ends. `for_good`: nobody comes in its stead.
  void left(int worker, bool for_good) {
    if (users_.erase(worker) == 0) return;
    held_.erase(worker);
    if (!for_good)
      expected_after_.insert(worker);
    else if (users_.empty())
      unwanted_ = true;
  }
  /// It gets nothing for now.
  void held(int worker, bool is_held) {
    if (is_held)
      held_.insert(worker);
    else
      held_.erase(worker);
  }
  /// It ends, and goes on to accept.
  void still_accepts(int worker) { accepts_.insert(worker); }
  void accepts_no_more(int worker) { accepts_.erase(worker); }
  void nobody_comes_after(int worker) {
    if (expected_after_.erase(worker) > 0 && expected_after_.empty() && users_.empty())
      unwanted_ = true;
  }

  bool is_user(int worker) const { return users_.contains(worker); }
  bool has_users() const { return !users_.empty(); }
  bool serves(int worker) const { return is_user(worker) && !held_.contains(worker); }
  bool anybody_serves() const { return held_.size() < users_.size(); }
  bool uses(int worker) const { return users_.contains(worker) || accepts_.contains(worker); }
  /// After everything that happened to the port.
  void check(bool is_open, bool any_unanswered) const {
    const bool is_used = !users_.empty() || !accepts_.empty() || any_unanswered;
    require(is_open || !is_used, "a port is open while anybody has anything of it");
    require(is_open || unwanted_, "a port stays open while somebody may come for it");
    require(!is_open || is_used || !unwanted_, "a port that nobody wants any more is closed");
  }

 private:
  std::set<int> users_, held_, accepts_, expected_after_;
  bool unwanted_ = false;
};

}  // namespace cohort::cluster::sim
