// What the primary says of itself: its slots, its places, its workers.
#include <algorithm>

#include "cluster/primary.h"

namespace cohort::cluster {
namespace {

using std::chrono::milliseconds;

std::size_t first_free(const std::set<std::size_t>& taken, std::optional<std::size_t> wanted) {
  if (wanted && !taken.contains(*wanted)) return *wanted;
  std::size_t slot = 0;
  while (taken.contains(slot)) ++slot;
  return slot;
}

}  // namespace

// Those of living processes, but for who left its place and uses no port, or is retired.
std::set<std::size_t> Primary::taken_slots() const {
  std::set<std::size_t> taken;
  for (const auto& [id, entry] : workers_)
    if (!entry.worker->is_dead() && !has_left(supervisor_.state(), id) &&
        !is_retired(supervisor_.state(), id))
      taken.insert(entry.worker->slot());
  return taken;
}

// The wanted one, else the first.
std::size_t Primary::free_slot(std::optional<std::size_t> wanted) const {
  return first_free(taken_slots(), wanted);
}

// Those that are closed, and those whose workers die again and again.
void Primary::tell_places(ClusterStatus& status) const {
  const Supervisor& state = supervisor_.state();
  const TimePoint now = std::chrono::steady_clock::now();
  auto taken = taken_slots();
  for (std::size_t i = 0; i < state.places.size(); ++i) {
    const auto& place = state.places[i];
    const auto holder = place.worker ? workers_.find(*place.worker) : workers_.end();
    const std::size_t slot =
        holder != workers_.end() ? holder->second.worker->slot() : first_free(taken, i);
    taken.insert(slot);
    if (is_closed(state, place)) status.closed.push_back({slot, *place.closed});
    if (!is_failing(state, place, now)) continue;
    const auto next = place.due ? std::max(*place.due - now, Duration{0}) : Duration{0};
    status.failing.push_back(
        {slot, place.failures, std::chrono::duration_cast<milliseconds>(next)});
  }
  std::ranges::sort(status.closed, {}, &ClosedPlace::slot);
  std::ranges::sort(status.failing, {}, &FailingPlace::slot);
}

// Of the lame duck time a Supervisor knows nothing.
ClusterStatus Primary::status() const {
  using enum ClusterStatus::Phase;
  constexpr ClusterStatus::Phase kPhases[] = {Running, LettingIn, Draining, Killing, Over};
  const Supervisor& supervisor = supervisor_.state();
  ClusterStatus status{.phase = kPhases[static_cast<std::size_t>(supervisor.phase)],
                       .policy = policy(),
                       .places = supervisor.places.size(),
                       .generation = supervisor.generation,
                       .forks = static_cast<std::uint64_t>(counters_.forks),
                       .exits = counters_.exits,
                       .deaths = counters_.deaths};
  for (const auto& [id, entry] : workers_) {
    WorkerStatus worker = entry.worker->status();
    const auto live = supervisor.live.find(id);
    worker.kept = live != supervisor.live.end() && live->second.place.has_value();
    worker.held = is_held(supervisor, id);
    worker.leaves = leaves(supervisor, id);
    worker.ready = live != supervisor.live.end() && live->second.ready;
    if (checks_.is_awaited(id)) {
      using State = WorkerStatus::State;
      if (worker.state == State::Listening) worker.state = State::Checking;
      worker.check = checks_.why_not(id);
    }
    status.workers.push_back(std::move(worker));
  }
  tell_places(status);
  if (listeners_) status.ports = listeners_->status();
  if (const auto& parked = supervisor.parked)
    status.parked = {.generation = parked->generation,
                     .left = std::chrono::duration_cast<milliseconds>(
                         parked->until - std::chrono::steady_clock::now())};
  if (const auto& rollout = supervisor.rollout)
    status.rollout = {.generation = rollout->wish.generation,
                      .phase = static_cast<ClusterStatus::Rollout::Phase>(rollout->phase),
                      .replaced = places_of(supervisor, rollout->wish.generation)};
  else if (waiting_.prepares)
    status.rollout = {.generation = *waiting_.prepares,
                      .phase = ClusterStatus::Rollout::Phase::Preparing};
  return status;
}

}  // namespace cohort::cluster
