#include "cluster/supervisor_rollout.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "cluster/supervisor_facts.h"

namespace cohort::cluster {
namespace {

using RolloutPhase = Rollout::Phase;
using Why = action::End::Why;

bool is_of(const Supervisor& state, std::optional<int> worker, int generation) {
  return worker && known(state.live, *worker).generation == generation;
}

// Of the rollout, and not up.
bool starts(const Supervisor& state, std::optional<int> worker) {
  return is_of(state, worker, state.rollout->wish.generation) && !known(state.live, *worker).up;
}

bool is_under_way(const Supervisor& state, const Supervisor::Place& place) {
  const bool is_forked = !place.worker && place.generation == state.rollout->wish.generation;
  return place.succeeds || place.successor || is_forked || starts(state, place.worker);
}

// A program that never used a port is up when it has lived.
std::optional<TimePoint> up_at(const Supervisor::Place& place, const Supervisor::Live& live) {
  const bool never = place.predecessors.empty() && !live.used_ports && !live.says_ready;
  return never ? std::optional{live.since + kHealthyAfter} : std::nullopt;
}

void note_who_is_up(Supervisor& state, TimePoint now) {
  for (const auto& place : state.places) {
    if (!is_of(state, place.worker, state.rollout->wish.generation)) continue;
    auto& live = known(state.live, *place.worker);
    const auto at = up_at(place, live);
    if (live.ready || (at && *at <= now)) live.up = true;
  }
}

TimePoint late_at(const Supervisor& state, int worker) {
  return known(state.live, worker).since + state.rollout->wish.plan.ready_within;
}

bool is_late(const Supervisor& state, std::optional<int> worker, TimePoint now) {
  return worker && late_at(state, *worker) <= now;
}

std::optional<int> late(const Supervisor& state, TimePoint now) {
  for (const auto& place : state.places)
    for (const auto& worker : {place.worker, place.successor})
      if (starts(state, worker) && is_late(state, worker, now)) return worker;
  return std::nullopt;
}

void drop_successor(Moves& moves, Supervisor::Place& place) {
  const int successor = *std::exchange(place.successor, std::nullopt);
  known(moves.state.live, successor).left = known(moves.state.live, *place.worker).place;
  moves.end(successor, Why::RolledBack);
}

// Who had the place before, and can have it again.
std::optional<int> held_of(const Supervisor& state, std::size_t at) {
  for (const auto& [id, live] : state.live)
    if (live.held && live.left == at && !live.ends) return id;
  return std::nullopt;
}

// Those without a place whom a rollout is to blame for, and those who are to have one.
std::size_t extra(const Supervisor& state) {
  std::size_t count = 0;
  for (const auto& [id, live] : state.live)
    if (live.held || live.retired || (live.told && !live.place)) ++count;
  for (const auto& place : state.places)
    if (place.succeeds || place.successor) ++count;
  return count;
}

bool has_room(const Supervisor& state) {
  const unsigned surge = state.rollout->wish.plan.surge;
  return surge == 0 || extra(state) < surge;
}

// As before the rollout: closed, if it was, or if the one that had it closed it meanwhile.
void close_again(Moves& moves, std::size_t at) {
  Supervisor& state = moves.state;
  auto& place = state.places[at];
  if (!place.worker && place.due) place.generation = state.generation;
  if (!place.closed) return;
  if (!place.worker) return place.due.reset();
  if (place.succeeds || !is_of(state, place.worker, state.rollout->wish.generation)) return;
  if (place.successor) drop_successor(moves, place);
  const int worker = *std::exchange(place.worker, std::nullopt);
  known(state.live, worker).left = at;
  place.generation = state.generation;
  moves.retire(worker, false);
}

// What one of another generation has closed.
void reopen(Supervisor& state, TimePoint now) {
  for (auto& place : state.places) {
    if (is_closed(state, place)) place.due = now;
    place.closed.reset();
  }
}

// Who is held still: its successor stays, or it ends by itself.
void let_go_all(Moves& moves) {
  for (const auto& [id, live] : std::map(moves.state.live))
    if (live.held) moves.let_go(id);
}

void undo(Moves& moves, RolloutEnd why, std::optional<int> worker = {}) {
  Supervisor& state = moves.state;
  Rollout& rollout = *state.rollout;
  if (std::exchange(rollout.phase, RolloutPhase::Undoing) == RolloutPhase::Undoing) return;
  rollout.proven_at.reset();
  rollout.verdict = {rollout.wish.generation, why, worker};
  for (std::size_t at = 0; at < state.places.size(); ++at)
    if (const auto held = held_of(state, at)) moves.take_back(at, *held);
  if (rollout.wish.plan.surge > 0) let_go_all(moves);  // who ends by itself: there is to be room
  for (std::size_t at = 0; at < state.places.size(); ++at) close_again(moves, at);
}

// Nobody can start before some of those who are held have gone. If the rollout is undone, their
// places get others like them.
void make_room(Moves& moves, std::size_t to_do) {
  const auto& live = moves.state.live;
  if (std::any_of(live.begin(), live.end(), [](const auto& entry) {
        return entry.second.retired || (entry.second.told && !entry.second.place);
      }))
    return;
  to_do = std::min<std::size_t>(to_do, moves.state.rollout->wish.plan.batch);
  for (const auto& [id, each] : std::map(live)) {
    if (!each.held || to_do == 0) continue;
    moves.let_go(id);
    --to_do;
  }
}

void is_over(Moves& moves, RolloutVerdict verdict) {
  moves.state.rollout.reset();
  moves.act(action::RolloutOver{verdict});
}

void unpark(Moves& moves) {
  moves.state.parked.reset();
  let_go_all(moves);
}

// True: it will have one of the new generation.
bool begin_at(Moves& moves, std::size_t at) {
  Supervisor& state = moves.state;
  auto& place = state.places[at];
  const int generation = state.rollout->wish.generation;
  if (place.worker) {
    if (is_of(state, place.worker, generation) || !may_be_replaced(state, *place.worker))
      return false;
    moves.succeed(at);
    return true;
  }
  if (!place.due && !is_closed(state, place)) return false;  // one is being forked
  place.generation = generation;
  place.due = moves.now;
  place.failures = 0;
  return true;
}

void reached(Moves& moves) {
  Supervisor& state = moves.state;
  const auto [generation, plan] = state.rollout->wish;
  state.parked = Parked{state.generation, moves.now + plan.park, plan};
  if (plan.park <= Duration{0}) unpark(moves);
  for (const auto& [id, live] : state.live)
    if (live.held) moves.act(action::Rest{id});
  state.generation = generation;
  for (auto& place : state.places) place.closed.reset();
  is_over(moves, {generation, RolloutEnd::Reached});
}

void advance(Moves& moves) {
  Supervisor& state = moves.state;
  Rollout& rollout = *state.rollout;
  const RolloutPlan& plan = rollout.wish.plan;
  note_who_is_up(state, moves.now);
  if (const auto worker = late(state, moves.now)) return undo(moves, RolloutEnd::NotReady, worker);
  std::size_t done = 0, under_way = 0;
  for (const auto& place : state.places) {
    if (is_under_way(state, place))
      ++under_way;
    else if (is_of(state, place.worker, rollout.wish.generation))
      ++done;
  }
  const std::size_t at_once = done < plan.canaries ? plan.canaries - done : plan.batch;
  for (std::size_t at = 0; at < state.places.size() && under_way < at_once && has_room(state); ++at)
    if (!is_under_way(state, state.places[at]) && begin_at(moves, at)) ++under_way;
  if (under_way == 0 && !has_room(state)) make_room(moves, state.places.size() - done);
  const bool all = done == state.places.size();
  if (!all) rollout.proven_at.reset();
  rollout.phase = all ? RolloutPhase::Proving : RolloutPhase::Replacing;
  if (!all) return;
  if (!rollout.proven_at) rollout.proven_at = moves.now + plan.prove;
  if (*rollout.proven_at <= moves.now) reached(moves);
}

// Who is held has its place. Others get one of the generation before.
void undo_rest(Moves& moves) {
  Supervisor& state = moves.state;
  Rollout& rollout = *state.rollout;
  std::size_t under_way = 0;
  bool any = false;
  for (std::size_t at = 0; at < state.places.size(); ++at) {
    auto& place = state.places[at];
    close_again(moves, at);
    if (is_late(state, place.successor, moves.now)) {
      drop_successor(moves, place);
      rollout.retry_at = moves.now + backoff(++rollout.failures, 0, moves.state.rules);
    }
    if (place.succeeds || place.successor) ++under_way;
    // One that serves in a closed place came back to it: it stays.
    const bool may_stay = place.closed && place.worker;
    any = any || place.succeeds || (!may_stay && place.generation != state.generation);
  }
  if (!any) {
    let_go_all(moves);
    return is_over(moves, rollout.verdict);
  }
  if (rollout.retry_at && *rollout.retry_at > moves.now) return;
  rollout.retry_at.reset();
  for (std::size_t at = 0;
       at < state.places.size() && under_way < rollout.wish.plan.batch && has_room(state); ++at) {
    const auto& worker = state.places[at].worker;
    if (state.places[at].closed) continue;
    if (!worker || is_of(state, worker, state.generation) || !may_be_replaced(state, *worker))
      continue;
    moves.succeed(at);
    ++under_way;
  }
}

// Those of a rollout that is undone, or over, or from before this one.
void end_unwanted_successors(Moves& moves) {
  Supervisor& state = moves.state;
  for (auto& place : state.places)
    if (place.successor && !is_of(state, place.successor, wanted_generation(state)))
      drop_successor(moves, place);
}

}  // namespace

void want_rollout(Moves& moves, const RolloutWish& wish) {
  Supervisor& state = moves.state;
  if (state.phase != Supervisor::Phase::Running)
    return moves.act(action::RolloutOver{{wish.generation, RolloutEnd::Stopped}});
  if (state.parked) unpark(moves);
  if (state.rollout) {
    undo(moves, RolloutEnd::Superseded);
    let_go_all(moves);
    is_over(moves, state.rollout->verdict);
  }
  state.rollout = Rollout{.wish = wish};
}

void want_back(Moves& moves) {
  Supervisor& state = moves.state;
  if (!may_go_back(state)) return;
  if (const auto parked = std::exchange(state.parked, std::nullopt)) {
    state.rollout = Rollout{.wish = {state.generation, parked->plan}};
    reopen(state, moves.now);
    state.generation = parked->generation;
  }
  undo(moves, RolloutEnd::TakenBack);
}

void rollout_lost(Moves& moves, int worker, const Supervisor::Live& live) {
  Supervisor& state = moves.state;
  if (!state.rollout || state.phase != Supervisor::Phase::Running || live.told) return;
  Rollout& rollout = *state.rollout;
  const bool is_new = live.generation == rollout.wish.generation;
  if (is_new) return undo(moves, RolloutEnd::Died, worker);
  if (rollout.phase == RolloutPhase::Undoing && !live.place)
    rollout.retry_at = moves.now + backoff(++rollout.failures, 0, moves.state.rules);
}

void rollout_unfit(Moves& moves, int worker) {
  const auto found = moves.state.live.find(worker);
  if (found != moves.state.live.end() && rolls_out(moves.state, found->second))
    undo(moves, RolloutEnd::Unfit, worker);
}

void stop_rollouts(Moves& moves) {
  Supervisor& state = moves.state;
  state.parked.reset();
  if (const auto rollout = std::exchange(state.rollout, std::nullopt)) {
    const RolloutVerdict stopped{rollout->wish.generation, RolloutEnd::Stopped};
    moves.act(
        action::RolloutOver{rollout->phase == RolloutPhase::Undoing ? rollout->verdict : stopped});
  }
}

void roll(Moves& moves) {
  Supervisor& state = moves.state;
  if (state.phase != Supervisor::Phase::Running) return;
  if (state.parked && state.parked->until <= moves.now) unpark(moves);
  end_unwanted_successors(moves);
  if (state.rollout && state.rollout->phase != RolloutPhase::Undoing) advance(moves);
  if (!state.rollout || state.rollout->phase != RolloutPhase::Undoing) return;
  end_unwanted_successors(moves);
  undo_rest(moves);
}

std::optional<TimePoint> rolls_at(const Supervisor& state) {
  if (state.parked) return state.parked->until;
  if (!state.rollout) return std::nullopt;
  const Rollout& rollout = *state.rollout;
  const bool undoing = rollout.phase == RolloutPhase::Undoing;
  std::optional<TimePoint> next = undoing ? rollout.retry_at : rollout.proven_at;
  const auto sooner = [&next](std::optional<TimePoint> at) {
    if (at && (!next || *at < *next)) next = at;
  };
  for (const auto& place : state.places) {
    for (const auto& worker : {place.worker, place.successor})
      if (undoing ? worker && worker == place.successor : starts(state, worker))
        sooner(late_at(state, *worker));
    if (!undoing && starts(state, place.worker))
      sooner(up_at(place, known(state.live, *place.worker)));
  }
  return next;
}

}  // namespace cohort::cluster
