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
      for (auto* place : {&live.place, &live.left})
        if (*place && **place >= keep->count) place->reset();
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
    if (live == live_.end()) return;
    live->second.ready = true;
    if (live->second.place) ready_ = true;
  } else if (const auto* gone = std::get_if<event::Exited>(&event)) {
    if (gone->leaves_some && live_.contains(gone->worker)) left_.insert(gone->worker);
    exited(gone->worker, now);
  } else if (const auto* vanished = std::get_if<event::Vanished>(&event)) {
    left_.erase(vanished->worker);
  }
  ports_changed(event, now);
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
  if (live.place) vacated(*live.place, live, now);
}

// Who serves what, and whether it is known what a worker closed its servers for.
void SupervisorReferee::ports_changed(const SupervisorEvent& event, TimePoint now) {
  released_.clear();
  if (is<event::TimePassed>(event))
    for (auto& [id, live] : live_) consider(id, live, now);
  const auto find = [this](int worker) {
    const auto found = live_.find(worker);
    return found == live_.end() ? nullptr : &found->second;
  };
  if (const auto* opened = std::get_if<event::Opened>(&event)) {
    if (Live* const live = find(opened->worker)) {
      live->accepts = true;
      comes_back_ = comes_back_ || (live->left && !live->ends);
    }
  } else if (const auto* closed = std::get_if<event::Closed>(&event)) {
    Live* const live = find(closed->worker);
    if (live != nullptr && live->accepts) {
      live->accepts = closed->accepts;
      if (running()) live->closed = now;
      consider(closed->worker, *live, now);
    }
  } else if (const auto* ends = std::get_if<event::Ends>(&event)) {
    if (Live* const live = find(ends->worker)) {
      live->ends = true;
      consider(ends->worker, *live, now);
    }
  }
}

void SupervisorReferee::consider(int worker, Live& live, TimePoint now) {
  if (!running()) return;
  const bool known = live.closed && now - *live.closed >= 1s;
  const bool leaves = live.ends || (known && !comes_back_);
  if (live.place && !live.accepts && leaves) {
    live.left = live.place;
    live.place.reset();
    live.closed.reset();
    vacated(*live.left, live, now);
  } else if (known) {
    if (!live.ends) released_.insert(worker);
    live.closed.reset();
  }
}

bool SupervisorReferee::is_crowded(std::size_t place) const {
  return std::count_if(live_.begin(), live_.end(), [place](const auto& entry) {
           return entry.second.left == place && !entry.second.accepts;
         }) >= 8;
}

void SupervisorReferee::vacated(std::size_t at, const Live& live, TimePoint now) {
  Place& place = places_[at];
  const bool healthy = now - live.since >= 10s;
  ready_ = ready_ || healthy;
  if (!ready_) ++deaths_;
  place.worker.reset();
  place.deaths = healthy || (live.left && live.ready) ? 1 : place.deaths + 1;
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
    require(!is_crowded(fork->place), "a fork waits while eight who left live");
    place.fork_asked = true;
  } else if (const auto* release = std::get_if<action::Release>(&action)) {
    require(released_.erase(release->worker) == 1, "a port is released once that is known");
  } else if (std::holds_alternative<action::DisconnectAll>(action)) {
    require(!live_.empty(), "somebody is there to disconnect");
    require(terminates_ == 1 && (is<event::Terminate>(event) || is<event::Forked>(event)),
            "workers are asked to end as the drain begins, and as they come");
  } else if (std::holds_alternative<action::KillAll>(action)) {
    const bool late = is<event::TimePassed>(event) && terminates_ == 1 && now >= drain_ends_;
    const bool again = is<event::Terminate>(event) && terminates_ == 2;
    const bool straggler = (is<event::Forked>(event) || is<event::Exited>(event)) && killing_;
    require(late || again || straggler || gave_up_, "there is a reason to kill");
    require(straggler || anybody(), "there is somebody to kill");
    killing_ = true;
  } else if (std::holds_alternative<action::GiveUp>(action)) {
    require(running(), "only a cluster that runs gives up, and once");
    require(hopeless() && !any_placed() && !places_.empty(), "giving up is justified");
    gave_up_ = true;
  } else {
    require(!anybody(), "the end waits for every worker, and for what they left");
    require(!running(), "the end has a reason");
    require(!finished_, "there is one end");
    finished_ = true;
  }
}

void SupervisorReferee::required(const SupervisorEvent& event, const Actions& actions,
                                 TimePoint now) {
  if (!running()) require(finished_ == !anybody(), "the end comes with the last one's");
  if (is<event::Terminate>(event) && terminates_ == 1 && !gave_up_ && !live_.empty())
    require(contains<action::DisconnectAll>(actions), "the first Terminate disconnects");
  if (is<event::Terminate>(event) && terminates_ == 2 && !killing_)
    require(finished_, "the second Terminate kills");
  if (is<event::Forked>(event) && terminates_ == 1 && !killing_)
    require(contains<action::DisconnectAll>(actions), "who comes during the drain is disconnected");
  if (is<event::TimePassed>(event) && terminates_ == 1 && now >= drain_ends_)
    require(killing_ || finished_, "the drain has a deadline");
  require(released_.empty(), "what was closed for good is released");
  if (is<event::Ready>(event) || is<event::Forked>(event) || !running()) return;
  require(!(hopeless() && !any_placed() && !places_.empty()),
          "five deaths and nobody left: give up");
  if (hopeless()) return;
  for (std::size_t i = 0; i < places_.size(); ++i)
    require(
        places_[i].worker || places_[i].fork_asked || places_[i].not_before > now || is_crowded(i),
        "what is due is forked");
  for (const auto& [id, live] : live_)
    require(!(live.place && live.ends && !live.accepts), "who ends and serves nothing has left");
}

void SupervisorReferee::same(const Supervisor& state) const {
  require(state.live.size() == live_.size(), "every process is counted once");
  require(state.left == left_, "what workers left is known by them");
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
  for (std::size_t i = 0; i < places_.size(); ++i)
    if (!places_[i].worker && !places_[i].fork_asked && !is_crowded(i) &&
        (!due || places_[i].not_before < *due))
      due = places_[i].not_before;
  for (const auto& [id, live] : live_)
    if (live.closed && (!due || *live.closed + 1s < *due)) due = *live.closed + 1s;
  if (!hopeless())
    require(at == due, "it wakes up for the next fork or to learn why a port was closed");
  else if (any_placed())
    require(at.has_value(), "it wakes up when somebody has proved healthy");
}

}  // namespace cohort::cluster::sim
