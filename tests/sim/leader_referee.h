// Who may lead, kept count of independently of the supervisor.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "cluster/supervisor.h"
#include "sim/climate.h"

namespace cohort::cluster::sim {

class LeaderReferee {
 public:
  /// After each step. Throws Violation.
  void check(const Supervisor& after, const SupervisorEvent& event,
             const std::vector<SupervisorAction>& actions, TimePoint now) {
    // What it has left may lead on.
    const auto* exited = std::get_if<event::Exited>(&event);
    const auto* vanished = std::get_if<event::Vanished>(&event);
    if (exited && exited->worker == told_ && exited->leaves_some) asked_ = true;
    if (exited && exited->worker == told_ && !exited->leaves_some) told_.reset();
    if (vanished && vanished->worker == told_) told_.reset();
    if (const auto* followed = std::get_if<event::Followed>(&event);
        followed && followed->worker == told_ && asked_)
      told_.reset();
    for (const auto& action : actions) {
      if (const auto* lead = std::get_if<action::Lead>(&action)) {
        require(!told_, "nobody is told to lead while another may lead");
        require(serves(after, lead->worker), "who is told to lead has a place, and knows the word");
        told_ = lead->worker;
        asked_ = false;
      } else if (const auto* follow = std::get_if<action::Follow>(&action)) {
        require(follow->worker == told_ && !asked_, "who leads is asked once to lead no more");
        asked_ = true;
      }
    }
    if (after.phase != Supervisor::Phase::Running) return;
    if (told_ && !asked_) require(serves(after, *told_), "who leads has a place, or is asked");
    for (const auto& [id, live] : after.live)
      if (has_begun(live, now) && serves(after, id))
        require(told_.has_value(), "one of those who may leads");
  }

 private:
  static bool has_begun(const Supervisor::Live& live, TimePoint now) {
    return live.ready || (!live.says_ready && now - live.since >= std::chrono::seconds{10});
  }
  static bool serves(const Supervisor& state, int worker) {
    const auto found = state.live.find(worker);
    if (found == state.live.end()) return false;
    const auto& live = found->second;
    const bool placed = live.place || (state.places.empty() && !live.left);
    return placed && state.leadership.greeted.contains(worker) && !live.ends && !live.idle &&
           !live.told && !live.retired;
  }

  std::optional<int> told_;
  bool asked_ = false;
};

}  // namespace cohort::cluster::sim
