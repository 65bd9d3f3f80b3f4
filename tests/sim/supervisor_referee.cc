#include "sim/supervisor_referee.h"

#include <algorithm>
#include <utility>

#include "cluster/supervisor_leader.h"
#include "cluster/supervisor_rollout.h"

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
    require(actions.empty() || is<event::Reload>(event),
            "nothing is done after Finish, but to say so");
    require(after.phase == Supervisor::Phase::Over, "Over is terminal");
    require(!next_wakeup(after), "nothing wakes up a cluster that is over");
    return;
  }
  if (is<event::Terminate>(event) && !std::exchange(untold_, false) && ++terminates_ == 1)
    drain_ends_ = now + after.rules.drain_timeout;
  grace_ = after.rules.drain_timeout;
  rollout_ = after.rollout;
  happened(event, now);
  for (const auto& action : actions) allowed(action, event, now);
  for (std::size_t i = 0; i < places_.size() && running(); ++i)
    if (!places_[i].worker)
      forks_of_another_generation(places_[i], after.places[i].generation, now);
  if (parked_ && parked_->until <= now) parked_.reset();
  watch_rollout(event, now);
  required(event, actions, now);
  same(after);
  wakes_up(after, event, now);
  rollout_before_ = rollout_;
  parked_before_ = parked_;
  wishes_before_ = wishes_;
  generation_before_ = generation_;
}

void SupervisorReferee::happened(const SupervisorEvent& event, TimePoint now) {
  released_.clear();
  ended_.clear();
  killed_.clear();
  for (auto* set : {&succeeded_, &surplus_, &displaced_}) set->clear();
  replaced_.reset();
  closer_.reset();
  to_be_said_.reset();
  must_be_undone_ = goes_back_ = false;
  if (const auto* keep = std::get_if<event::Keep>(&event); keep != nullptr && running()) {
    closed_go_first(keep->count);
    scaled(keep->count, now);
  } else if (const auto* scale = std::get_if<event::Scale>(&event); scale != nullptr && running()) {
    closed_go_first(scale->count);
    for (std::size_t i = scale->count; i < places_.size(); ++i) {
      if (places_[i].worker) surplus_.insert(*places_[i].worker);
      if (places_[i].successor) must_end(*places_[i].successor, now);
    }
    scaled(scale->count, now);
  } else if (std::holds_alternative<event::Reload>(event)) {
    ++wishes_;
    if (running()) parked_.reset();
  } else if (is<event::Rollback>(event)) {
    wants_back(now);
  } else if (const auto* unfit = std::get_if<event::Unfit>(&event)) {
    unfit_.insert(unfit->worker);
    const auto live = live_.find(unfit->worker);
    if (running() && live != live_.end() && rolled_out(live->second)) must_be_undone_ = true;
  } else if (const auto* fork = std::get_if<event::Forked>(&event)) {
    if (!killing_) forked(*fork, now);
  } else if (const auto* replace = std::get_if<event::Replace>(&event)) {
    if (running()) asked_to_replace(replace->worker);
  } else if (const auto* listens = std::get_if<event::Ready>(&event)) {
    if (live_.contains(listens->worker)) ready(listens->worker, now);
  } else if (const auto* dry = std::get_if<event::Dry>(&event)) {
    const auto live = live_.find(dry->worker);
    if (live != live_.end() && live->second.retired && running()) must_end(dry->worker, now);
  } else if (const auto* gone = std::get_if<event::Exited>(&event)) {
    if (gone->leaves_some && live_.contains(gone->worker)) left_.insert(gone->worker);
    exited(*gone, now);
  } else if (const auto* vanished = std::get_if<event::Vanished>(&event)) {
    left_.erase(vanished->worker);
  } else if (const auto* started = std::get_if<event::Started>(&event)) {
    if (const auto found = live_.find(started->worker); found != live_.end())
      found->second.since = now;
  }
  ports_changed(event, now);
  if (!running()) return;
  notice_health(now);
  if (!is<event::Forked>(event) && !is<event::Ready>(event) && !hopeless()) crowds_thin(now);
}

