#include "cluster/supervisor.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "cluster/supervisor_facts.h"

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

void end(Supervisor& state, int worker, action::End::Why why, TimePoint now, Actions& actions) {
  Supervisor::Live& live = known(state.live, worker);
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
  std::erase_if(ids, [&state](int id) { return known(state.live, id).asked; });
  if (ids.size() >= kLeaversMax) end(state, ids.front(), action::End::Why::TooMany, now, actions);
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
    auto& live = state.live[forked.worker] = {std::nullopt, now};
    if (forked.place && *forked.place < state.places.size())
      fill(*forked.place, forked.worker, live);
    if (state.phase == Phase::Draining) actions.push_back(action::DisconnectAll{});
  }

  void fill(std::size_t at, int worker, Supervisor::Live& live) {
    auto& place = state.places[at];
    const bool succeeds = std::exchange(place.succeeds, false);
    live.generation = place.generation;
    if (place.worker) {
      if (succeeds) place.successor = worker;
      return;
    }
    place.worker = worker;
    place.due.reset();
    live.place = at;
  }

  void operator()(const event::Ready& ready) {
    const auto live = state.live.find(ready.worker);
    if (live == state.live.end()) return;
    live->second.ready = true;
    const auto place = place_to_have(state, ready.worker);
    if (place && state.phase == Phase::Running && !live->second.ends) replace_worker_of(*place);
    if (live->second.place) state.ever_ready = true;
  }

  void operator()(const event::Exited& exited) {
    const auto found = state.live.find(exited.worker);
    if (found == state.live.end()) return;
    const auto live = found->second;
    state.live.erase(found);
    if (exited.leaves_some) state.left.insert(exited.worker);
    if (const auto place = place_to_have(state, exited.worker))
      state.places[*place].successor.reset();
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
    if (!live.left || live.ends || live.retired) return;
    state.comes_back = true;
    if (state.phase == Phase::Running) comes_back(opened.worker, live);
  }

  // To a place that may have been filled: whoever serves keeps it.
  void comes_back(int worker, Supervisor::Live& live) {
    using enum action::End::Why;
    const std::size_t at = *live.left;
    auto& place = state.places[at];
    if (place.worker) {
      auto& successor = known(state.live, *place.worker);
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
    if (state.phase != Phase::Running || live.retired) return;
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
    remember(at, worker, live);
    if (place.successor)
      take_over(at);
    else
      place.due = now + backoff(place.failures);
  }

  // The worker of the place is gone, or retired.
  void take_over(std::size_t at) {
    auto& place = state.places[at];
    const int worker = *std::exchange(place.successor, std::nullopt);
    auto& live = known(state.live, worker);
    place.worker = worker;
    live.place = at;
    if (live.ready) state.ever_ready = true;
    if (state.phase == Phase::Running) decide(worker, live);
  }

  void operator()(const event::Replace& replace) {
    if (!may_be_replaced(state, replace.worker)) return;
    const std::size_t at = *known(state.live, replace.worker).place;
    auto& place = state.places[at];
    place.succeeds = true;
    ++place.generation;
    actions.push_back(action::Fork{at, replace.worker});
  }

  void replace_worker_of(std::size_t at) {
    const int old = *state.places[at].worker;
    auto& live = known(state.live, old);
    live.left = std::exchange(live.place, std::nullopt);
    live.closed.reset();
    live.retired = {now + std::min(kArrivalsMin, state.drain_timeout / 4),
                    now + state.drain_timeout};
    remember(at, old, live);
    take_over(at);
    actions.push_back(action::Retire{old});
  }

  void operator()(const event::Dry& dry) {
    const auto found = state.live.find(dry.worker);
    if (found == state.live.end() || !found->second.retired) return;
    if (state.phase == Phase::Running)
      end(state, dry.worker, action::End::Why::Replaced, now, actions);
  }

  void let_dry(int worker, Supervisor::Live& live) {
    const auto at = looks_whether_dry_at(live);
    if (!at || *at > now) return;
    if (live.retired->until <= now)
      return end(state, worker, action::End::Why::Replaced, now, actions);
    live.retired->look_at = now + kArrivalsLook;
    actions.push_back(action::LookWhetherDry{worker});
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
      let_dry(id, live);
      if (!live.kill_at || *live.kill_at > now) continue;
      live.kill_at.reset();
      actions.push_back(action::Kill{id});
    }
    for (std::size_t i = 0; i < state.places.size(); ++i) {
      auto& place = state.places[i];
      if (const auto at = takes_over_at(state, place); at && *at <= now) replace_worker_of(i);
      if (const auto at = knows_its_ports_at(state, place); at && *at <= now)
        release_predecessors(place);
    }
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

}  // namespace cohort::cluster
