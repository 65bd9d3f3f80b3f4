// What a load balancer, or Kubernetes, is told of an application: whether it can take requests.
//
// Pure.
#pragma once

#include <cstddef>
#include <string>

#include "cohort/status.h"

namespace cohort::manager {

/// Whether the worker takes requests: it fills a place, for good, and listens, or was given its
/// sockets. One that says nothing counts once it has lived for 10 s. In a program of which that is
/// known (another one has lived so long, and no port is open) 1 s is enough.
bool serves(const WorkerStatus& worker, const ClusterStatus& status);

/// How many places are not closed: they have a worker, or will have.
std::size_t open_places(const ClusterStatus& status);

struct Verdict {
  int status = 200;  ///< Of HTTP.
  std::string text;
};
/// Ready: so many workers serve, or as many as there are open places, and the service does not end.
Verdict readiness(const ClusterStatus& status, std::size_t min_ready);

}  // namespace cohort::manager
