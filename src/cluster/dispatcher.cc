#include "cluster/dispatcher.h"

#include <algorithm>
#include <utility>

namespace cohort::cluster {
namespace {

constexpr std::chrono::milliseconds kFullMin{5};
constexpr std::chrono::milliseconds kFullMax{320};

}  // namespace

void Dispatcher::join(int worker, unsigned credits) {
  credits = std::max(credits, 1u);
  if (Worker* found = find(worker))
    found->credits = credits;  // it had retired
  else
    workers_.push_back({worker, credits, {}});
}

std::vector<ConnectionId> Dispatcher::leave(int worker) {
  const auto found = std::find_if(workers_.begin(), workers_.end(),
                                  [&](const Worker& w) { return w.id == worker; });
  if (found == workers_.end()) return {};
  auto unanswered = std::move(found->unanswered);
  workers_.erase(found);
  return unanswered;
}

void Dispatcher::retire(int worker) {
  if (Worker* found = find(worker)) found->credits = 0;
}

bool Dispatcher::any_unanswered() const {
  return std::any_of(workers_.begin(), workers_.end(),
                     [](const Worker& worker) { return !worker.unanswered.empty(); });
}

void Dispatcher::offer(ConnectionId connection) {
  // In the order of arrival: those that come back from a worker are older than those that wait.
  waiting_.insert(std::upper_bound(waiting_.begin(), waiting_.end(), connection), connection);
}

std::optional<Dispatcher::Assignment> Dispatcher::next(TimePoint now) {
  if (waiting_.empty()) return std::nullopt;
  Worker* best = nullptr;
  for (auto& worker : workers_) {
    if (!is_free(worker, now)) continue;
    if (best == nullptr || worker.unanswered.size() < best->unanswered.size() ||
        (worker.unanswered.size() == best->unanswered.size() && worker.last_turn < best->last_turn))
      best = &worker;
  }
  if (best == nullptr) return std::nullopt;
  const Assignment assignment{best->id, waiting_.front()};
  waiting_.pop_front();
  best->unanswered.push_back(assignment.connection);
  best->last_turn = ++turn_;
  return assignment;
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
  return credits > waiting_.size() ? credits - waiting_.size() : 0;
}

std::optional<Dispatcher::TimePoint> Dispatcher::retry_at() const {
  std::optional<TimePoint> at;
  for (const auto& worker : workers_)
    if (worker.full_for.count() != 0 && worker.unanswered.size() < worker.credits &&
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
