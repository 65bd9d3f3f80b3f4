#include "cluster/supervisor.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "cluster/supervisor_closing.h"
#include "cluster/supervisor_facts.h"
#include "cluster/supervisor_leader.h"
#include "cluster/supervisor_moves.h"
#include "cluster/supervisor_rollout.h"

namespace cohort::cluster {
namespace {

using Phase = Supervisor::Phase;

struct Step : Moves {
  void operator()(const event::Keep& keep) {
    if (state.phase != Phase::Running) return;
    closed_go_first(state, keep.count);
    for (auto& [id, live] : state.live)
      if (live.place && *live.place >= keep.count) live.place.reset();
    resize(keep.count);
  }

  void operator()(const event::Scale& scale) {
    if (state.phase != Phase::Running) return;
    closed_go_first(state, scale.count);
    for (std::size_t i = scale.count; i < state.places.size(); ++i)
      if (const auto worker = std::exchange(state.places[i].worker, std::nullopt))
        retire(*worker, false);
    for (std::size_t i = scale.count; i < state.places.size(); ++i)
      if (const auto successor = std::exchange(state.places[i].successor, std::nullopt))
        end(*successor, action::End::Why::Surplus);
    resize(scale.count);
  }

  // Those whose place is no more have none, and had none.
  void resize(std::size_t count) {
    for (auto& [id, live] : state.live) {
      if (!live.left || *live.left < count) continue;
      live.left.reset();
      if (live.held) let_go(id);
    }
    const std::size_t before = state.places.size();
    for (std::size_t i = count; i < before; ++i) release_predecessors(state.places[i]);
    state.places.resize(count);
    for (std::size_t i = before; i < count; ++i) {
      state.places[i].due = now;
      state.places[i].generation = state.generation;
    }
  }

  void operator()(const event::Forked& forked) {
    if (state.phase == Phase::Killing || state.phase == Phase::Over) {
      // Not waited for, else a handler that forks on every exit would keep a dying cluster alive.
      if (state.phase == Phase::Killing) act(action::KillAll{});
      return;
    }
    auto& live = state.live[forked.worker] = {std::nullopt, forked.waits ? kNotYet : now};
    live.generation = forked.generation;
    live.says_ready = forked.says_ready;
    if (forked.place && *forked.place < state.places.size())
      fill(*forked.place, forked.worker, live);
    if (state.phase == Phase::Draining) act(action::DisconnectAll{});
  }

  void operator()(const event::Started& started) {
    const auto found = state.live.find(started.worker);
    if (found != state.live.end()) found->second.since = now;
  }

  void fill(std::size_t at, int worker, Supervisor::Live& live) {
    auto& place = state.places[at];
    const bool succeeds = std::exchange(place.succeeds, false);
    if (place.worker && succeeds) {
      place.successor = worker;
    } else if (place.worker) {  // it was taken back meanwhile
      live.left = at;
      end(worker, action::End::Why::Surplus);
    }
    if (place.worker) return;
    have(at, worker, live);
    place.due.reset();
    live.place = at;
  }

  void operator()(const event::Ready& ready) {
    const auto live = state.live.find(ready.worker);
    if (live == state.live.end()) return;
    live->second.ready = true;
    const auto place = place_to_have(state, ready.worker);
    if (place && state.phase == Phase::Running && !live->second.ends) pass_on(*place);
    if (live->second.place) state.ever_ready = true;
  }

  void operator()(const event::Greeted& greeted) {
    if (state.live.contains(greeted.worker)) state.leadership.greeted.insert(greeted.worker);
  }

  void operator()(const event::Followed& followed) {
    auto& [greeted, leader, asked] = state.leadership;
    if (leader == followed.worker && asked) leader.reset();
  }

