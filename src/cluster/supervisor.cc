#include "cluster/supervisor.h"

#include <algorithm>
#include <utility>

namespace cohort::cluster {
namespace {

using Actions = std::vector<SupervisorAction>;
using Phase = Supervisor::Phase;

bool is_empty(const Supervisor& state) { return state.live.empty() && state.left.empty(); }

void finish_if_empty(Supervisor& state, Actions& actions) {
  if (!is_empty(state)) return;
  state.phase = Phase::Over;
  state.deadline.reset();
  state.arrivals.reset();
  actions.push_back(action::Finish{state.gave_up});
}

void kill_all(Supervisor& state, Actions& actions) {
  state.phase = Phase::Killing;
  state.deadline.reset();
  state.arrivals.reset();
  if (!is_empty(state)) actions.push_back(action::KillAll{});
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

// Those that left the place, live, and do not serve again.
std::vector<int> leavers(const Supervisor& state, std::size_t place) {
  std::vector<int> ids;
  for (const auto& [id, live] : state.live)
    if (live.left == place && !live.accepts) ids.push_back(id);
  return ids;
}

bool is_due(const Supervisor& state, std::size_t place) {
  return state.places[place].due && leavers(state, place).size() < 2 * kLeaversMax;
}

void end(Supervisor& state, int worker, action::End::Why why, TimePoint now, Actions& actions) {
  Supervisor::Live& live = state.live.at(worker);
  live.ends = true;
  if (std::exchange(live.asked, true)) return;
  live.kill_at = now + state.drain_timeout;
  actions.push_back(action::End{worker, why});
}

// Whoever waited at the ports was let in, or has had the time for it.
void disconnect_all(Supervisor& state, Actions& actions) {
  state.phase = Phase::Draining;
  state.arrivals.reset();
  if (!state.live.empty()) actions.push_back(action::DisconnectAll{});
}

// If there are too many that nobody has told.
void end_oldest_leaver(Supervisor& state, std::size_t place, TimePoint now, Actions& actions) {
  std::vector<int> ids = leavers(state, place);
  std::erase_if(ids, [&state](int id) { return state.live.at(id).asked; });
  if (ids.size() >= kLeaversMax) end(state, ids.front(), action::End::Why::TooMany, now, actions);
}

// When the worker of the place has had the time to ask for what its predecessors used; nothing if
// they left none, or while it has asked for none: some programs start slowly.
std::optional<TimePoint> knows_its_ports_at(const Supervisor& state,
                                            const Supervisor::Place& place) {
  if (place.predecessors.empty() || !place.worker) return std::nullopt;
  const auto& accepts = state.live.at(*place.worker).accepts;
  return accepts ? std::optional{*accepts + kAsksWithin} : std::nullopt;
}

std::optional<int> last_leaver(const Supervisor& state, std::size_t place) {
  const std::vector<int> ids = leavers(state, place);
  return ids.empty() ? std::nullopt : std::optional{ids.back()};
}

// Forks what is due. Before any worker was ready, no more than kTriesMax are tried in all.
void fork_due(Supervisor& state, TimePoint now, Actions& actions) {
  if (state.phase != Phase::Running) return;
  const auto healthy = healthy_at(state);
  if (healthy && *healthy <= now) state.ever_ready = true;
  if (tried_enough(state)) {
    if (healthy || state.places.empty()) return;  // one that still starts may yet be ready
    state.gave_up = true;
    actions.push_back(action::GiveUp{});
    kill_all(state, actions);
    return;
  }
  for (std::size_t i = 0; i < state.places.size(); ++i) {
    auto& place = state.places[i];
    if (!is_due(state, i) || *place.due > now) continue;
    end_oldest_leaver(state, i, now, actions);
    place.due.reset();
    actions.push_back(action::Fork{i, last_leaver(state, i)});
  }
}

struct Step {
  Supervisor& state;
  TimePoint now;
  Actions actions;

  void operator()(const event::Keep& keep) {
    if (state.phase != Phase::Running) return;
    // Fewer places than before: the workers of the rest stay, without a place.
    for (auto& [id, live] : state.live) {
      if (live.place && *live.place >= keep.count) live.place.reset();
      if (live.left && *live.left >= keep.count) live.left.reset();
    }
    const std::size_t before = state.places.size();
    for (std::size_t i = keep.count; i < before; ++i) release_predecessors(state.places[i]);
    state.places.resize(keep.count);
    for (std::size_t i = before; i < keep.count; ++i) state.places[i].due = now;
  }

  void operator()(const event::Forked& forked) {
    if (state.phase == Phase::Killing || state.phase == Phase::Over) {
      // Not waited for, else a handler that forks on every exit would keep a dying cluster alive.
      if (state.phase == Phase::Killing) actions.push_back(action::KillAll{});
      return;
    }
    const bool valid =
        forked.place && *forked.place < state.places.size() && !state.places[*forked.place].worker;
    state.live[forked.worker] = {valid ? forked.place : std::nullopt, now};
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
    if (exited.leaves_some) state.left.insert(exited.worker);
    if (live.place) vacate(*live.place, exited.worker, live);
    if (live.left) remember(*live.left, exited.worker, live);
    if (state.phase == Phase::Killing && exited.leaves_some) actions.push_back(action::KillAll{});
    if (state.phase != Phase::Running) finish_if_empty(state, actions);
  }

  void operator()(const event::Vanished& vanished) {
    const bool waited_for = state.left.erase(vanished.worker) > 0;
    if (waited_for && state.phase != Phase::Running) finish_if_empty(state, actions);
  }

  void operator()(const event::Opened& opened) {
    const auto found = state.live.find(opened.worker);
    if (found == state.live.end()) return;
    auto& live = found->second;
    live.used_ports = true;
    if (!live.accepts) live.accepts = now;
    if (!live.left || live.ends) return;
    state.comes_back = true;
    if (state.phase == Phase::Running) comes_back(opened.worker, live);
  }

  // To a place that may have been filled: whoever serves keeps it.
  void comes_back(int worker, Supervisor::Live& live) {
    using enum action::End::Why;
    const std::size_t at = *live.left;
    auto& place = state.places[at];
    if (place.worker) {
      auto& successor = state.live.at(*place.worker);
      if (successor.accepts) return end(state, worker, TwoInAPlace, now, actions);
      successor.left = std::exchange(successor.place, std::nullopt);
      end(state, *place.worker, TwoInAPlace, now, actions);
    }
    place.worker = worker;
    place.due.reset();
    live.place = std::exchange(live.left, std::nullopt);
  }

  void operator()(const event::Closed& closed) {
    const auto found = state.live.find(closed.worker);
    if (found == state.live.end()) return;
    auto& live = found->second;
    const auto since = live.accepts;
    if (!since) return;
    if (!closed.accepts) live.accepts.reset();
    if (state.phase != Phase::Running) return;
    live.closed = now;
    live.tried_a_port = now - *since < kLeavesAfter;
    decide(closed.worker, live);
  }

  void operator()(const event::Idle& idle) {
    const auto found = state.live.find(idle.worker);
    if (found == state.live.end()) return;
    auto& live = found->second;
    live.idle = true;
    if (state.phase != Phase::Running) return;
    decide(idle.worker, live);
    end_if_idle(idle.worker, live);
  }

  // One that never used a port may do anything else.
  void end_if_idle(int worker, const Supervisor::Live& live) {
    if (live.left && live.idle && live.used_ports)
      end(state, worker, action::End::Why::ServesNothing, now, actions);
  }

  void operator()(const event::Ends& ends) {
    const auto found = state.live.find(ends.worker);
    if (found == state.live.end()) return;
    found->second.ends = true;
    if (state.phase != Phase::Running) return;
    decide(ends.worker, found->second);
  }

  // Whether it leaves, or closed a port for good, where that is known by now.
  void decide(int worker, Supervisor::Live& live) {
    const bool waited = live.closed && *live.closed + kLeavesAfter <= now;
    if (waited) live.closed.reset();
    const bool seems_to_leave = waited && !live.tried_a_port && !state.comes_back;
    const bool has_served = live.idle && live.used_ports;
    if (live.place && !live.accepts && (live.ends || seems_to_leave || has_served)) {
      live.closed.reset();
      live.left = std::exchange(live.place, std::nullopt);
      vacate(*live.left, worker, live);
      end_if_idle(worker, live);
    } else if (waited && !live.ends) {
      actions.push_back(action::Release{worker});
    }
  }

  void vacate(std::size_t at, int worker, const Supervisor::Live& live) {
    auto& place = state.places[at];
    const bool healthy = now - live.since >= kHealthyAfter;
    if (healthy) state.ever_ready = true;
    if (!state.ever_ready) ++state.tries;
    place.worker.reset();
    // Whoever served, and left, did not fail.
    place.failures = healthy || (live.left && live.ready) ? 1 : place.failures + 1;
    place.due = now + backoff(place.failures);
    remember(at, worker, live);
  }

  // Its ports stay open for the next one of the place.
  void remember(std::size_t at, int worker, const Supervisor::Live& live) {
    if (!live.used_ports) return;
    auto& predecessors = state.places[at].predecessors;
    if (std::find(predecessors.begin(), predecessors.end(), worker) == predecessors.end())
      predecessors.push_back(worker);
    if (predecessors.size() <= kPredecessorsMax) return;
    actions.push_back(action::Release{predecessors.front()});
    predecessors.erase(predecessors.begin());
  }

  void release_predecessors(Supervisor::Place& place) {
    for (const int worker : std::exchange(place.predecessors, {}))
      actions.push_back(action::Release{worker});
  }

  void operator()(const event::Terminate&) {
    switch (state.phase) {
      case Phase::Running:
        state.deadline = now + state.drain_timeout;
        if (state.live.empty()) {
          state.phase = Phase::Draining;
          finish_if_empty(state, actions);
          break;
        }
        state.phase = Phase::LettingIn;
        state.arrivals = {now + std::min(kArrivalsMin, state.drain_timeout / 4),
                          now + std::min(kArrivalsMax, state.drain_timeout / 2)};
        actions.push_back(action::StopArrivals{});
        break;
      case Phase::LettingIn:
      case Phase::Draining:
        kill_all(state, actions);
        break;
      case Phase::Killing:
      case Phase::Over:
        break;
    }
  }

  void operator()(const event::NothingArrives&) {
    if (state.phase == Phase::LettingIn) disconnect_all(state, actions);
  }

  void let_in() {
    if (state.arrivals->until <= now) return disconnect_all(state, actions);
    if (state.arrivals->look_at > now) return;
    state.arrivals->look_at = now + kArrivalsLook;
    actions.push_back(action::LookForArrivals{});
  }

  void operator()(const event::TimePassed&) {
    if (state.phase == Phase::LettingIn) let_in();
    if (state.phase == Phase::Draining && state.deadline && *state.deadline <= now)
      return kill_all(state, actions);
    if (state.phase != Phase::Running) return;
    for (auto& [id, live] : state.live) {
      decide(id, live);
      if (!live.kill_at || *live.kill_at > now) continue;
      live.kill_at.reset();
      actions.push_back(action::Kill{id});
    }
    for (auto& place : state.places)
      if (const auto at = knows_its_ports_at(state, place); at && *at <= now)
        release_predecessors(place);
  }
};

}  // namespace

std::vector<SupervisorAction> step(Supervisor& state, const SupervisorEvent& event, TimePoint now) {
  Step step{state, now, {}};
  std::visit(step, event);
  // Whatever happened: what is due by now. But not within the forks of the step before.
  const bool forks = std::holds_alternative<event::Forked>(event);
  if (!forks && !std::holds_alternative<event::Ready>(event)) fork_due(state, now, step.actions);
  return std::move(step.actions);
}

bool has_left(const Supervisor& state, int worker) {
  const auto found = state.live.find(worker);
  return found != state.live.end() && found->second.left && !found->second.accepts;
}

std::optional<TimePoint> next_wakeup(const Supervisor& state) {
  if (state.arrivals) return std::min(state.arrivals->look_at, state.arrivals->until);
  std::optional<TimePoint> next = state.deadline;
  if (state.phase != Phase::Running) return next;
  const auto sooner = [&next](std::optional<TimePoint> at) {
    if (at && (!next || *at < *next)) next = at;
  };
  for (const auto& [id, live] : state.live) {
    if (live.closed) sooner(*live.closed + kLeavesAfter);
    sooner(live.kill_at);
  }
  for (const auto& place : state.places) sooner(knows_its_ports_at(state, place));
  if (tried_enough(state)) {
    sooner(healthy_at(state));
    return next;
  }
  for (std::size_t i = 0; i < state.places.size(); ++i)
    if (is_due(state, i)) sooner(state.places[i].due);
  return next;
}

Duration backoff(int failures) {
  Duration delay = kBackoffMin;
  for (int i = 1; i < failures && delay < kBackoffMax; ++i) delay *= 2;
  return std::min(delay, kBackoffMax);
}

}  // namespace cohort::cluster
