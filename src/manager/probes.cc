#include "manager/probes.h"

#include <algorithm>
#include <chrono>

#include "cluster/supervisor.h"

namespace cohort::manager {
namespace {

using State = WorkerStatus::State;

constexpr cluster::Duration kSilentForLong = cluster::kHealthyAfter,
                            kSilent = std::chrono::seconds{1};

bool says_nothing(const WorkerStatus& worker, cluster::Duration for_so_long) {
  if (!worker.check.empty()) return false;  // something is awaited of it
  const bool lives = worker.state == State::Spawned || worker.state == State::Online;
  return lives && worker.age >= for_so_long;
}

bool program_says_nothing(const ClusterStatus& status) {
  return status.ports.empty() &&
         std::any_of(status.workers.begin(), status.workers.end(),
                     [](const auto& worker) { return says_nothing(worker, kSilentForLong); });
}

std::string count_text(std::size_t serving, const ClusterStatus& status, std::size_t min_ready) {
  if (serving == 0 && status.exits == 0) return "no worker is ready yet";
  return std::to_string(serving) + " of " + std::to_string(status.places) +
         " workers serve, and --min-ready is " + std::to_string(min_ready);
}

}  // namespace

bool serves(const WorkerStatus& worker, const ClusterStatus& status) {
  if (!worker.kept || worker.held) return false;
  return worker.state == State::Listening || worker.ready ||
         says_nothing(worker, program_says_nothing(status) ? kSilent : kSilentForLong);
}

std::size_t open_places(const ClusterStatus& status) {
  return status.places - std::min(status.places, status.closed.size());
}

Verdict readiness(const ClusterStatus& status, std::size_t min_ready) {
  using Phase = ClusterStatus::Phase;
  if (status.phase == Phase::LameDuck)
    return {503, "the service ends soon, and still serves: its lame duck time"};
  if (status.phase != Phase::Running) return {503, "the service ends"};
  const auto serving = static_cast<std::size_t>(
      std::count_if(status.workers.begin(), status.workers.end(),
                    [&status](const auto& worker) { return serves(worker, status); }));
  // More than there are to be can never serve.
  const std::size_t wanted = std::min(min_ready, std::max<std::size_t>(open_places(status), 1));
  if (serving < wanted) return {503, count_text(serving, status, wanted)};
  return {200, "ok"};
}

}  // namespace cohort::manager