void SupervisorReferee::forked(const event::Forked& event, TimePoint now) {
  Live& live = live_[event.worker] = {{}, event.waits ? kNotYet : now};
  live.generation = event.generation;
  live.says_ready = event.says_ready;
  if (!event.place || *event.place >= places_.size()) return;
  Place& place = places_[*event.place];
  if (!place.worker) {
    live.place = event.place;
    has_place(*event.place, event.worker, live);
  } else if (place.succession_asked) {
    place.successor = event.worker;
  } else {
    require(place.fork_asked, "who is forked for a place that was filled meanwhile is too many");
    live.left = event.place;
    must_end(event.worker, now);
  }
  place.fork_asked = false;
  place.succession_asked = false;
}

// Nobody else may use the slot of the place: its worker has one queue, its successor the other.
void SupervisorReferee::asked_to_replace(int worker) {
  if (!may_be_replaced(worker)) return;
  places_[*live_.at(worker).place].succession_asked = true;
  replaced_ = worker;
}

bool SupervisorReferee::may_be_replaced(int worker) const {
  const auto found = live_.find(worker);
  if (found == live_.end() || !found->second.place || found->second.ends || hopeless())
    return false;
  const auto at = found->second.place;
  for (const auto& [id, live] : live_)
    if (live.left == at && live.accepts) return false;
  return !places_[*at].successor && !places_[*at].succession_asked;
}

void SupervisorReferee::ready(int worker, TimePoint now) {
  Live& live = live_.at(worker);
  live.ready = true;
  for (std::size_t i = 0; i < places_.size(); ++i)
    if (places_[i].successor == worker && running() && !live.ends) retires_worker_of(i, now);
  if (live.place) ready_ = true;
}

void SupervisorReferee::retires_worker_of(std::size_t at, TimePoint now) {
  const int old = *places_[at].worker;
  Live& live = live_.at(old);
  live.left = live.place;
  live.place.reset();
  live.closed.reset();
  live.held = rolled_out(live_.at(*places_[at].successor)) && !rolled_out(live);
  bequeath(at, old, live);
  inherits(at, now);
  succeeded_.insert(old);
}

// Its worker has gone, or is retired.
void SupervisorReferee::inherits(std::size_t at, TimePoint now) {
  Place& place = places_[at];
  const int heir = *place.successor;
  place.successor.reset();
  Live& live = live_.at(heir);
  has_place(at, heir, live);
  live.place = at;
  if (live.ready) ready_ = true;
  consider(heir, live, now);
}

std::optional<TimePoint> SupervisorReferee::takes_over_at(const Place& place) const {
  if (!place.successor || live_.at(*place.worker).used) return {};
  const Live& successor = live_.at(*place.successor);
  if (successor.ends || successor.used || successor.says_ready) return std::nullopt;
  return successor.since + 10s;
}

// A successor is started, and eight who left live whom nobody told: the oldest has to end.
void SupervisorReferee::crowds_thin(TimePoint now) {
  for (std::size_t i = 0; i < places_.size(); ++i) {
    if (places_[i].worker || places_[i].fork_asked || places_[i].not_before > now) continue;
    if (is_crowded(i) || is_closed(places_[i])) continue;
    if (const auto oldest = one_too_many(i)) must_end(*oldest, now);
  }
}

std::optional<int> SupervisorReferee::one_too_many(std::size_t at) const {
  std::optional<int> oldest;
  int untold = 0;
  for (const auto& [id, live] : live_) {
    if (live.left != at || live.accepts || live.asked || live.held) continue;
    if (untold++ == 0) oldest = id;
  }
  return untold >= 8 ? oldest : std::nullopt;
}

// Of a closed place, which a rollout fills.
void SupervisorReferee::closed_place_thins(int worker, TimePoint now) {
  const auto& left = live_.at(worker).left;
  if (rollout_ && left && is_closed(places_[*left]) && one_too_many(*left) == worker)
    must_end(worker, now);
}

void SupervisorReferee::must_end(int worker, TimePoint now) {
  Live& live = live_.at(worker);
  live.ends = true;
  if (live.asked) return;
  live.asked = true;
  live.dies = now + grace_;
  ended_.insert(worker);
}

