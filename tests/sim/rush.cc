#include "sim/rush.h"

#include <algorithm>
#include <vector>

namespace cohort::cluster::sim {

using namespace std::chrono_literals;

namespace {

constexpr auto kLong = 900ms;
constexpr auto kKnown = 150ms;
constexpr auto kWarm = 1050ms;  // who was there before gets its whole share
constexpr int kEnough = 60;     // connections, or rounds: so that chance makes no difference

}  // namespace

Rush::Rush(Random& random, const Climate& climate, ModelPrimary& primary)
    : random_{random},
      climate_{climate},
      primary_{primary},
      start_{primary.now},
      pressed_{random.chance(400)},
      speed_{random.chance(500) ? 3 : 5},
      connects_{random.chance(500) ? 100U : 400U} {}

bool Rush::takes(int listener, int worker) const {
  const std::vector<int> takers = primary_.ports().takers(listener);
  return std::find(takers.begin(), takers.end(), worker) != takers.end() &&
         primary_.is_at_work(worker) && primary_.process(worker)->serves(listener);
}

void Rush::connections_come() {
  if (!pressed_)
    for (int listener = 0; listener < kListeners; ++listener)
      if (random_.chance(connects_)) connect(listener);
  const std::vector<int> workers = primary_.workers();
  if (workers.empty() || !random_.chance(15)) return;
  auto* const process = primary_.process(workers[random_.below(workers.size())]);
  const bool any_blocked = !blocked_since_.empty();
  if (process == nullptr || (pressed_ && any_blocked)) return;
  const auto most = random_.chance(500) ? 300U : 3000U;
  process->block(primary_.now + std::chrono::milliseconds{pressed_ ? 3000 : random_.below(most)});
}

void Rush::more_connections_come() {
  constexpr int kListener = 1;
  if (!pressed_) return;
  const auto is_idle = [&](int worker) {
    return takes(kListener, worker) && !primary_.ports().has_queue(worker, kListener);
  };
  const std::vector<int> workers = primary_.workers();
  for (int i = 0; i < 12 && std::any_of(workers.begin(), workers.end(), is_idle); ++i)
    connect(kListener);
}

void Rush::connect(int listener) {
  const auto got = primary_.connect(listener);
  if (!got) return;
  bool any_blocked = false;
  bool any_works = false;
  for (auto& [where, worker] : at_work_) {
    if (where.first != listener) continue;
    if (primary_.now >= start_ + kWarm) ++worker.came;
    if (where.second == *got) ++worker.got;
    any_works = any_works || primary_.now - worker.since >= kKnown;
  }
  const std::vector<int> takers = primary_.ports().takers(listener);
  const auto is_blocked = [&](int worker) {
    const auto since = blocked_since_.find(worker);
    return since != blocked_since_.end() && primary_.now - since->second >= kKnown;
  };
  any_blocked = std::any_of(takers.begin(), takers.end(), is_blocked);
  if (!any_blocked || !any_works) return;
  blocked_[listener].came.some_came_in(rounds_);
  if (is_blocked(*got)) blocked_[listener].got.some_came_in(rounds_);
}

void Rush::watch() {
  ++rounds_;
  for (const int id : primary_.workers()) {
    const auto* process = primary_.process(id);
    if (process != nullptr && process->alive() && process->is_blocked())
      blocked_since_.emplace(id, primary_.now);
    else
      blocked_since_.erase(id);
  }
  for (int listener = 0; listener < kListeners; ++listener) watch(listener);
}

void Rush::watch(int listener) {
  const TimePoint now = primary_.now;
  bool any = false;
  for (const int id : primary_.workers()) {
    if (!takes(listener, id)) {
      const bool was_there = at_work_.erase({listener, id}) > 0;
      if (was_there && blocked_since_.contains(id)) was_blocked_.insert({listener, id});
      continue;
    }
    const auto at = at_work_.try_emplace({listener, id}, AtWork{.since = now}).first;
    if (rounds_ == 1) there_before_.insert({listener, id});
    any = any || now - at->second.since >= kLong;
  }
  const PortClimate& port = climate_.ports[static_cast<std::size_t>(listener)];
  if (port.has_slots && (!port.rules.steer_around || port.rules.rescue_after != 6ms)) return;
  const auto first = primary_.connections().waits_since(listener);
  require(!any || !first || now - *first < kLong,
          "no connection waits for long while another worker takes some");
  if (!port.has_slots || port.to_shortest) return;
  const Blocked& blocked = blocked_[listener];
  require(blocked.came.count < kEnough || blocked.got.count * 4 < blocked.came.count,
          "connections are steered around who is blocked");
  const int enough = kEnough / 3 * static_cast<int>(primary_.ports().takers(listener).size());
  for (const auto& [where, worker] : at_work_)
    require(where.first != listener || !was_blocked_.contains(where) ||
                !there_before_.contains(where) || worker.came < enough || worker.got > 0,
            "who was blocked gets connections again");
}

}  // namespace cohort::cluster::sim
