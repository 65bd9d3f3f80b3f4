#include "manager/recycle_rule.h"

#include <algorithm>

#include "manager/probes.h"

namespace cohort::manager {
namespace {

constexpr std::uint64_t kMegabyte = 1024 * 1024;

std::string megabytes(std::uint64_t bytes) { return std::to_string(bytes / kMegabyte) + " MB"; }

std::optional<std::string> more_than(std::uint64_t limit, std::optional<std::uint64_t> has) {
  if (!has || *has <= limit) return std::nullopt;
  return "it has " + megabytes(*has) + ", of " + megabytes(limit);
}

// Every open place has a worker that serves, and nobody else is there.
bool is_calm(const ClusterStatus& status) {
  return status.phase == ClusterStatus::Phase::Running && !status.rollout &&
         status.workers.size() == open_places(status) &&
         std::all_of(status.workers.begin(), status.workers.end(),
                     [&](const WorkerStatus& worker) { return serves(worker, status); });
}

// From the limit on, spread over a tenth of it: the same for a worker each time.
template <class Limit>
Limit limit_of(int worker, Limit limit) {
  constexpr unsigned kSteps = 8;
  return limit + limit * (static_cast<unsigned>(worker) % kSteps) / (10 * kSteps);
}

}  // namespace

std::optional<RecycleRule::Choice> RecycleRule::choose(const ClusterStatus& status, TimePoint now,
                                                       const Memory& memory) {
  if (!is_calm(status)) return std::nullopt;
  for (const WorkerStatus& worker : status.workers) {
    const auto last = rests_.find(worker.slot);
    const bool rests = last != rests_.end() && now < last->second.until;
    if (rests && last->second.worker == worker.id) continue;  // its successor failed
    auto why = answered_enough(worker);
    if (!why && !rests) why = reason(worker, memory);
    if (!why) continue;
    rests_[worker.slot] = {now + kRest, worker.id};
    return Choice{worker.id, worker.slot, std::move(*why)};
  }
  return std::nullopt;
}

std::vector<RecycleRule::Choice> RecycleRule::too_large(const ClusterStatus& status,
                                                        const Memory& memory) const {
  std::vector<Choice> all;
  if (!limits_.kill_memory) return all;
  for (const WorkerStatus& worker : status.workers)
    if (auto why = more_than(*limits_.kill_memory, memory(worker)))
      all.push_back({worker.id, worker.slot, std::move(*why)});
  return all;
}

bool RecycleRule::hides_requests(const WorkerStatus& worker, const ClusterStatus& status) const {
  return limits_.requests && !worker.requests && serves(worker, status);
}

std::optional<std::string> RecycleRule::answered_enough(const WorkerStatus& worker) const {
  if (!limits_.requests || worker.requests < limit_of(worker.id, *limits_.requests))
    return std::nullopt;
  return "it has answered " + std::to_string(*worker.requests) + " requests, of " +
         std::to_string(*limits_.requests);
}

std::optional<std::string> RecycleRule::reason(const WorkerStatus& worker,
                                               const Memory& memory) const {
  if (limits_.memory)
    if (auto why = more_than(*limits_.memory, memory(worker))) return why;
  if (limits_.age && worker.age >= limit_of(worker.id, *limits_.age))
    return "it is " +
           std::to_string(std::chrono::duration_cast<std::chrono::seconds>(worker.age).count()) +
           " s old";
  return std::nullopt;
}

}  // namespace cohort::manager