void SupervisorReferee::notice_health(TimePoint now) {
  for (const auto& [id, live] : live_) {
    if (!live.place || now - live.since < 10s || ready_) continue;
    ready_ = true;
    saved_by_health_ = hopeless() || deaths_ >= kTriesMax;
  }
}

void SupervisorReferee::exited(const event::Exited& event, TimePoint now) {
  const int worker = event.worker;
  const auto found = live_.find(worker);
  if (found == live_.end()) return;
  const Live live = found->second;
  live_.erase(found);
  bool had_place = live.place.has_value();
  for (Place& place : places_) {
    if (place.successor != worker) continue;
    place.successor.reset();
    had_place = true;
  }
  if (running() && had_place && !live.asked && rolled_out(live)) must_be_undone_ = true;
  if (running() && event.permanent) closes(worker, live);
  if (live.place) vacated(*live.place, worker, live, now);
  if (live.left) bequeath(*live.left, worker, live);
}

// Who serves what, and whether it is known what a worker closed its servers for.
void SupervisorReferee::ports_changed(const SupervisorEvent& event, TimePoint now) {
  if (is<event::TimePassed>(event) && running()) time_passed(now);
  const auto find = [this](int worker) {
    const auto found = live_.find(worker);
    return found == live_.end() ? nullptr : &found->second;
  };
  if (const auto* opened = std::get_if<event::Opened>(&event)) {
    if (Live* const live = find(opened->worker)) {
      if (!live->accepts) live->opened = now;
      live->accepts = live->used = true;
      if (live->left && !live->ends && !live->retired && !live->held)
        came_back(opened->worker, *live, now);
    }
  } else if (const auto* closed = std::get_if<event::Closed>(&event)) {
    Live* const live = find(closed->worker);
    if (live != nullptr && live->accepts) {
      live->accepts = closed->accepts;
      if (running() && !live->retired && !live->held) live->closed = now;
      live->briefly = now - live->opened < 1s;
      consider(closed->worker, *live, now);
    }
  } else if (const auto* ends = std::get_if<event::Ends>(&event)) {
    if (Live* const live = find(ends->worker)) {
      live->ends = true;
      consider(ends->worker, *live, now);
    }
  } else if (const auto* idle = std::get_if<event::Idle>(&event)) {
    if (Live* const live = find(idle->worker)) {
      live->idle = true;
      consider(idle->worker, *live, now);
      if (live->left && live->used && running()) must_end(idle->worker, now);
    }
  }
}

void SupervisorReferee::time_passed(TimePoint now) {
  for (auto& [id, live] : live_) {
    consider(id, live, now);
    if (live.retired && now - *live.retired >= grace_) must_end(id, now);
    if (!live.dies || *live.dies > now) continue;
    live.dies.reset();
    killed_.insert(id);
  }
  for (std::size_t i = 0; i < places_.size(); ++i) {
    Place& place = places_[i];
    if (const auto at = takes_over_at(place); at && *at <= now) retires_worker_of(i, now);
    if (!place.worker || !live_.at(*place.worker).accepts) continue;
    if (now - live_.at(*place.worker).opened < 60s) continue;
    released_.insert(place.heirless.begin(), place.heirless.end());
    place.heirless.clear();
  }
}

// The place has two then, or one that left it.
void SupervisorReferee::came_back(int worker, Live& live, TimePoint now) {
  comes_back_ = true;
  if (!running()) return;
  Place& place = places_[*live.left];
  if (place.worker && live_.at(*place.worker).accepts) return must_end(worker, now);
  if (place.worker) {
    live_.at(*place.worker).left = live.left;
    live_.at(*place.worker).place.reset();
    must_end(*place.worker, now);
  }
  has_place(*live.left, worker, live);
  live.place = live.left;
  live.left.reset();
}

void SupervisorReferee::consider(int worker, Live& live, TimePoint now) {
  if (!running()) return;
  const bool known = live.closed && now - *live.closed >= 1s;
  const bool leaves =
      live.ends || (live.idle && live.used) || (known && !live.briefly && !comes_back_);
  if (live.place && !live.accepts && leaves) {
    live.left = live.place;
    live.place.reset();
    live.closed.reset();
    vacated(*live.left, worker, live, now);
    if (live.idle && live.used) must_end(worker, now);
  } else if (known) {
    if (!live.ends) released_.insert(worker);
    live.closed.reset();
  }
}

