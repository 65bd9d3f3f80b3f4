// One worker in the model primary: what a ForkedWorker has.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "cluster/ending.h"
#include "cluster/settling_rule.h"
#include "sim/ending_referee.h"
#include "sim/model_primary.h"

namespace cohort::cluster::sim {

struct ModelPrimary::ModelWorker {
  ModelWorker(int number, std::size_t slot_number, bool starts)
      : id{number}, slot{slot_number}, referee{starts} {}
  bool of_cohort() const { return process && process->kind() == VirtualProcess::Kind::Cohort; }

  struct HandOff {
    std::uint64_t seq;
    int listener;  // kProbe: of none
    std::vector<ConnectionId> held;
  };
  static constexpr int kProbe = -1;

  int id;
  std::size_t slot;
  WorkerState state = WorkerState::Spawned;
  LifeReferee referee;
  std::unique_ptr<VirtualProcess> process;  // none if it failed to start, or waits
  bool waits = false;                       // its process is started later
  bool given_up = false;                    // it waited, and was told to end
  bool channel_open = true;                 // our end
  bool in_workers = true;
  bool has_spoken = false;
  bool served = false;  // it was told where it listens
  bool said_listening = false;
  SettlingRule settling;
  TimePoint asked_at{};  // to end
  std::optional<Ending> ending;
  EndingReferee ending_referee;
  std::optional<TimePoint> ending_look;
  std::optional<TimePoint> idle_look;
  std::deque<HandOff> unanswered{};
  std::uint64_t last_seq = 0;
};

}  // namespace cohort::cluster::sim
