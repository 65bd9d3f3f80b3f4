// How one worker is told that the service ends: what may be done to it and when, whatever Ending
// says.
#pragma once

#include <algorithm>
#include <optional>

#include "cluster/ending.h"
#include "sim/climate.h"
#include "sim/virtual_process.h"

namespace cohort::cluster::sim {

class EndingReferee {
 public:
  void begins(TimePoint start, Duration grace) {
    start_ = start;
    grace_ = grace;
  }
  bool has_begun() const { return start_.has_value(); }
  bool may_be_killed(TimePoint now) const { return start_ && now >= *start_ + grace_; }

  /// `served`: it was given a socket, or connections. `speaks`: what it is was heard from it.
  void check(EndingAct act, const VirtualProcess& worker, bool served, bool speaks, TimePoint now) {
    const bool is_known = speaks && worker.kind() == VirtualProcess::Kind::NodeWithPreload;
    const bool has_known_handler = is_known && worker.has_handler();
    switch (act) {
      case EndingAct::Drain:
        require(!drained_, "a worker is drained once");
        drained_ = true;
        break;
      case EndingAct::Disconnect:
        require(!told_, "a worker is told once");
        told_ = true;
        require(!is_known || drained_, "a worker is drained before it is told");
        if (!served || !is_known) break;
        if (has_known_handler)
          require(signalled_ && now >= after(3), "who has a handler needs its servers until then");
        else
          require(worker.connections() == 0 || now >= after(2), "what is under way is finished");
        break;
      case EndingAct::Signal:
        require(!signalled_, "a worker gets the signal once");
        signalled_ = true;
        require(!is_known || drained_, "a worker is drained before it gets the signal");
        if (!served) break;
        if (is_known && worker.minds_disconnect() && !has_known_handler)
          require(now >= after(3), "who minds the end of its channel has time for it");
        if (worker.kind() == VirtualProcess::Kind::Cohort) {
          // It serves as long as its channel is open, and the signal would not help.
          require(!worker.channel_open() || now >= after(2) || !speaks,
                  "who ends by its channel is not hurried");
        } else {
          require(worker.connections() == 0 || now >= after(2),
                  "what a worker serves is finished before the signal");
        }
        break;
    }
  }
  /// Time goes on: what has to have been done by now.
  void overdue(const VirtualProcess& worker, bool served, bool speaks, bool settled, bool closed,
               TimePoint now) {
    const bool is_known = speaks && worker.kind() == VirtualProcess::Kind::NodeWithPreload;
    if (is_known && worker.has_handler() && worker.connections() == 0 && settled)
      require(signalled_, "who has a handler gets the signal when nothing is left to serve");
    const bool idle = speaks && closed && worker.connections() == 0;
    if (!idle) idle_since_.reset();
    if (idle && !idle_since_) idle_since_ = now;
    const auto ends_by_itself = std::min<Duration>(kEndsByItself, grace_ / 4);
    if (idle && now - *idle_since_ >= ends_by_itself && !(is_known && worker.minds_disconnect()))
      require(signalled_, "who serves nobody and does not end gets the signal");
    if (!served) require(signalled_, "who serves nothing gets the signal at once");
    if (speaks && worker.kind() == VirtualProcess::Kind::Cohort && settled)
      require(told_ || !worker.channel_open(), "a worker of cohort is told at once");
  }

 private:
  TimePoint after(int quarters) const { return *start_ + grace_ * quarters / 4; }

  std::optional<TimePoint> start_;
  Duration grace_{};
  std::optional<TimePoint> idle_since_;
  bool drained_ = false, told_ = false, signalled_ = false;
};

}  // namespace cohort::cluster::sim