bool SupervisorReferee::is_crowded(std::size_t place) const {
  return std::count_if(live_.begin(), live_.end(), [place](const auto& entry) {
           return entry.second.left == place && !entry.second.accepts && !entry.second.held;
         }) >= 16;
}

void SupervisorReferee::bequeath(std::size_t at, int worker, const Live& live) {
  auto& heirless = places_[at].heirless;
  if (!live.used || std::count(heirless.begin(), heirless.end(), worker) > 0) return;
  heirless.push_back(worker);
  if (heirless.size() <= 8) return;
  released_.insert(heirless.front());
  heirless.erase(heirless.begin());
}

void SupervisorReferee::vacated(std::size_t at, int worker, const Live& live, TimePoint now) {
  Place& place = places_[at];
  bequeath(at, worker, live);
  const bool healthy = now - live.since >= 10s;
  ready_ = ready_ || healthy;
  if (!ready_ && closer_ != worker) ++deaths_;
  place.worker.reset();
  place.generation = rolled_out(live) ? live.generation : generation_;
  place.deaths = healthy || (live.left && live.ready) ? 1 : place.deaths + 1;
  auto delay = 100ms;
  for (int i = 1; i < place.deaths && delay < 10s; ++i) delay *= 2;
  place.not_before = now + std::min<std::chrono::milliseconds>(delay, 10s);
  const auto more = std::min<std::chrono::nanoseconds>(delay, 10s) / 4000;
  if (place.deaths > 1) place.not_before += more * static_cast<int>(at * 618 % 1000);
  if (place.successor) inherits(at, now);
}

