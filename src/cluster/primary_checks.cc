// What the workers' checks tell the primary.
#include "base/notices.h"
#include "cluster/primary.h"

namespace cohort::cluster {

void Primary::is_well(const Worker& worker, bool now) {
  const auto found = workers_.find(worker.id());
  if (found == workers_.end()) return;
  if (now)
    say(loop_, {"check_passed",
                found->second.worker->describe() + " passes its check now",
                {{"worker", std::int64_t{worker.id()}}}});
  if (!is_held(supervisor_.state(), worker.id())) listeners_->resume(*found->second.worker);
  supervisor_.tell(event::Ready{worker.id()});
}

void Primary::is_not_well(const Worker& worker, const std::string& why) {
  say(loop_,
      {"check_failed",
       "worker " + std::to_string(worker.id()) + " (pid " + std::to_string(worker.process().pid()) +
           ") listens, but fails its check: " + why + "; it is asked until it passes",
       {{"worker", std::int64_t{worker.id()}}, {"why", why}}});
}

void Primary::lives(const Worker& worker) {
  if (const auto found = workers_.find(worker.id()); found != workers_.end())
    found->second.worker->gave_sign();
}

}  // namespace cohort::cluster
