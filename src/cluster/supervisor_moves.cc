#include "cluster/supervisor_moves.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "cluster/supervisor_facts.h"

namespace cohort::cluster {

using Phase = Supervisor::Phase;

// Who leaves.

void Moves::end(int worker, action::End::Why why) {
  Supervisor::Live& live = known(state.live, worker);
  live.ends = true;
  if (live.told) return;
  live.told = {.kill_at = now + state.rules.drain_timeout};
  act(action::End{worker, why});
}

void Moves::decide(int worker, Supervisor::Live& live) {
  const bool waited = live.closed && live.closed->at + kLeavesAfter <= now;
  const bool seems_to_leave = waited && !live.closed->tried && !state.comes_back;
  if (waited) live.closed.reset();
  const bool has_served = live.idle && live.used_ports;
  if (live.place && !live.accepts && (live.ends || seems_to_leave || has_served)) {
    live.closed.reset();
    live.left = std::exchange(live.place, std::nullopt);
    vacate(*live.left, worker, live);
    end_if_idle(worker, live);
  } else if (waited && !live.ends) {
    act(action::Release{worker});
  }
}

void Moves::end_if_idle(int worker, const Supervisor::Live& live) {
  if (live.left && live.idle && live.used_ports) end(worker, action::End::Why::ServesNothing);
}

// Places.

void Moves::have(std::size_t at, int worker, const Supervisor::Live& live) {
  auto& place = state.places[at];
  place.worker = worker;
  place.generation = live.generation;
  if (live.generation == state.generation) place.closed.reset();
}

void Moves::vacate(std::size_t at, int worker, const Supervisor::Live& live) {
  auto& place = state.places[at];
  const bool healthy = now - live.since >= state.rules.healthy_after;
  if (healthy) state.ever_ready = true;
  if (!state.ever_ready && place.closed != worker) ++state.tries;
  place.worker.reset();
  place.generation = rolls_out(state, live) ? live.generation : state.generation;
  // Whoever served, and left, did not fail.
  place.failures = healthy || (live.left && live.ready) ? 1 : place.failures + 1;
  remember(at, worker, live);
  if (place.successor)
    take_over(at);
  else if (!is_closed(state, place))
    place.due = now + backoff(place.failures, at, state.rules);
}

void Moves::succeed(std::size_t at) {
  auto& place = state.places[at];
  place.succeeds = true;
  act(action::Fork{at, wanted_generation(state), place.worker});
}

void Moves::take_over(std::size_t at) {
  auto& place = state.places[at];
  const int worker = *std::exchange(place.successor, std::nullopt);
  auto& live = known(state.live, worker);
  have(at, worker, live);
  live.place = at;
  if (live.ready) state.ever_ready = true;
  if (state.phase == Phase::Running) decide(worker, live);
}

void Moves::pass_on(std::size_t at) {
  auto& place = state.places[at];
  const int old = *place.worker;
  auto& live = known(state.live, old);
  const bool hold =
      rolls_out(state, known(state.live, *place.successor)) && !rolls_out(state, live);
  live.closed.reset();
  live.left = at;
  remember(at, old, live);
  if (hold) {
    live.place.reset();
    live.held = true;
    act(action::Hold{old});
  } else {
    retire(old, true);
  }
  take_over(at);
}

void Moves::take_back(std::size_t at, int worker) {
  auto& place = state.places[at];
  auto& live = known(state.live, worker);
  live.held = false;
  live.left.reset();
  live.place = at;
  act(action::Resume{worker});
  if (const auto other = place.worker) {
    auto& others = known(state.live, *other);
    others.left = at;
    remember(at, *other, others);
    retire(*other, true);
  }
  have(at, worker, live);
  place.due.reset();
  std::erase(place.predecessors, worker);
  if (const auto known_at = knows_its_ports_at(state, place); known_at && *known_at <= now)
    release_predecessors(place);
  decide(worker, live);
}

void Moves::let_go(int worker) {
  known(state.live, worker).held = false;
  retire(worker, true);
}

void Moves::retire(int worker, bool succeeded) {
  auto& live = known(state.live, worker);
  live.place.reset();
  live.closed.reset();
  live.retired = {now + std::min(kArrivalsMin, state.rules.drain_timeout / 4),
                  now + state.rules.drain_timeout};
  act(action::Retire{worker, succeeded});
}

// The ports that they leave.

void Moves::remember(std::size_t at, int worker, const Supervisor::Live& live) {
  if (!live.used_ports) return;
  auto& predecessors = state.places[at].predecessors;
  if (std::find(predecessors.begin(), predecessors.end(), worker) == predecessors.end())
    predecessors.push_back(worker);
  if (predecessors.size() <= kPredecessorsMax) return;
  act(action::Release{predecessors.front()});
  predecessors.erase(predecessors.begin());
}

void Moves::release_predecessors(Supervisor::Place& place) {
  for (const int worker : std::exchange(place.predecessors, {})) act(action::Release{worker});
}

}  // namespace cohort::cluster
