// Places whose worker has said that another like it would end so too. Pure, and the Supervisor's
// own.
#pragma once

#include <cstddef>

#include "cluster/supervisor.h"

namespace cohort::cluster {

/// The worker has exited with kPermanent, and its place is closed if it had one, by itself, and is
/// of the generation that serves. One that was held had its place until the rollout has worked.
void close_place(Supervisor& state, int worker, const Supervisor::Live& live);
/// Whether there are places, and all of them are closed.
bool all_closed(const Supervisor& state);
/// There are to be `count` places: those that stay are the open ones, as far as there are so many.
void closed_go_first(Supervisor& state, std::size_t count);

}  // namespace cohort::cluster
