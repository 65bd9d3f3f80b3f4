#include "cluster/dispatcher.h"

#include <algorithm>
#include <utility>

namespace cohort::cluster {
namespace {

constexpr std::chrono::milliseconds kFullMin{5};
constexpr std::chrono::milliseconds kFullMax{320};
// That the primary holds for workers that are not free, all together.
constexpr std::size_t kWantingMax = 512;

}  // namespace

void Dispatcher::join(int worker, unsigned credits) {
  credits = std::max(credits, 1u);
  if (Worker* found = find(worker))
    found->credits = credits;
  else
    workers_.push_back({worker, credits, {}});
}

void Dispatcher::leave(int worker) {
  if (Worker* found = find(worker)) found->credits = 0;
}

std::vector<ConnectionId> Dispatcher::lose(int worker) {
  const auto found = std::find_if(workers_.begin(), workers_.end(),
                                  [&](const Worker& w) { return w.id == worker; });
  if (found == workers_.end()) return {};
  auto unanswered = std::move(found->unanswered);
  workers_.erase(found);
  return unanswered;
}

bool Dispatcher::has(int worker) const {
  const Worker* found = find(worker);
  return found != nullptr && found->is_in();
}

bool Dispatcher::any_unanswered() const {
  return std::any_of(workers_.begin(), workers_.end(),
                     [](const Worker& worker) { return !worker.unanswered.empty(); });
}

void Dispatcher::offer(ConnectionId connection, int wanted) {
  // In the order of arrival: those that come back from a worker are older than those that wait.
  const auto later = std::find_if(waiting_.begin(), waiting_.end(), [&](const Waiting& waiting) {
    return waiting.connection > connection;
  });
  waiting_.insert(later, {connection, wanted});
}

// One that left is not waited for.
bool Dispatcher::waits_for(const Waiting& waiting) const {
  return waiting.wanted != 0 && has(waiting.wanted);
}

Dispatcher::Worker* Dispatcher::best(TimePoint now) {
  Worker* best = nullptr;
  for (auto& worker : workers_) {
    if (!is_free(worker, now)) continue;
    if (best == nullptr || worker.unanswered.size() < best->unanswered.size() ||
        (worker.unanswered.size() == best->unanswered.size() && worker.last_turn < best->last_turn))
      best = &worker;
  }
  return best;
}

std::optional<Dispatcher::Assignment> Dispatcher::next(TimePoint now) {
  Worker* const any = best(now);
  if (any == nullptr) return std::nullopt;
  for (auto waiting = waiting_.begin(); waiting != waiting_.end(); ++waiting) {
    Worker* const worker = waits_for(*waiting) ? find(waiting->wanted) : any;
    if (!is_free(*worker, now)) continue;
    const Assignment assignment{worker->id, waiting->connection};
    waiting_.erase(waiting);
    worker->unanswered.push_back(assignment.connection);
    worker->last_turn = ++turn_;
    return assignment;
  }
  return std::nullopt;
}

bool Dispatcher::accepted(int worker, ConnectionId connection) {
  Worker* found = find(worker);
  if (!answer(found, connection)) return false;
  found->full_for = {};
  found->full_until = {};
  return true;
}

bool Dispatcher::refused(int worker, ConnectionId connection, TimePoint now) {
  Worker* found = find(worker);
  if (!answer(found, connection)) return false;
  if (found->full_until > now) return true;  // it refuses several at once
  found->full_for = std::clamp(found->full_for * 2, kFullMin, kFullMax);
  found->full_until = now + found->full_for;
  return true;
}

bool Dispatcher::is_full(int worker, TimePoint now) const {
  const Worker* found = find(worker);
  return found != nullptr && found->full_until > now;
}

void Dispatcher::has_room(int worker) {
  Worker* found = find(worker);
  if (found == nullptr) return;
  found->full_until = {};
  found->full_for = {};
}

std::size_t Dispatcher::room(TimePoint now) const {
  std::size_t credits = 0;
  for (const auto& worker : workers_)
    if (is_free(worker, now)) credits += worker.credits - worker.unanswered.size();
  const auto wanting = static_cast<std::size_t>(
      std::count_if(waiting_.begin(), waiting_.end(),
                    [&](const Waiting& waiting) { return waits_for(waiting); }));
  const std::size_t others = waiting_.size() - wanting;
  if (credits <= others || wanting >= kWantingMax) return 0;
  return std::min(credits - others, kWantingMax - wanting);
}

std::optional<Dispatcher::TimePoint> Dispatcher::retry_at(TimePoint now) const {
  std::optional<TimePoint> at;
  for (const auto& worker : workers_)
    if (worker.full_until > now && worker.unanswered.size() < worker.credits &&
        (!at || worker.full_until < *at))
      at = worker.full_until;
  return at;
}

const Dispatcher::Worker* Dispatcher::find(int worker) const {
  for (const auto& candidate : workers_)
    if (candidate.id == worker) return &candidate;
  return nullptr;
}

Dispatcher::Worker* Dispatcher::find(int worker) {
  return const_cast<Worker*>(std::as_const(*this).find(worker));
}

bool Dispatcher::is_free(const Worker& worker, TimePoint now) {
  return worker.unanswered.size() < worker.credits && worker.full_until <= now;
}

bool Dispatcher::answer(Worker* worker, ConnectionId connection) {
  if (worker == nullptr) return false;
  const auto found = std::find(worker->unanswered.begin(), worker->unanswered.end(), connection);
  if (found == worker->unanswered.end()) return false;
  worker->unanswered.erase(found);
  return true;
}

}  // namespace cohort::cluster
