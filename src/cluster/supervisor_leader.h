// Which worker leads: one for all of them, so that what is to be done once, and not by each, has
// somebody who does it. Pure, and the Supervisor's own.
//
// It leads until it exits, or until it was asked to lead no more, and has answered: never do two.
// Asked is who leaves its place, or lost it. The next one is that of the first place which serves.
#pragma once

#include <optional>

#include "cluster/supervisor_moves.h"

namespace cohort::cluster {

/// Whatever happened: who leads from now on, or is asked to lead no more.
void lead(Moves& moves);
/// When somebody may lead that may not now, if nothing happens.
std::optional<TimePoint> leads_at(const Supervisor& state);

}  // namespace cohort::cluster
