#include "cluster/supervisor_leader.h"

#include <utility>

namespace cohort::cluster {
namespace {

using Live = Supervisor::Live;

// The program that was told may be a child of the process that was started, and outlive it.
bool is_gone(const Supervisor& state, int worker) {
  return !state.live.contains(worker) && !state.left.contains(worker);
}

// It can be told, and stays. A successor without a place does not serve yet.
bool stays(const Supervisor& state, int worker) {
  const auto found = state.live.find(worker);
  if (found == state.live.end() || !state.leadership.greeted.contains(worker)) return false;
  const Live& live = found->second;
  return !live.ends && !live.idle && !live.told && !live.left && !live.retired && !live.held &&
         (live.place || state.places.empty());
}

// One that never listens counts as ready when it has lived for long enough.
std::optional<TimePoint> serves_at(const Live& live) {
  if (live.ready) return live.since;
  return live.says_ready ? std::nullopt : std::optional{live.since + kHealthyAfter};
}

// In the order of the places; without places, in that of the workers.
std::pair<std::size_t, int> rank(int worker, const Live& live) {
  return {live.place.value_or(0), worker};
}

std::optional<int> next_leader(const Supervisor& state, TimePoint now) {
  std::optional<std::pair<std::size_t, int>> first;
  for (const auto& [id, live] : state.live) {
    const auto at = serves_at(live);
    if (stays(state, id) && at && *at <= now && (!first || rank(id, live) < *first))
      first = rank(id, live);
  }
  return first ? std::optional{first->second} : std::nullopt;
}

}  // namespace

void lead(Moves& moves) {
  auto& [greeted, leader, asked] = moves.state.leadership;
  if (moves.state.phase != Supervisor::Phase::Running) return;
  if (leader && is_gone(moves.state, *leader)) leader.reset();
  const bool lives = leader && moves.state.live.contains(*leader);
  if (lives && !asked && !stays(moves.state, *leader)) {
    asked = true;
    moves.act(action::Follow{*leader});
  }
  if (leader) return;
  leader = next_leader(moves.state, moves.now);
  asked = false;
  if (leader) moves.act(action::Lead{*leader});
}

std::optional<TimePoint> leads_at(const Supervisor& state) {
  if (state.leadership.leader) return std::nullopt;
  std::optional<TimePoint> first;
  for (const auto& [id, live] : state.live)
    if (const auto at = serves_at(live); at && stays(state, id) && (!first || *at < *first))
      first = at;
  return first;
}

}  // namespace cohort::cluster
