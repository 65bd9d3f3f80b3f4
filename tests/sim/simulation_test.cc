#include "sim/simulation.h"

#include <gtest/gtest.h>

namespace cohort::cluster::sim {
namespace {

constexpr int kSeeds = 150;
constexpr int kSteps = 10000;

Coverage coverage_of_many_seeds() {
  Coverage sum;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    Outcome outcome = simulate({.seed = seed, .steps = kSteps});
    EXPECT_EQ(outcome.violation, "")
        << "replay: cluster_sim --seed " << seed << " --steps " << kSteps;
    sum.cells.merge(outcome.coverage.cells);
    sum.phases.merge(outcome.coverage.phases);
    for (const auto& [what, count] : outcome.coverage.counts) sum.counts[what] += count;
  }
  return sum;
}

// What the runs have to visit, to be worth something.

void expect_every_cell_that_a_real_worker_can_reach(const Coverage& coverage) {
  const auto& cells = coverage.cells;
  for (int s = 0; s < kWorkerStates; ++s) {
    for (int e = 0; e < kWorkerEvents; ++e) {
      const auto state = static_cast<WorkerState>(s);
      const auto event = static_cast<WorkerEvent>(e);
      const bool connected = s <= static_cast<int>(WorkerState::Disconnecting);
      bool can_happen = connected;  // whatever a worker may say
      if (event == WorkerEvent::DisconnectAsked) can_happen = true;
      // Of one that said meanwhile that it ends, too.
      if (event == WorkerEvent::Settled)
        can_happen = state == WorkerState::Settling || state == WorkerState::Disconnecting;
      if (event == WorkerEvent::Exited) can_happen = state != WorkerState::Dead;
      if (event == WorkerEvent::SpawnFailed)
        can_happen = state == WorkerState::Spawned || state == WorkerState::Settling ||
                     state == WorkerState::Disconnecting;
      EXPECT_EQ(cells.contains({state, event}), can_happen)
          << to_string(state) << " / " << to_string(event);
    }
  }
}

void expect_every_event_in_every_phase(const Coverage& coverage) {
  const auto& phases = coverage.phases;
  for (const auto phase :
       {Supervisor::Phase::Running, Supervisor::Phase::LettingIn, Supervisor::Phase::Draining,
        Supervisor::Phase::Killing, Supervisor::Phase::Over})
    for (std::size_t event = 0; event < std::variant_size_v<SupervisorEvent>; ++event) {
      // Once nothing arrives any more, nobody gets a port, and who gets none is not ready.
      const bool opens = event == SupervisorEvent{cluster::event::Opened{}}.index();
      const bool is_ready = event == SupervisorEvent{cluster::event::Ready{}}.index();
      if (phase != Supervisor::Phase::Running && (opens || is_ready)) continue;
      // Who is idle has served.
      const bool is_idle = event == SupervisorEvent{cluster::event::Idle{}}.index();
      const bool follows = event == SupervisorEvent{cluster::event::Followed{}}.index();
      if (phase == Supervisor::Phase::Over && (is_idle || follows)) continue;
      const bool let_in = event == SupervisorEvent{cluster::event::NothingArrives{}}.index();
      if (phase != Supervisor::Phase::LettingIn && let_in) continue;
      // Who is told to end is started no more.
      const bool is_started = event == SupervisorEvent{cluster::event::Started{}}.index();
      const bool all_told =
          phase == Supervisor::Phase::Draining || phase == Supervisor::Phase::Killing;
      if (all_told && is_started) continue;
      const bool dry = event == SupervisorEvent{cluster::event::Dry{}}.index();
      if (phase != Supervisor::Phase::Running && dry) continue;
      EXPECT_TRUE(phases.contains({phase, event})) << static_cast<int>(phase) << " / " << event;
    }
}

void expect_every_kind_of_end(const Coverage& coverage) {
  const auto& counts = coverage.counts;
  for (const char* what : {"gave up",
                           "closed a place",
                           "closed all",
                           "killed all",
                           "let in",
                           "settled",
                           "saved by health",
                           "refused",
                           "rescued",
                           "lost with its worker",
                           "succeeded beside",
                           "succeeded in its slot",
                           "closed for good",
                           "ended since it serves nothing",
                           "ended in a crowd",
                           "ended since one came back",
                           "replaced",
                           "killed, since it did not end",
                           "signalled",
                           "rushed",
                           "accepted by its worker",
                           "moved from a slot",
                           "resumed",
                           "rests",
                           "leads",
                           "started late",
                           "ended before it was started",
                           "rollout reached",
                           "rollout undone: died",
                           "rollout undone: not ready",
                           "rollout undone: unfit",
                           "rollout taken back",
                           "back to who was parked",
                           "rollout undone: superseded",
                           "rollout stopped",
                           "ended since its rollout is undone",
                           "ended since its place is no more",
                           "moved by the kernel"})
    EXPECT_TRUE(counts.contains(what)) << what;
}

// One test: the runs take a while.
TEST(Simulation, EveryInvariantHoldsWhateverHappens) {
  const Coverage coverage = coverage_of_many_seeds();
  EXPECT_GT(coverage.counts.at("finished"), kSeeds);
  expect_every_cell_that_a_real_worker_can_reach(coverage);
  expect_every_event_in_every_phase(coverage);
  expect_every_kind_of_end(coverage);
}

TEST(Simulation, TheSameSeedReplaysTheSameRun) {
  const auto first = simulate({.seed = 7, .steps = 3000});
  const auto again = simulate({.seed = 7, .steps = 3000});
  EXPECT_EQ(first.last_events, again.last_events);
  EXPECT_EQ(first.coverage.counts, again.coverage.counts);
  EXPECT_NE(first.last_events, simulate({.seed = 8, .steps = 3000}).last_events);
}

}  // namespace
}  // namespace cohort::cluster::sim
