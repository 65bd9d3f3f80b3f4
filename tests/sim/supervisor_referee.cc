#include "sim/supervisor_referee.h"

#include <algorithm>

namespace cohort::cluster::sim {

using namespace std::chrono_literals;

namespace {

template <class Action>
bool contains(const SupervisorReferee::Actions& actions) {
  return std::any_of(actions.begin(), actions.end(),
                     [](const auto& action) { return std::holds_alternative<Action>(action); });
}

template <class Event>
bool is(const SupervisorEvent& event) {
  return std::holds_alternative<Event>(event);
}

}  // namespace

bool SupervisorReferee::any_placed() const {
  return std::any_of(live_.begin(), live_.end(),
                     [](const auto& live) { return live.second.place.has_value(); });
}

void SupervisorReferee::check(const Supervisor& after, const SupervisorEvent& event,
                              const Actions& actions, TimePoint now) {
  if (finished_) {
    require(actions.empty(), "nothing is done after Finish");
    require(after.phase == Supervisor::Phase::Over, "Over is terminal");
    require(!next_wakeup(after), "nothing wakes up a cluster that is over");
    return;
  }
  if (is<event::Terminate>(event) && ++terminates_ == 1) drain_ends_ = now + after.drain_timeout;
  happened(event, now);
  for (const auto& action : actions) allowed(action, event, now);
  required(event, actions, now);
  same(after);
  wakes_up(after, event, now);
}

void SupervisorReferee::happened(const SupervisorEvent& event, TimePoint now) {
  if (const auto* keep = std::get_if<event::Keep>(&event); keep != nullptr && running()) {
    places_.resize(keep->count, Place{{}, false, 0, now});
    for (auto& [id, live] : live_)
      if (live.place && *live.place >= keep->count) live.place.reset();
  } else if (const auto* forked = std::get_if<event::Forked>(&event)) {
    if (killing_) return;
    const bool wanted = forked->place && *forked->place < places_.size();
    live_[forked->worker] = {wanted ? forked->place : std::nullopt, now};
    if (wanted) {
      places_[*forked->place].worker = forked->worker;
      places_[*forked->place].fork_asked = false;
    }
  } else if (const auto* ready = std::get_if<event::Ready>(&event)) {
    const auto live = live_.find(ready->worker);
    if (live != live_.end() && live->second.place) ready_ = true;
  } else if (const auto* gone = std::get_if<event::Exited>(&event)) {
    exited(gone->worker, now);
  }
  if (!is<event::Forked>(event) && !is<event::Ready>(event) && running()) notice_health(now);
}

void SupervisorReferee::notice_health(TimePoint now) {
  for (const auto& [id, live] : live_) {
    if (!live.place || now - live.since < 10s || ready_) continue;
    ready_ = true;
    saved_by_health_ = hopeless() || deaths_ >= kTriesMax;
  }
}

void SupervisorReferee::exited(int worker, TimePoint now) {
  const auto found = live_.find(worker);
  if (found == live_.end()) return;
  const Live live = found->second;
  live_.erase(found);
  if (!live.place) return;
  Place& place = places_[*live.place];
  const bool healthy = now - live.since >= 10s;
  ready_ = ready_ || healthy;
  if (!ready_) ++deaths_;
  place.worker.reset();
  place.deaths = healthy ? 1 : place.deaths + 1;
  auto delay = 100ms;
  for (int i = 1; i < place.deaths && delay < 10s; ++i) delay *= 2;
  place.not_before = now + std::min<std::chrono::milliseconds>(delay, 10s);
}

void SupervisorReferee::allowed(const SupervisorAction& action, const SupervisorEvent& event,
                                TimePoint now) {
  if (const auto* fork = std::get_if<action::Fork>(&action)) {
    require(running(), "no fork after the end began");
    require(!hopeless(), "no fork while nobody was ready after five tries");
    require(fork->place < places_.size(), "a fork is for a place");
    Place& place = places_[fork->place];
    require(!place.worker && !place.fork_asked, "a fork is for a vacant place");
    require(place.not_before <= now, "a fork waits for the back-off");
    place.fork_asked = true;
  } else if (std::holds_alternative<action::DisconnectAll>(action)) {
    require(!live_.empty(), "somebody is there to disconnect");
    require(terminates_ == 1 && (is<event::Terminate>(event) || is<event::Forked>(event)),
            "workers are asked to end as the drain begins, and as they come");
  } else if (std::holds_alternative<action::KillAll>(action)) {
    const bool late = is<event::TimePassed>(event) && terminates_ == 1 && now >= drain_ends_;
    const bool again = is<event::Terminate>(event) && terminates_ == 2;
    const bool straggler = is<event::Forked>(event) && killing_;
    require(late || again || straggler || gave_up_, "there is a reason to kill");
    require(straggler || !live_.empty(), "there is somebody to kill");
    killing_ = true;
  } else if (std::holds_alternative<action::GiveUp>(action)) {
    require(running(), "only a cluster that runs gives up, and once");
    require(hopeless() && !any_placed() && !places_.empty(), "giving up is justified");
    gave_up_ = true;
  } else {
    require(live_.empty(), "the end waits for every worker");
    require(!running(), "the end has a reason");
    require(!finished_, "there is one end");
    finished_ = true;
  }
}

void SupervisorReferee::required(const SupervisorEvent& event, const Actions& actions,
                                 TimePoint now) {
  if (!running()) require(finished_ == live_.empty(), "the end comes with the last worker's");
  if (is<event::Terminate>(event) && terminates_ == 1 && !gave_up_ && !live_.empty())
    require(contains<action::DisconnectAll>(actions), "the first Terminate disconnects");
  if (is<event::Terminate>(event) && terminates_ == 2 && !killing_)
    require(finished_, "the second Terminate kills");
  if (is<event::Forked>(event) && terminates_ == 1 && !killing_)
    require(contains<action::DisconnectAll>(actions), "who comes during the drain is disconnected");
  if (is<event::TimePassed>(event) && terminates_ == 1 && now >= drain_ends_)
    require(killing_ || finished_, "the drain has a deadline");
  if (is<event::Ready>(event) || is<event::Forked>(event) || !running()) return;
  require(!(hopeless() && !any_placed() && !places_.empty()),
          "five deaths and nobody left: give up");
  if (hopeless()) return;
  for (const Place& place : places_)
    require(place.worker || place.fork_asked || place.not_before > now, "what is due is forked");
}

void SupervisorReferee::same(const Supervisor& state) const {
  require(state.live.size() == live_.size(), "every process is counted once");
  for (const auto& [id, live] : state.live) {
    const auto mine = live_.find(id);
    require(mine != live_.end(), "only processes that live are counted");
    if (running()) require(live.place == mine->second.place, "a worker has its place");
  }
  if (!running()) return;
  require(state.phase == Supervisor::Phase::Running, "it runs until it is told to end");
  require(state.ever_ready == ready_, "readiness is noticed");
  require(state.places.size() == places_.size(), "there are as many places as were asked for");
  std::size_t placed = 0;
  for (const auto& [id, live] : state.live) placed += live.place ? 1 : 0;
  require(placed <= places_.size(), "never more workers with a place than places");
  for (std::size_t i = 0; i < places_.size(); ++i)
    require(state.places[i].worker == places_[i].worker, "a place has its worker");
}

void SupervisorReferee::wakes_up(const Supervisor& state, const SupervisorEvent& event,
                                 TimePoint now) const {
  const auto at = next_wakeup(state);
  if (is<event::TimePassed>(event)) require(!at || *at > now, "a wake-up makes something happen");
  if (!running()) {
    const bool drains = !killing_ && !finished_;
    require(at == (drains ? std::optional{drain_ends_} : std::nullopt),
            "it wakes up for its deadline");
    return;
  }
  std::optional<TimePoint> due;
  for (const Place& place : places_)
    if (!place.worker && !place.fork_asked && (!due || place.not_before < *due))
      due = place.not_before;
  if (!hopeless())
    require(at == due, "it wakes up for the next fork, and for nothing else");
  else if (any_placed())
    require(at.has_value(), "it wakes up when somebody has proved healthy");
}

}  // namespace cohort::cluster::sim