void SupervisorReferee::allowed(const SupervisorAction& action, const SupervisorEvent& event,
                                TimePoint now) {
  if (const auto* fork = std::get_if<action::Fork>(&action)) {
    require(running(), "no fork after the end began");
    require(!hopeless(), "no fork while nobody was ready after five tries");
    require(fork->place < places_.size(), "a fork is for a place");
    Place& place = places_[fork->place];
    if (replaced_ && place.worker == replaced_) {
      require(fork->beside == replaced_, "a successor is for a worker");
      replaced_.reset();
      return;
    }
    if (place.worker) return forks_beside(*fork);
    require(!place.fork_asked, "a fork is for a vacant place");
    forks_of_another_generation(place, fork->generation, now);
    require(place.not_before <= now, "a fork waits for the back-off");
    require(!is_closed(place), "a closed place gets a worker by a rollout only");
    require(!is_crowded(fork->place), "a fork waits while sixteen who left live");
    place.fork_asked = true;
  } else if (const auto* release = std::get_if<action::Release>(&action)) {
    if (is_released_by_closed(release->worker)) return;
    const auto known = released_.find(release->worker);
    require(known != released_.end(), "a port is released once that is known");
    released_.erase(known);
  } else if (const auto* retire = std::get_if<action::Retire>(&action)) {
    retires(retire->worker, now);
  } else if (const auto* hold = std::get_if<action::Hold>(&action)) {
    holds(hold->worker);
  } else if (const auto* rest = std::get_if<action::Rest>(&action)) {
    rests(rest->worker);
  } else if (std::holds_alternative<action::Lead>(action) ||
             std::holds_alternative<action::Follow>(action)) {
    // The LeaderReferee has seen it.
  } else if (const auto* resume = std::get_if<action::Resume>(&action)) {
    resumes(resume->worker, now);
  } else if (const auto* over = std::get_if<action::RolloutOver>(&action)) {
    is_over(over->verdict, event, now);
  } else if (const auto* look = std::get_if<action::LookWhetherDry>(&action)) {
    Live& live = live_.at(look->worker);
    require(running() && live.retired && !live.asked && now >= live.looks_at,
            "whether one is dry is looked at from time to time, until it is told to end");
    live.looks_at = now + 10ms;
  } else if (const auto* end = std::get_if<action::End>(&action)) {
    if (end->why == action::End::Why::RolledBack) drops_successor(end->worker, now);
    if (end->why == action::End::Why::TooMany) closed_place_thins(end->worker, now);
    require(ended_.erase(end->worker) == 1, "who left is told to end for a reason, and once");
  } else if (const auto* kill = std::get_if<action::Kill>(&action)) {
    require(killed_.erase(kill->worker) == 1, "who was told to end is killed when it is time");
  } else if (std::holds_alternative<action::StopArrivals>(action)) {
    require(!live_.empty() && terminates_ == 1 && (is<event::Terminate>(event) || untold_),
            "nothing arrives any more when the end begins");
    letting_in_ = true;
    looks_at_ = now + std::min<Duration>(100ms, grace_ / 4);
    lets_in_until_ = now + std::min<Duration>(2s, grace_ / 2);
  } else if (std::holds_alternative<action::LookForArrivals>(action)) {
    require(letting_in_ && now >= looks_at_ && now < lets_in_until_,
            "it looks for arrivals while it lets them in");
    looks_at_ = now + 10ms;
  } else if (std::holds_alternative<action::DisconnectAll>(action)) {
    require(!live_.empty(), "somebody is there to disconnect");
    const bool let_in = letting_in_ && (is<event::NothingArrives>(event) ||
                                        (is<event::TimePassed>(event) && now >= lets_in_until_));
    require(terminates_ == 1 && (let_in || (is<event::Forked>(event) && !letting_in_)),
            "workers are asked to end when what arrived is let in, and as they come");
    letting_in_ = false;
  } else if (std::holds_alternative<action::KillAll>(action)) {
    const bool late = is<event::TimePassed>(event) && terminates_ == 1 && now >= drain_ends_;
    const bool again = is<event::Terminate>(event) && terminates_ == 2;
    const bool straggler = (is<event::Forked>(event) || is<event::Exited>(event)) && killing_;
    require(late || again || straggler || gave_up_, "there is a reason to kill");
    require(straggler || anybody(), "there is somebody to kill");
    killing_ = true;
    letting_in_ = false;
  } else if (std::holds_alternative<action::GiveUp>(action)) {
    require(running(), "only a cluster that runs gives up, and once");
    require(hopeless() && !any_placed() && !places_.empty(), "giving up is justified");
    gave_up_ = true;
  } else if (const auto* close = std::get_if<action::Close>(&action)) {
    is_said_to_be_closed(close->worker);
  } else if (std::holds_alternative<action::AllClosed>(action)) {
    ends_by_itself(now);
  } else {
    const auto& finish = std::get<action::Finish>(action);
    require(finish.gave_up == gave_up_ && finish.all_closed == all_closed_,
            "the end says how it came");
    require(!anybody(), "the end waits for every worker, and for what they left");
    require(!running(), "the end has a reason");
    require(!finished_, "there is one end");
    finished_ = true;
  }
}

