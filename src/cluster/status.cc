// The names of the states: one set everywhere.
#include "cohort/status.h"

#include "cohort/rollout.h"

namespace cohort {

const char* to_string(WorkerStatus::State state) {
  constexpr const char* kNames[] = {"spawned",   "online", "checking",
                                    "listening", "ending", "disconnected"};
  return kNames[static_cast<std::size_t>(state)];
}

const char* to_string(ClusterStatus::Phase phase) {
  constexpr const char* kNames[] = {"running",  "lame-duck", "letting-in",
                                    "draining", "killing",   "over"};
  return kNames[static_cast<std::size_t>(phase)];
}

const char* to_string(ClusterStatus::Rollout::Phase phase) {
  constexpr const char* kNames[] = {"replacing", "proving", "undoing", "preparing"};
  return kNames[static_cast<std::size_t>(phase)];
}

const char* to_string(RolloutResult::Outcome outcome) {
  constexpr const char* kNames[] = {"reached", "rolled-back", "superseded", "stopped"};
  return kNames[static_cast<std::size_t>(outcome)];
}

}  // namespace cohort
