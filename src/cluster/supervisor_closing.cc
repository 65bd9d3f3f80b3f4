#include "cluster/supervisor_closing.h"

#include <algorithm>
#include <utility>

namespace cohort::cluster {
namespace {

// Not one for which a worker is being forked: that is reported for the place as it was.
bool may_move(const Supervisor& state, const Supervisor::Place& place) {
  return !is_closed(state, place) && !place.succeeds && (place.worker || place.due);
}

void swap_places(Supervisor& state, std::size_t one, std::size_t other) {
  std::swap(state.places[one], state.places[other]);
  for (auto& [id, live] : state.live)
    for (auto* at : {&live.place, &live.left}) {
      if (*at == one)
        *at = other;
      else if (*at == other)
        *at = one;
    }
}

}  // namespace

void close_place(Supervisor& state, int worker, const Supervisor::Live& live) {
  if (state.phase != Supervisor::Phase::Running || live.ends) return;
  if (live.generation != state.generation) return;
  if (const auto at = live.held ? live.left : live.place) state.places[*at].closed = worker;
}

bool all_closed(const Supervisor& state) {
  const auto closed = [&](const Supervisor::Place& place) { return is_closed(state, place); };
  return !state.places.empty() && std::all_of(state.places.begin(), state.places.end(), closed);
}

void closed_go_first(Supervisor& state, std::size_t count) {
  std::size_t from = state.places.size();
  for (std::size_t to = 0; to < count && to < state.places.size(); ++to) {
    if (!is_closed(state, state.places[to])) continue;
    while (from > count && !may_move(state, state.places[from - 1])) --from;
    if (from <= count) return;
    swap_places(state, to, --from);
  }
}

}  // namespace cohort::cluster