  void operator()(const event::Exited& exited) {
    const auto found = state.live.find(exited.worker);
    if (found == state.live.end()) return;
    const auto live = found->second;
    state.live.erase(found);
    state.leadership.greeted.erase(exited.worker);
    if (exited.leaves_some) state.left.insert(exited.worker);
    const auto to_have = place_to_have(state, exited.worker);
    if (to_have) state.places[*to_have].successor.reset();
    if (exited.permanent) close_place(state, exited.worker, live);
    if (live.place) vacate(*live.place, exited.worker, live);
    if (live.left) remember(*live.left, exited.worker, live);
    if (to_have || live.place) rollout_lost(*this, exited.worker, live);
    if (state.phase == Phase::Killing && exited.leaves_some) act(action::KillAll{});
    if (state.phase != Phase::Running) finish_if_empty();
  }

  void operator()(const event::Vanished& vanished) {
    const bool waited_for = state.left.erase(vanished.worker) > 0;
    if (waited_for && state.phase != Phase::Running) finish_if_empty();
  }

  void operator()(const event::Opened& opened) {
    const auto found = state.live.find(opened.worker);
    if (found == state.live.end()) return;
    auto& live = found->second;
    live.used_ports = true;
    if (!live.accepts) live.accepts = now;
    if (!live.left || live.ends || live.retired || live.held) return;
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
      if (successor.accepts) return end(worker, TwoInAPlace);
      successor.left = std::exchange(successor.place, std::nullopt);
      end(*place.worker, TwoInAPlace);
    }
    have(at, worker, live);
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
    if (state.phase != Phase::Running || live.retired || live.held) return;
    live.closed = {now, now - *since < kLeavesAfter};
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

  void operator()(const event::Ends& ends) {
    const auto found = state.live.find(ends.worker);
    if (found == state.live.end()) return;
    found->second.ends = true;
    if (state.phase != Phase::Running) return;
    decide(ends.worker, found->second);
  }

  void operator()(const event::Replace& replace) {
    if (!may_be_replaced(state, replace.worker)) return;
    succeed(*known(state.live, replace.worker).place);
  }

  void operator()(const event::Reload& reload) { want_rollout(*this, reload.wish); }

  void operator()(const event::Rollback&) { want_back(*this); }

  void operator()(const event::Unfit& unfit) { rollout_unfit(*this, unfit.worker); }

  void operator()(const event::Dry& dry) {
    const auto found = state.live.find(dry.worker);
    if (found == state.live.end() || !found->second.retired) return;
    if (state.phase == Phase::Running) end(dry.worker, action::End::Why::Replaced);
  }

  void let_dry(int worker, Supervisor::Live& live) {
    const auto at = looks_whether_dry_at(live);
    if (!at || *at > now) return;
    if (live.retired->until <= now) return end(worker, action::End::Why::Replaced);
    live.retired->look_at = now + kArrivalsLook;
    act(action::LookWhetherDry{worker});
  }

  // The end of the service.

  void operator()(const event::Terminate&) {
    switch (state.phase) {
      case Phase::Running:
        stop_rollouts(*this);
        state.reasons.told = true;
        begin_end();
        break;
      case Phase::LettingIn:
      case Phase::Draining:
        if (std::exchange(state.reasons.told, true)) kill_all();
        break;
      case Phase::Killing:
      case Phase::Over:
        break;
    }
  }

  void begin_end() {
    state.deadline = now + state.rules.drain_timeout;
    if (state.live.empty()) {
      state.phase = Phase::Draining;
      return finish_if_empty();
    }
    state.phase = Phase::LettingIn;
    state.arrivals = {now + std::min(kArrivalsMin, state.rules.drain_timeout / 4),
                      now + std::min(kArrivalsMax, state.rules.drain_timeout / 2)};
    act(action::StopArrivals{});
  }

  // Nobody is left to start. While a rollout goes on, it fills them.
  void end_if_all_closed(const SupervisorEvent& event) {
    if (state.phase != Phase::Running || state.rollout) return;
    if (all_closed(state)) {
      state.reasons.all_closed = true;
      act(action::AllClosed{});
      return begin_end();
    }
    const auto* exited = std::get_if<event::Exited>(&event);
    for (auto& place : state.places) {
      if (!is_closed(state, place)) continue;
      release_predecessors(place);
      if (exited != nullptr && place.closed == exited->worker) act(action::Close{exited->worker});
    }
  }

