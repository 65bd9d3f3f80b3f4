// What a rollout may and must do: that part of the SupervisorReferee. It follows what is done, and
// says whether that was allowed.
#include <algorithm>
#include <utility>

#include "sim/supervisor_referee.h"

namespace cohort::cluster::sim {

using namespace std::chrono_literals;
using Phase = Rollout::Phase;

namespace {

bool is_active(const std::optional<Rollout>& rollout) {
  return rollout && rollout->phase != Phase::Undoing;
}

}  // namespace

// When this step began.
bool SupervisorReferee::rolled_out(const Live& live) const {
  return is_active(rollout_before_) && live.generation == rollout_before_->wish.generation;
}

void SupervisorReferee::scaled(std::size_t count, TimePoint now) {
  for (std::size_t i = count; i < places_.size(); ++i)
    released_.insert(places_[i].heirless.begin(), places_[i].heirless.end());
  for (auto& [id, live] : live_) {
    for (auto* place : {&live.place, &live.left})
      if (*place && **place >= count) place->reset();
    if (live.held && !live.left) surplus_.insert(id);
  }
  Place place;
  place.not_before = now;
  place.generation = generation_;
  places_.resize(count, place);
}

void SupervisorReferee::forks_beside(const action::Fork& fork) {
  Place& place = places_[fork.place];
  require(rollout_ && fork.beside == place.worker, "only a rollout replaces who serves");
  require(may_be_replaced(*place.worker), "nobody is replaced who may not be");
  const int wanted = is_active(rollout_) ? rollout_->wish.generation : generation_;
  require(fork.generation == wanted && live_.at(*place.worker).generation != wanted,
          "a rollout replaces those of other generations");
  place.succession_asked = true;
  const auto changing = static_cast<std::size_t>(
      std::count_if(places_.begin(), places_.end(),
                    [&](const Place& other) { return other.succession_asked || other.successor; }));
  const RolloutPlan& plan = rollout_->wish.plan;
  require(changing <= std::max(plan.canaries, plan.batch), "not more at a time than were wanted");
  require(plan.surge == 0 || surplus_of_rollout() <= plan.surge, "no more beside than were wanted");
}

std::size_t SupervisorReferee::surplus_of_rollout() const {
  const auto starts = std::count_if(places_.begin(), places_.end(), [](const Place& place) {
    return place.succession_asked || place.successor;
  });
  const auto ends = std::count_if(live_.begin(), live_.end(), [](const auto& entry) {
    return entry.second.held || entry.second.retired || (entry.second.asked && !entry.second.place);
  });
  return static_cast<std::size_t>(starts + ends);
}

// A place that is vacant belongs to the rollout, and to that before it when it is undone.
void SupervisorReferee::forks_of_another_generation(Place& place, int generation, TimePoint now) {
  if (place.generation == generation) return;
  const bool by_rollout = is_active(rollout_) && generation == rollout_->wish.generation;
  require(by_rollout || generation == generation_, "a place has a generation that is wanted");
  place.generation = generation;
  if (!by_rollout || place.fork_asked) return;
  place.not_before = now;
  place.deaths = 0;
}

void SupervisorReferee::holds(int worker) {
  require(succeeded_.erase(worker) == 1, "who has a successor that is ready is held");
  require(live_.at(worker).held, "for a rollout");
}

void SupervisorReferee::rests(int worker) {
  Live& live = live_.at(worker);
  require(live.held && !std::exchange(live.rests, true), "who is parked rests, once");
}

void SupervisorReferee::resumes(int worker, TimePoint now) {
  Live& live = live_.at(worker);
  require(live.held && live.left && !live.ends, "who is held has its place again");
  require(is_active(rollout_before_) || goes_back_, "when its rollout is undone, or it was parked");
  const std::size_t at = *live.left;
  Place& place = places_[at];
  if (place.worker) {
    Live& other = live_.at(*place.worker);
    other.left = at;
    other.place.reset();
    other.closed.reset();
    bequeath(at, *place.worker, other);
    displaced_.insert(*place.worker);
  }
  has_place(at, worker, live);
  live.place = at;
  live.left.reset();
  live.held = live.rests = false;
  std::erase(place.heirless, worker);
  if (live.accepts && now - live.opened >= 60s) {
    released_.insert(place.heirless.begin(), place.heirless.end());
    place.heirless.clear();
  }
  consider(worker, live, now);
}

void SupervisorReferee::retires(int worker, TimePoint now) {
  Live& live = live_.at(worker);
  if (succeeded_.erase(worker) > 0)
    require(!live.held, "who is to be held is not retired");
  else if (live.held && live.left)
    require(live.ends || may_end_held(now), "who is held is retired when all have succeeded");
  else if (!is_retired_from_closed(worker))
    require(displaced_.erase(worker) + surplus_.erase(worker) == 1, "who is retired has no place");
  live.held = false;
  live.closed.reset();
  live.retired = now;
  live.looks_at = now + std::min<Duration>(100ms, grace_ / 4);
}

// All have succeeded and nobody is to be parked, or was for long enough; a third generation comes.
bool SupervisorReferee::may_end_held(TimePoint now) const {
  if (parked_before_) return parked_before_->until <= now || wishes_ > wishes_before_;
  if (!is_active(rollout_before_)) return false;
  const RolloutPlan& plan = rollout_before_->wish.plan;
  if (plan.surge > 0 && surplus_of_rollout() >= plan.surge) {
    require(
        std::none_of(places_.begin(), places_.end(),
                     [](const Place& place) { return place.succession_asked || place.successor; }),
        "nobody makes room while another starts");
    return true;
  }
  if (plan.park > Duration{0}) return false;
  return is_complete(rollout_before_->wish.generation, now);
}

// A rollout that is under way is undone; so is one that was reached, while those before it are
// parked.
void SupervisorReferee::wants_back(TimePoint now) {
  if (!running()) return;
  const bool is_reached = !rollout_before_ && parked_ && any_held();
  goes_back_ = is_active(rollout_before_) || is_reached;
  if (!goes_back_) return;
  wanted_back_.insert(is_reached ? generation_ : rollout_before_->wish.generation);
  if (!is_reached) return;
  for (Place& place : places_) {
    if (is_closed(place)) place.not_before = now;
    place.closed = false;
  }
  generation_ = parked_->generation;
  parked_.reset();
}

bool SupervisorReferee::any_held() const {
  return std::any_of(live_.begin(), live_.end(),
                     [](const auto& entry) { return entry.second.held; });
}

void SupervisorReferee::drops_successor(int worker, TimePoint now) {
  for (std::size_t at = 0; at < places_.size(); ++at) {
    if (places_[at].successor != worker) continue;
    Live& live = live_.at(worker);
    const int wanted = is_active(rollout_) ? rollout_->wish.generation : generation_;
    const bool is_late =
        rollout_before_ && now - live.since >= rollout_before_->wish.plan.ready_within;
    require(live.generation != wanted || is_late, "a successor is dropped for a reason");
    places_[at].successor.reset();
    live.left = at;
    return must_end(worker, now);
  }
  require(false, "only successors are dropped");
}

// Of a program without a port that is enough.
bool SupervisorReferee::has_lived(const Live& live, TimePoint now) {
  return !live.used && !live.says_ready && now - live.since >= 10s;
}

bool SupervisorReferee::is_complete(int generation, TimePoint now) const {
  return std::all_of(places_.begin(), places_.end(), [&](const Place& place) {
    if (!place.worker || place.successor || place.succession_asked) return false;
    const Live& live = live_.at(*place.worker);
    return live.generation == generation && (live.ready || live.lived || has_lived(live, now));
  });
}

void SupervisorReferee::is_over(const RolloutVerdict& verdict, const SupervisorEvent& event,
                                TimePoint now) {
  const bool is_first = over_.insert(verdict.generation).second;
  require(is_first || verdict.end != RolloutEnd::Reached, "a rollout is reached once");
  require(is_first || wanted_back_.contains(verdict.generation), "a rollout is over once");
  switch (verdict.end) {
    case RolloutEnd::Reached: {
      require(is_complete(verdict.generation, now), "a rollout is reached with the last one");
      const TimePoint since = complete_since_.value_or(now);
      // One that has just superseded another may be reached at once.
      const bool is_new =
          !rollout_before_ || rollout_before_->wish.generation != verdict.generation;
      const auto& plan = (is_new ? *rollout_ : *rollout_before_).wish.plan;
      require(now - since >= plan.prove, "all have to prove themselves");
      require(!must_be_undone_, "no rollout is reached in which one fails");
      if (plan.park > Duration{0}) parked_ = Parked{generation_, now + plan.park, plan};
      generation_ = verdict.generation;
      for (Place& place : places_) place.closed = false;
      return;
    }
    case RolloutEnd::Superseded:
      return require(std::holds_alternative<event::Reload>(event), "another rollout was wanted");
    case RolloutEnd::Stopped:
      return require(!running() || hopeless(), "the service ends");
    case RolloutEnd::Died:
      require(!live_.contains(verdict.worker.value()), "who died is no more");
      break;
    case RolloutEnd::NotReady:
      break;
    case RolloutEnd::TakenBack:
      require(wanted_back_.contains(verdict.generation), "somebody wanted it");
      break;
    case RolloutEnd::Unfit:
      require(unfit_.contains(verdict.worker.value()), "who was unfit is known");
  }
  if (!running() || std::holds_alternative<event::Reload>(event)) return;
  for (const Place& place : places_)
    require(!place.worker || live_.at(*place.worker).generation == generation_ ||
                (place.closed && live_.at(*place.worker).generation != verdict.generation),
            "nobody of a rollout that is undone has a place");
}

void SupervisorReferee::watch_rollout(const SupervisorEvent& event, TimePoint now) {
  for (const Place& place : places_)
    if (place.worker && rolled_out(live_.at(*place.worker)) &&
        has_lived(live_.at(*place.worker), now))
      live_.at(*place.worker).lived = true;
  if (!is_active(rollout_) || !is_complete(rollout_->wish.generation, now))
    complete_since_.reset();
  else if (!complete_since_ || std::holds_alternative<event::Reload>(event))
    complete_since_ = now;
  const bool goes_on = is_active(rollout_before_) && is_active(rollout_) &&
                       rollout_->wish.generation == rollout_before_->wish.generation;
  require(!must_be_undone_ || !goes_on, "a rollout in which one fails is undone");
  if (!goes_on || !running()) return;
  for (const auto& [id, live] : live_) {
    const bool starts = std::any_of(places_.begin(), places_.end(), [id = id](const Place& place) {
      return place.worker == id || place.successor == id;
    });
    const bool serves = live.ready || live.lived || has_lived(live, now);
    require(!starts || serves || !rolled_out(live) ||
                now - live.since < rollout_->wish.plan.ready_within,
            "a rollout in which one is late is undone");
  }
}

}  // namespace cohort::cluster::sim
