// How a rollout goes on, and how it is undone. Pure, and the Supervisor's own.
//
// First the canaries, then a batch at a time: each place gets a successor of the new generation,
// and whom that replaces is held. Nobody is asked twice: what is to be done follows from which
// places have workers of which generation, so that a crash, a scale, another rollout meanwhile
// change nothing of it.
//
// Undone: who is held has its place again at once, and those of the new generation are told to end.
// Where nobody is held any more, one of the generation before is started, until that has worked.
#pragma once

#include <optional>

#include "cluster/supervisor_moves.h"

namespace cohort::cluster {

/// The user wants it. One that is under way is undone, as far as that is done at once.
void want_rollout(Moves& moves, const RolloutWish& wish);
/// The user wants the generation before. Does nothing unless `may_go_back`.
void want_back(Moves& moves);
/// The worker has exited. It had a place, or was to have one.
void rollout_lost(Moves& moves, int worker, const Supervisor::Live& live);
void rollout_unfit(Moves& moves, int worker);
/// The service ends.
void stop_rollouts(Moves& moves);
/// Whatever happened: what is to be done now.
void roll(Moves& moves);
/// When something is to be done next, if nothing happens.
std::optional<TimePoint> rolls_at(const Supervisor& state);

}  // namespace cohort::cluster