void SupervisorReferee::required(const SupervisorEvent& event, const Actions& actions,
                                 TimePoint now) {
  if (!running()) require(finished_ == !anybody(), "the end comes with the last one's");
  const bool begins = is<event::Terminate>(event) && terminates_ == 1 && !all_closed_;
  if ((begins || contains<action::AllClosed>(actions)) && !gave_up_ && !live_.empty())
    require(contains<action::StopArrivals>(actions), "the first Terminate stops what arrives");
  // If there are any; what others left may live on.
  const bool let_in =
      is<event::NothingArrives>(event) || (is<event::TimePassed>(event) && now >= lets_in_until_);
  if (live_.empty() && let_in) letting_in_ = false;
  if (is<event::NothingArrives>(event)) require(!letting_in_, "then workers are asked to end");
  if (is<event::Terminate>(event) && terminates_ == 2 && !killing_)
    require(finished_, "the second Terminate kills");
  if (is<event::Forked>(event) && terminates_ == 1 && !killing_ && !letting_in_)
    require(contains<action::DisconnectAll>(actions), "who comes during the drain is disconnected");
  if (is<event::TimePassed>(event) && terminates_ == 1 && now >= drain_ends_)
    require(killing_ || finished_, "the drain has a deadline");
  require(released_.empty(), "what nobody will ask for is released");
  require(ended_.empty(), "who has to end is told");
  require(killed_.empty(), "who does not end is killed");
  require(succeeded_.empty(), "who has been succeeded is retired, or held");
  require(surplus_.empty(), "whose place is no more is retired");
  require(displaced_.empty(), "whose place another has again is retired");
  require(!replaced_, "who may be replaced is");
  watch_closed();
  if (is<event::Ready>(event) || is<event::Forked>(event) || !running()) return;
  require(!(hopeless() && !any_placed() && !places_.empty()),
          "five deaths and nobody left: give up");
  if (hopeless()) return;
  for (std::size_t i = 0; i < places_.size(); ++i)
    require(places_[i].worker || places_[i].fork_asked || places_[i].not_before > now ||
                is_crowded(i) || is_closed(places_[i]),
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
    require(live.generation == mine->second.generation, "a worker knows its generation");
    if (running()) require(live.held == mine->second.held, "who is held is known");
    if (running())
      require(!live.held || state.rollout || state.parked, "nobody is held without a rollout");
    if (running() && live.held) require(mine->second.rests || !state.parked, "who is parked rests");
  }
  if (!running()) return;
  require(state.phase == Supervisor::Phase::Running, "it runs until it is told to end");
  require(state.ever_ready == ready_, "readiness is noticed");
  require(state.generation == generation_, "the generation that serves is known");
  const bool is_new = state.rollout && !over_.contains(state.rollout->wish.generation);
  require(wishes_ == static_cast<int>(over_.size()) + (is_new ? 1 : 0),
          "every rollout comes to one end");
  require(state.parked.has_value() == parked_.has_value(), "it is known how long one is parked");
  require(state.places.size() == places_.size(), "there are as many places as were asked for");
  std::size_t placed = 0;
  for (const auto& [id, live] : state.live) placed += live.place ? 1 : 0;
  require(placed <= places_.size(), "never more workers with a place than places");
  for (std::size_t i = 0; i < places_.size(); ++i) {
    require(state.places[i].worker == places_[i].worker, "a place has its worker");
    require(state.places[i].successor == places_[i].successor, "and its successor");
    require(state.places[i].closed.has_value() == places_[i].closed, "a place is closed or open");
  }
}

void SupervisorReferee::wakes_up(const Supervisor& state, const SupervisorEvent& event,
                                 TimePoint now) const {
  const auto at = next_wakeup(state);
  if (is<event::TimePassed>(event)) require(!at || *at > now, "a wake-up makes something happen");
  if (!running()) {
    const bool drains = !killing_ && !finished_;
    const TimePoint next = letting_in_ ? std::min(looks_at_, lets_in_until_) : drain_ends_;
    require(at == (drains ? std::optional{next} : std::nullopt),
            "it wakes up to look for arrivals, then for its deadline");
    return;
  }
  std::optional<TimePoint> due;
  for (std::size_t i = 0; i < places_.size(); ++i)
    if (!places_[i].worker && !places_[i].fork_asked && !is_crowded(i) && !is_closed(places_[i]) &&
        (!due || places_[i].not_before < *due))
      due = places_[i].not_before;
  for (const auto& [id, live] : live_)
    for (const auto& when :
         {live.closed ? std::optional{*live.closed + 1s} : std::nullopt, live.dies,
          live.retired && !live.asked
              ? std::optional{std::min(live.looks_at, *live.retired + grace_)}
              : std::nullopt})
      if (when && (!due || *when < *due)) due = when;
  // Whether that is enough shows at rest.
  for (const auto& when : {rolls_at(state), leads_at(state)})
    if (when && (!due || *when < *due)) due = when;
  for (const Place& place : places_) {
    if (const auto when = takes_over_at(place); when && (!due || *when < *due)) due = when;
    if (!place.worker || place.heirless.empty() || !live_.at(*place.worker).accepts) continue;
    const TimePoint healthy = live_.at(*place.worker).opened + 60s;
    if (!due || healthy < *due) due = healthy;
  }
  if (!hopeless())
    require(at == due, "it wakes up for the next fork, or to learn what a port was closed for");
  else if (any_placed())
    require(at.has_value(), "it wakes up when somebody has proved healthy");
}

}  // namespace cohort::cluster::sim
