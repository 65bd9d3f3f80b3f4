#include "cluster/supervisor.h"

#include <algorithm>

namespace cohort::cluster {
namespace {

using Actions = std::vector<SupervisorAction>;
using Phase = Supervisor::Phase;

void finish_if_empty(Supervisor& state, Actions& actions) {
  if (!state.live.empty()) return;
  state.phase = Phase::Over;
  state.deadline.reset();
  actions.push_back(action::Finish{});
}

void kill_all(Supervisor& state, Actions& actions) {
  state.phase = Phase::Killing;
  state.deadline.reset();
  if (!state.live.empty()) actions.push_back(action::KillAll{});
  finish_if_empty(state, actions);
}

// Nothing more is tried until one that still starts turns out to be ready.
bool tried_enough(const Supervisor& state) { return !state.ever_ready && state.tries >= kTriesMax; }

// When the first of the workers that live and have a place will have lived long enough to count as
// ready, whether it listens or not.
std::optional<TimePoint> healthy_at(const Supervisor& state) {
  std::optional<TimePoint> first;
  for (const auto& [id, live] : state.live)
    if (live.place && (!first || live.since + kHealthyAfter < *first))
      first = live.since + kHealthyAfter;
  return first;
}

// Forks what is due. Before any worker was ready, no more than kTriesMax are tried in all.
void fork_due(Supervisor& state, TimePoint now, Actions& actions) {
  if (state.phase != Phase::Running) return;
  const auto healthy = healthy_at(state);
  if (healthy && *healthy <= now) state.ever_ready = true;
  if (tried_enough(state)) {
    if (healthy || state.places.empty()) return;  // one that still starts may yet be ready
    actions.push_back(action::GiveUp{});
    kill_all(state, actions);
    return;
  }
  for (std::size_t i = 0; i < state.places.size(); ++i) {
    auto& place = state.places[i];
    if (!place.due || *place.due > now) continue;
    place.due.reset();
    actions.push_back(action::Fork{i});
  }
}

struct Step {
  Supervisor& state;
  TimePoint now;
  Actions actions;

  void operator()(const event::Keep& keep) {
    if (state.phase != Phase::Running) return;
    // Fewer places than before: the workers of the rest stay, without a place.
    for (auto& [id, live] : state.live)
      if (live.place && *live.place >= keep.count) live.place.reset();
    const std::size_t before = state.places.size();
    state.places.resize(keep.count);
    for (std::size_t i = before; i < keep.count; ++i) state.places[i].due = now;
    fork_due(state, now, actions);
  }

  void operator()(const event::Forked& forked) {
    if (state.phase == Phase::Killing || state.phase == Phase::Over) {
      // Not waited for, else a handler that forks on every exit would keep a dying cluster alive.
      if (state.phase == Phase::Killing) actions.push_back(action::KillAll{});
      return;
    }
    const bool valid =
        forked.place && *forked.place < state.places.size() && !state.places[*forked.place].worker;
    state.live[forked.worker] = {valid ? forked.place : std::nullopt, now, false};
    if (valid) state.places[*forked.place].worker = forked.worker;
    if (state.phase == Phase::Draining) actions.push_back(action::DisconnectAll{});
  }

  void operator()(const event::Ready& ready) {
    const auto live = state.live.find(ready.worker);
    if (live == state.live.end()) return;
    live->second.ready = true;
    if (live->second.place) state.ever_ready = true;
  }

  void operator()(const event::Exited& exited) {
    const auto found = state.live.find(exited.worker);
    if (found == state.live.end()) return;
    const auto live = found->second;
    state.live.erase(found);
    if (live.place) vacate(state.places[*live.place], live);
    if (state.phase == Phase::Running)
      fork_due(state, now, actions);
    else
      finish_if_empty(state, actions);
  }

  void vacate(Supervisor::Place& place, const Supervisor::Live& live) {
    const bool healthy = now - live.since >= kHealthyAfter;
    if (healthy) state.ever_ready = true;
    if (!state.ever_ready) ++state.tries;
    place.worker.reset();
    place.failures = healthy ? 1 : place.failures + 1;
    place.due = now + backoff(place.failures);
  }

  void operator()(const event::Terminate&) {
    switch (state.phase) {
      case Phase::Running:
        state.phase = Phase::Draining;
        state.deadline = now + state.drain_timeout;
        if (!state.live.empty()) actions.push_back(action::DisconnectAll{});
        finish_if_empty(state, actions);
        break;
      case Phase::Draining:
        kill_all(state, actions);
        break;
      case Phase::Killing:
      case Phase::Over:
        break;
    }
  }

  void operator()(const event::TimePassed&) {
    if (state.phase == Phase::Draining && state.deadline && *state.deadline <= now)
      kill_all(state, actions);
    else
      fork_due(state, now, actions);
  }
};

}  // namespace

std::vector<SupervisorAction> step(Supervisor& state, const SupervisorEvent& event, TimePoint now) {
  Step step{state, now, {}};
  std::visit(step, event);
  return std::move(step.actions);
}

std::optional<TimePoint> next_wakeup(const Supervisor& state) {
  std::optional<TimePoint> next = state.deadline;
  if (state.phase != Phase::Running) return next;
  if (tried_enough(state)) return healthy_at(state);
  for (const auto& place : state.places)
    if (place.due && (!next || *place.due < *next)) next = place.due;
  return next;
}

Duration backoff(int failures) {
  Duration delay = kBackoffMin;
  for (int i = 1; i < failures && delay < kBackoffMax; ++i) delay *= 2;
  return std::min(delay, kBackoffMax);
}

}  // namespace cohort::cluster
