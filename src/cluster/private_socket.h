// Sockets that a worker opens for itself: no client knows their name.
#pragma once

#include <sys/types.h>

#include "cohort/address.h"

namespace cohort::cluster {

/// Whether the worker with this pid listens there for itself: a Unix socket with its pid in its
/// name (`/tmp/tsx-0/4711.pipe`, which `tsx` opens before it starts the program as a process of its
/// own). That makes a worker neither ready nor shares a port. Pure.
bool is_private(const Address& address, pid_t pid);

}  // namespace cohort::cluster
