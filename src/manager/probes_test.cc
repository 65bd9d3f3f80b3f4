#include "manager/probes.h"

#include <gtest/gtest.h>

namespace cohort::manager {
namespace {

using namespace std::chrono_literals;
using Phase = ClusterStatus::Phase;
using State = WorkerStatus::State;

WorkerStatus worker(State state, std::chrono::milliseconds age = 0ms) {
  return {.kept = true, .state = state, .age = age};
}

ClusterStatus cluster_of(std::vector<WorkerStatus> workers, bool has_port = true) {
  ClusterStatus status{.places = workers.size(), .workers = std::move(workers)};
  if (has_port) status.ports.push_back({.address = Address{"", 80}});
  return status;
}

std::size_t serving(const ClusterStatus& status) {
  std::size_t count = 0;
  for (const auto& each : status.workers) count += serves(each, status) ? 1 : 0;
  return count;
}

TEST(Serving, AreThoseWhoListenInAPlaceForGood) {
  EXPECT_EQ(serving(cluster_of({worker(State::Listening), worker(State::Listening)})), 2U);
  for (const State state : {State::Spawned, State::Online, State::Ending, State::Disconnected})
    EXPECT_EQ(serving(cluster_of({worker(state)})), 0U) << to_string(state);
  EXPECT_EQ(serving(cluster_of({worker(State::Ending, 1h), worker(State::Disconnected, 1h)})), 0U);
  WorkerStatus held = worker(State::Listening), placeless = worker(State::Listening);
  held.held = true;
  placeless.kept = false;
  EXPECT_EQ(serving(cluster_of({held, placeless})), 0U);
}

TEST(Serving, IsOneThatSaysNothingOnceItHasLived) {
  EXPECT_EQ(serving(cluster_of({worker(State::Online, 9999ms)}, false)), 0U);
  EXPECT_EQ(serving(cluster_of({worker(State::Online, 10s)}, false)), 1U);
  EXPECT_EQ(serving(cluster_of({worker(State::Spawned, 10s)})), 1U);
}

TEST(Serving, IsOneOfAProgramThatIsKnownToSayNothingSooner) {
  const auto old = worker(State::Spawned, 10s), fresh = worker(State::Spawned, 1s);
  EXPECT_EQ(serving(cluster_of({old, fresh}, false)), 2U);
  EXPECT_EQ(serving(cluster_of({old, worker(State::Spawned, 999ms)}, false)), 1U);
  EXPECT_EQ(serving(cluster_of({old, fresh})), 1U) << "others listen";
  EXPECT_EQ(serving(cluster_of({fresh, fresh}, false)), 0U) << "it may start slowly";
}

TEST(Readiness, NeedsSoManyWorkersThatServe) {
  ClusterStatus status = cluster_of({worker(State::Listening), worker(State::Online)});
  EXPECT_EQ(readiness(status, 1).status, 200);
  EXPECT_EQ(readiness(status, 1).text, "ok");
  EXPECT_EQ(readiness(status, 2).status, 503);
  EXPECT_EQ(readiness(status, 2).text, "1 of 2 workers serve, and --min-ready is 2");
  status.workers.front().state = State::Online;
  EXPECT_EQ(readiness(status, 1).status, 503);
  EXPECT_EQ(readiness(status, 1).text, "no worker is ready yet");
  status.exits = 1;
  EXPECT_EQ(readiness(status, 1).text, "0 of 2 workers serve, and --min-ready is 1");
}

TEST(Readiness, DoesNotWaitForPlacesThatAreClosed) {
  ClusterStatus status = cluster_of({worker(State::Listening), worker(State::Online)});
  status.places = 3;
  status.closed.push_back({.slot = 2, .worker = 3});
  EXPECT_EQ(readiness(status, 3).status, 503);
  EXPECT_EQ(readiness(status, 3).text, "1 of 3 workers serve, and --min-ready is 2");
  status.workers.back().state = State::Listening;
  EXPECT_EQ(readiness(status, 3).status, 200);
}

TEST(Readiness, FailsFromTheWishToEndOn) {
  ClusterStatus status = cluster_of({worker(State::Listening)});
  for (const Phase phase :
       {Phase::LameDuck, Phase::LettingIn, Phase::Draining, Phase::Killing, Phase::Over}) {
    status.phase = phase;
    EXPECT_EQ(readiness(status, 1).status, 503) << to_string(phase);
    EXPECT_TRUE(readiness(status, 1).text.starts_with("the service ends")) << to_string(phase);
  }
}

}  // namespace
}  // namespace cohort::manager
