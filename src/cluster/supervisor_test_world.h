// What tests of the Supervisor's places share: a primary that carries out at once what it has to
// do.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <variant>

#include "cluster/supervisor.h"

namespace cohort::cluster {

// Places whose workers, 1 and so on, serve. The primary carries out what it has to do: each call
// says what that was.
class Places {
 public:
  explicit Places(unsigned count) {
    feed(event::Keep{count});
    for (int worker = 1; worker <= last_; ++worker) serves(worker);
    now_ += kLeavesAfter;
  }
  void serves(int worker) {
    feed(event::Opened{worker});
    feed(event::Ready{worker});
  }
  std::string keep(unsigned count) { return feed(event::Keep{count}); }
  std::string closes(int worker, bool uses_others = false) {
    return feed(event::Closed{worker, uses_others});
  }
  std::string opens(int worker) { return feed(event::Opened{worker}); }
  std::string ends(int worker) { return feed(event::Ends{worker}); }
  std::string greets(int worker) { return feed(event::Greeted{worker}); }
  std::string follows(int worker) { return feed(event::Followed{worker}); }
  /// By the user, without a place.
  std::string forked(int worker) { return feed(event::Forked{worker, std::nullopt}); }
  /// From now on those that are forked.
  void say_when_they_are_ready() { say_ready_ = true; }
  std::string is_idle(int worker) { return feed(event::Idle{worker}); }
  std::string exits(int worker) { return feed(event::Exited{worker}); }
  std::string exits_for_good(int worker) { return feed(event::Exited{worker, false, true}); }
  std::string pass(Duration time) {
    now_ += time;
    return feed(event::TimePassed{});
  }
  std::optional<Duration> until_wakeup() const {
    const auto at = next_wakeup(state_);
    return at ? std::optional{*at - now_} : std::nullopt;
  }
  bool left(int worker) const { return has_left(state_, worker); }
  std::string replace(int worker) { return feed(event::Replace{worker}); }
  std::string is_ready(int worker) { return feed(event::Ready{worker}); }
  std::string is_dry(int worker) { return feed(event::Dry{worker}); }
  std::string scale(unsigned count) { return feed(event::Scale{count}); }
  std::string reload(int generation, const RolloutPlan& plan = {}) {
    return feed(event::Reload{{generation, plan}});
  }
  std::string rollback() { return feed(event::Rollback{}); }
  std::string is_unfit(int worker) { return feed(event::Unfit{worker}); }
  std::string terminate() { return feed(event::Terminate{}); }
  const Supervisor& state() const { return state_; }

 private:
  static const char* name(RolloutEnd end) {
    static constexpr const char* kNames[] = {"reached",    "died",    "not ready", "unfit",
                                             "superseded", "stopped", "taken back"};
    return kNames[static_cast<int>(end)];
  }
  std::string feed(const SupervisorEvent& event) {
    std::string done;
    for (const auto& action : step(state_, event, now_)) {
      if (!done.empty()) done += ", ";
      if (const auto* fork = std::get_if<action::Fork>(&action)) {
        done += "fork " + std::to_string(++last_);
        if (fork->beside) done += " beside " + std::to_string(*fork->beside);
        if (fork->generation != state_.generation)
          done += " as " + std::to_string(fork->generation);
        feed(event::Forked{last_, fork->place, fork->generation, say_ready_});
      } else if (const auto* release = std::get_if<action::Release>(&action)) {
        done += "release what " + std::to_string(release->worker) + " closed";
      } else if (const auto* retire = std::get_if<action::Retire>(&action)) {
        done += "retire " + std::to_string(retire->worker);
      } else if (const auto* hold = std::get_if<action::Hold>(&action)) {
        done += "hold " + std::to_string(hold->worker);
      } else if (const auto* rest = std::get_if<action::Rest>(&action)) {
        done += "rest " + std::to_string(rest->worker);
      } else if (const auto* resume = std::get_if<action::Resume>(&action)) {
        done += "resume " + std::to_string(resume->worker);
      } else if (const auto* over = std::get_if<action::RolloutOver>(&action)) {
        done += std::to_string(over->verdict.generation) + ' ' + name(over->verdict.end);
        if (over->verdict.worker) done += " by " + std::to_string(*over->verdict.worker);
      } else if (const auto* lead = std::get_if<action::Lead>(&action)) {
        done += std::to_string(lead->worker) + " leads";
      } else if (const auto* follow = std::get_if<action::Follow>(&action)) {
        done += std::to_string(follow->worker) + " is to lead no more";
      } else if (const auto* look = std::get_if<action::LookWhetherDry>(&action)) {
        done += "look whether " + std::to_string(look->worker) + " is dry";
      } else if (const auto* end = std::get_if<action::End>(&action)) {
        done += "end " + std::to_string(end->worker);
      } else if (const auto* kill = std::get_if<action::Kill>(&action)) {
        done += "kill " + std::to_string(kill->worker);
      } else if (const auto* close = std::get_if<action::Close>(&action)) {
        done += "closed by " + std::to_string(close->worker);
      } else if (std::holds_alternative<action::AllClosed>(action)) {
        done += "all closed";
      } else if (const auto* finish = std::get_if<action::Finish>(&action);
                 finish != nullptr && finish->all_closed) {
        done += "finish, all closed";
      } else {
        done += "end all";
      }
    }
    return done;
  }

  Supervisor state_;
  TimePoint now_{std::chrono::seconds{1000}};
  int last_ = 0;
  bool say_ready_ = false;
};

/// Whose place it is.
inline std::optional<int> worker_of(const Places& places, std::size_t place = 0) {
  return places.state().places[place].worker;
}

}  // namespace cohort::cluster