  void operator()(const event::NothingArrives&) {
    if (state.phase == Phase::LettingIn) disconnect_all();
  }

  void let_in() {
    if (state.arrivals->until <= now) return disconnect_all();
    if (state.arrivals->look_at > now) return;
    state.arrivals->look_at = now + kArrivalsLook;
    act(action::LookForArrivals{});
  }

  // Whoever waited at the ports was let in, or has had the time for it.
  void disconnect_all() {
    state.phase = Phase::Draining;
    state.arrivals.reset();
    if (!state.live.empty()) act(action::DisconnectAll{});
  }

  void kill_all() {
    state.phase = Phase::Killing;
    state.deadline.reset();
    state.arrivals.reset();
    if (!is_empty(state)) act(action::KillAll{});
    finish_if_empty();
  }

  void finish_if_empty() {
    if (!is_empty(state)) return;
    state.phase = Phase::Over;
    state.deadline.reset();
    state.arrivals.reset();
    act(action::Finish{state.reasons.gave_up, state.reasons.all_closed});
  }

  // Time.

  void operator()(const event::TimePassed&) {
    if (state.phase == Phase::LettingIn) let_in();
    if (state.phase == Phase::Draining && state.deadline && *state.deadline <= now)
      return kill_all();
    if (state.phase != Phase::Running) return;
    for (auto& [id, live] : state.live) {
      decide(id, live);
      let_dry(id, live);
      if (!live.told || !live.told->kill_at || *live.told->kill_at > now) continue;
      live.told->kill_at.reset();
      act(action::Kill{id});
    }
    for (std::size_t i = 0; i < state.places.size(); ++i) {
      auto& place = state.places[i];
      if (const auto at = takes_over_at(state, place); at && *at <= now) pass_on(i);
      if (const auto at = knows_its_ports_at(state, place); at && *at <= now)
        release_predecessors(place);
    }
  }

  void note_health() {
    const auto healthy = healthy_at(state);
    if (state.phase == Phase::Running && healthy && *healthy <= now) state.ever_ready = true;
  }

  // Forks what is due. Before any worker was ready, no more than kTriesMax are tried in all.
  void fork_due() {
    if (state.phase != Phase::Running) return;
    if (tried_enough(state)) {
      // One that still starts may yet be ready.
      if (healthy_at(state) || state.places.empty()) return;
      stop_rollouts(*this);
      state.reasons.gave_up = true;
      act(action::GiveUp{});
      return kill_all();
    }
    for (std::size_t i = 0; i < state.places.size(); ++i) {
      auto& place = state.places[i];
      if (!is_due(state, i) || *place.due > now) continue;
      end_oldest_leaver(i);
      place.due.reset();
      act(action::Fork{i, place.generation, last_leaver(state, i)});
    }
  }

  // If there are too many that nobody has told.
  void end_oldest_leaver(std::size_t place) {
    std::vector<int> ids = leavers(state, place);
    std::erase_if(ids, [this](int id) { return known(state.live, id).told.has_value(); });
    if (ids.size() >= kLeaversMax) end(ids.front(), action::End::Why::TooMany);
  }
};

}  // namespace

std::vector<SupervisorAction> step(Supervisor& state, const SupervisorEvent& event, TimePoint now) {
  Step step{{state, now}};
  std::visit(step, event);
  step.note_health();  // before the rollout, which waits for it
  roll(step);
  step.end_if_all_closed(event);
  lead(step);
  // Whatever happened: what is due by now. But not within the forks of the step before.
  const bool forks = std::holds_alternative<event::Forked>(event);
  if (!forks && !std::holds_alternative<event::Ready>(event)) step.fork_due();
  return std::move(step.actions);
}

}  // namespace cohort::cluster
