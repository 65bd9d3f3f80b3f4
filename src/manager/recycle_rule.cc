#include "manager/recycle_rule.h"

#include <algorithm>

#include "manager/probes.h"

namespace cohort::manager {
namespace {

constexpr std::uint64_t kMegabyte = 1024 * 1024;

std::string megabytes(std::uint64_t bytes) { return std::to_string(bytes / kMegabyte) + " MB"; }

// Every open place has a worker that serves, and nobody else is there.
bool is_calm(const ClusterStatus& status) {
  return status.phase == ClusterStatus::Phase::Running && !status.rollout &&
         status.workers.size() == open_places(status) &&
         std::all_of(status.workers.begin(), status.workers.end(),
                     [&](const WorkerStatus& worker) { return serves(worker, status); });
}

// From the age on, spread over a tenth of it: the same for a worker each time.
std::chrono::milliseconds age_of(int worker, std::chrono::milliseconds age) {
  constexpr int kSteps = 8;
  return age + age * (worker % kSteps) / (10 * kSteps);
}

}  // namespace

std::optional<RecycleRule::Choice> RecycleRule::choose(
    const ClusterStatus& status, TimePoint now,
    const std::function<std::optional<std::uint64_t>(const WorkerStatus&)>& memory) {
  if (!is_calm(status)) return std::nullopt;
  for (const WorkerStatus& worker : status.workers) {
    const auto rests = rests_until_.find(worker.slot);
    if (rests != rests_until_.end() && now < rests->second) continue;
    auto why = reason(worker, memory);
    if (!why) continue;
    rests_until_[worker.slot] = now + kRest;
    return Choice{worker.id, worker.slot, std::move(*why)};
  }
  return std::nullopt;
}

std::optional<std::string> RecycleRule::reason(
    const WorkerStatus& worker,
    const std::function<std::optional<std::uint64_t>(const WorkerStatus&)>& memory) const {
  if (limits_.memory) {
    const auto has = memory(worker);
    if (has && *has > *limits_.memory)
      return "it has " + megabytes(*has) + ", of " + megabytes(*limits_.memory);
  }
  if (limits_.age && worker.age >= age_of(worker.id, *limits_.age))
    return "it is " +
           std::to_string(std::chrono::duration_cast<std::chrono::seconds>(worker.age).count()) +
           " s old";
  return std::nullopt;
}

}  // namespace cohort::manager
