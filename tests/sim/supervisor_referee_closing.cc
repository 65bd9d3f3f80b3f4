// What may and must happen to places whose worker exited with 100: that part of the
// SupervisorReferee.
#include <algorithm>
#include <utility>

#include "sim/supervisor_referee.h"

namespace cohort::cluster::sim {

// Who is held had its place, and would have it again.
void SupervisorReferee::closes(int worker, const Live& live) {
  const auto at = live.held ? live.left : live.place;
  if (!at || live.ends || live.generation != generation_) return;
  places_[*at].closed = true;
  closer_ = worker;
  if (live.place) to_be_said_ = at;
}

bool SupervisorReferee::is_closed(const Place& place) const {
  return place.closed && !place.worker && !place.fork_asked && !place.succession_asked &&
         place.generation == generation_;
}

bool SupervisorReferee::all_closed() const {
  return !places_.empty() && std::all_of(places_.begin(), places_.end(),
                                         [this](const Place& p) { return is_closed(p); });
}

void SupervisorReferee::closed_go_first(std::size_t count) {
  for (std::size_t to = 0; to < std::min(count, places_.size()); ++to) {
    if (!is_closed(places_[to])) continue;
    std::optional<std::size_t> from;  // the last of those that would go
    for (std::size_t i = count; i < places_.size(); ++i)
      if (!places_[i].fork_asked && !places_[i].succession_asked && !is_closed(places_[i]))
        from = i;
    if (!from) return;
    std::swap(places_[to], places_[*from]);
    for (auto& [id, live] : live_)
      for (auto* at : {&live.place, &live.left})
        if (*at == to || *at == from) *at = *at == to ? *from : to;
  }
}

// One of the generation that serves opens it.
void SupervisorReferee::has_place(std::size_t at, int worker, const Live& live) {
  places_[at].worker = worker;
  if (live.generation == generation_) places_[at].closed = false;
}

// When its rollout is undone.
bool SupervisorReferee::is_retired_from_closed(int worker) {
  Live& live = live_.at(worker);
  if (!live.place || !places_[*live.place].closed || !rollout_before_) return false;
  Place& place = places_[*live.place];
  require(live.generation == rollout_before_->wish.generation && !place.successor,
          "who has a closed place is retired when its rollout is undone");
  place.worker.reset();
  place.generation = generation_;
  live.left = std::exchange(live.place, std::nullopt);
  return true;
}

// Nobody will ask for the ports that were used there.
bool SupervisorReferee::is_released_by_closed(int worker) {
  if (rollout_ || !running()) return false;
  return std::any_of(places_.begin(), places_.end(), [worker](Place& place) {
    return place.closed && !place.worker && std::erase(place.heirless, worker) > 0;
  });
}

void SupervisorReferee::is_said_to_be_closed(int worker) {
  require(running() && !rollout_ && to_be_said_ && closer_ == worker,
          "a place is said to be closed when its worker has exited so");
  to_be_said_.reset();
}

void SupervisorReferee::ends_by_itself(TimePoint now) {
  require(running() && !rollout_ && !places_.empty(), "only a cluster that runs ends by itself");
  require(std::all_of(places_.begin(), places_.end(),
                      [](const Place& place) {
                        return place.closed && !place.worker && !place.fork_asked;
                      }),
          "it ends by itself when every place is closed");
  all_closed_ = untold_ = true;
  terminates_ = 1;
  drain_ends_ = now + grace_;
}

void SupervisorReferee::watch_closed() const {
  if (!running() || rollout_) return;
  require(!all_closed(), "a cluster in which every place is closed ends");
  require(!to_be_said_ || !is_closed(places_[*to_be_said_]), "that a place is closed is said");
  for (const Place& place : places_)
    require(!is_closed(place) || place.heirless.empty(),
            "the ports of a closed place are released");
}

}  // namespace cohort::cluster::sim
