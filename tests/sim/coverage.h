// What the runs visited, to prove that they are worth something.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>

#include "cluster/supervisor.h"
#include "cluster/worker_life.h"

namespace cohort::cluster::sim {

struct Coverage {
  std::set<std::pair<WorkerState, WorkerEvent>> cells;
  std::set<std::pair<Supervisor::Phase, std::size_t>> phases;  ///< and event's index
  std::map<std::string, int> counts;
};

}  // namespace cohort::cluster::sim
