#include "cluster/supervisor_facts.h"

#include <algorithm>

#include "base/assert.h"
#include "cluster/supervisor_leader.h"
#include "cluster/supervisor_rollout.h"

namespace cohort::cluster {

bool is_empty(const Supervisor& state) { return state.live.empty() && state.left.empty(); }

int wanted_generation(const Supervisor& state) {
  const bool rolls = state.rollout && state.rollout->phase != Rollout::Phase::Undoing;
  return rolls ? state.rollout->wish.generation : state.generation;
}

bool rolls_out(const Supervisor& state, const Supervisor::Live& live) {
  return state.rollout && state.rollout->phase != Rollout::Phase::Undoing &&
         live.generation == state.rollout->wish.generation;
}

bool tried_enough(const Supervisor& state) {
  return !state.ever_ready && state.tries >= state.rules.tries_max;
}

std::optional<TimePoint> healthy_at(const Supervisor& state) {
  std::optional<TimePoint> first;
  for (const auto& [id, live] : state.live)
    if (live.place && (!first || live.since + state.rules.healthy_after < *first))
      first = live.since + state.rules.healthy_after;
  return first;
}

bool is_closed(const Supervisor& state, const Supervisor::Place& place) {
  return place.closed && !place.worker && !place.due && !place.succeeds &&
         place.generation == state.generation;
}

bool is_failing(const Supervisor& state, const Supervisor::Place& place, TimePoint now) {
  if (place.failures < 2 || is_closed(state, place)) return false;
  return !place.worker || now - known(state.live, *place.worker).since < state.rules.healthy_after;
}

std::vector<int> leavers(const Supervisor& state, std::size_t place) {
  std::vector<int> ids;
  for (const auto& [id, live] : state.live)
    if (live.left == place && !live.accepts && !live.held) ids.push_back(id);
  return ids;
}

bool is_due(const Supervisor& state, std::size_t place) {
  return state.places[place].due && leavers(state, place).size() < 2 * kLeaversMax;
}

std::optional<TimePoint> knows_its_ports_at(const Supervisor& state,
                                            const Supervisor::Place& place) {
  if (place.predecessors.empty() || !place.worker) return std::nullopt;
  const auto& accepts = known(state.live, *place.worker).accepts;
  return accepts ? std::optional{*accepts + kAsksWithin} : std::nullopt;
}

std::optional<int> last_leaver(const Supervisor& state, std::size_t place) {
  const std::vector<int> ids = leavers(state, place);
  return ids.empty() ? std::nullopt : std::optional{ids.back()};
}

std::optional<std::size_t> place_to_have(const Supervisor& state, int worker) {
  for (std::size_t i = 0; i < state.places.size(); ++i)
    if (state.places[i].successor == worker) return i;
  return std::nullopt;
}

std::optional<TimePoint> takes_over_at(const Supervisor& state, const Supervisor::Place& place) {
  if (!place.successor || known(state.live, *place.worker).used_ports) return std::nullopt;
  const auto& successor = known(state.live, *place.successor);
  if (successor.ends || successor.used_ports || successor.says_ready) return std::nullopt;
  return successor.since + kHealthyAfter;
}

std::optional<TimePoint> looks_whether_dry_at(const Supervisor::Live& live) {
  if (!live.retired || live.told) return std::nullopt;
  return std::min(live.retired->look_at, live.retired->until);
}

bool is_retired(const Supervisor& state, int worker) {
  const auto found = state.live.find(worker);
  return found != state.live.end() && found->second.retired;
}

bool is_held(const Supervisor& state, int worker) {
  const auto found = state.live.find(worker);
  return found != state.live.end() && found->second.held;
}

bool leaves(const Supervisor& state, int worker) {
  const auto found = state.live.find(worker);
  if (found == state.live.end()) return false;
  const Supervisor::Live& live = found->second;
  return live.left && !live.told && !live.held && !live.retired;
}

bool leads(const Supervisor& state, int worker) { return state.leadership.leader == worker; }

bool may_go_back(const Supervisor& state) {
  if (state.phase != Supervisor::Phase::Running) return false;
  if (state.rollout) return state.rollout->phase != Rollout::Phase::Undoing;
  return state.parked && std::any_of(state.live.begin(), state.live.end(),
                                     [](const auto& entry) { return entry.second.held; });
}

std::size_t places_of(const Supervisor& state, int generation) {
  return static_cast<std::size_t>(
      std::count_if(state.places.begin(), state.places.end(), [&](const Supervisor::Place& place) {
        return place.worker && known(state.live, *place.worker).generation == generation;
      }));
}

bool is_tried(const Supervisor& state, int worker) {
  const auto found = state.live.find(worker);
  if (found == state.live.end()) return false;
  return place_to_have(state, worker) || rolls_out(state, found->second);
}

std::optional<int> successor_of(const Supervisor& state, int worker) {
  const auto found = state.live.find(worker);
  const bool has_place = found != state.live.end() && found->second.place;
  return has_place ? state.places[*found->second.place].successor : std::nullopt;
}

bool may_be_replaced(const Supervisor& state, int worker) {
  const auto found = state.live.find(worker);
  if (state.phase != Supervisor::Phase::Running || tried_enough(state)) return false;
  if (found == state.live.end() || !found->second.place || found->second.ends) return false;
  const auto& place = state.places[*found->second.place];
  const auto still_accepts = [&](const auto& entry) {
    return entry.second.left == found->second.place && entry.second.accepts;
  };
  return !place.succeeds && !place.successor &&
         std::none_of(state.live.begin(), state.live.end(), still_accepts);
}

bool has_left(const Supervisor& state, int worker) {
  const auto found = state.live.find(worker);
  return found != state.live.end() && found->second.left && !found->second.accepts;
}

std::optional<TimePoint> next_wakeup(const Supervisor& state) {
  if (state.arrivals) return std::min(state.arrivals->look_at, state.arrivals->until);
  std::optional<TimePoint> next = state.deadline;
  if (state.phase != Supervisor::Phase::Running) return next;
  const auto sooner = [&next](std::optional<TimePoint> at) {
    if (at && (!next || *at < *next)) next = at;
  };
  for (const auto& [id, live] : state.live) {
    if (live.closed) sooner(live.closed->at + kLeavesAfter);
    if (live.told) sooner(live.told->kill_at);
    sooner(looks_whether_dry_at(live));
  }
  for (const auto& place : state.places) {
    sooner(knows_its_ports_at(state, place));
    sooner(takes_over_at(state, place));
  }
  sooner(rolls_at(state));
  sooner(leads_at(state));
  if (tried_enough(state)) {
    sooner(healthy_at(state));
    return next;
  }
  for (std::size_t i = 0; i < state.places.size(); ++i)
    if (is_due(state, i)) sooner(state.places[i].due);
  return next;
}

Duration backoff(int failures, std::size_t place, const Rules& rules) {
  Duration delay = rules.backoff_min;
  for (int i = 1; i < failures && delay < rules.backoff_max; ++i) delay *= 2;
  delay = std::min(delay, rules.backoff_max);
  // Multiples of the golden ratio: any number of places is spread evenly.
  constexpr int kGoldenRatio = 618, kOne = 1000;
  if (failures >= 2)
    delay += delay / 4 / kOne * static_cast<int>(place % kOne * kGoldenRatio % kOne);
  return delay;
}

}  // namespace cohort::cluster
