// What follows from the state of a Supervisor: which of its places and workers are in which
// situation. Pure, and the Supervisor's own; what others ask is in supervisor.h.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "cluster/supervisor.h"

namespace cohort::cluster {

/// No process is left.
bool is_empty(const Supervisor& state);
/// Whether it is of the generation that is rolled out, and that is not being undone.
bool rolls_out(const Supervisor& state, const Supervisor::Live& live);
/// As which successors are started: that of the rollout, unless that is being undone.
int wanted_generation(const Supervisor& state);
/// Nothing more is tried until one that still starts turns out to be ready.
bool tried_enough(const Supervisor& state);
/// When the first of the workers that live and have a place will have lived long enough to count as
/// ready, whether it listens or not.
std::optional<TimePoint> healthy_at(const Supervisor& state);
/// Those that left the place, live, and do not serve again.
std::vector<int> leavers(const Supervisor& state, std::size_t place);
std::optional<int> last_leaver(const Supervisor& state, std::size_t place);
/// Whether it is to be filled, and not too many that left it live.
bool is_due(const Supervisor& state, std::size_t place);
/// When the worker of the place has had the time to ask for what its predecessors used; nothing if
/// they left none, or while it has asked for none: some programs start slowly.
std::optional<TimePoint> knows_its_ports_at(const Supervisor& state,
                                            const Supervisor::Place& place);
/// The place whose worker it is to replace.
std::optional<std::size_t> place_to_have(const Supervisor& state, int worker);
/// When the successor of a worker that never used a port counts as ready, whether it listens or
/// not.
std::optional<TimePoint> takes_over_at(const Supervisor& state, const Supervisor::Place& place);
/// When to look next whether the worker is dry, if it is retired and not told to end.
std::optional<TimePoint> looks_whether_dry_at(const Supervisor::Live& live);

}  // namespace cohort::cluster
