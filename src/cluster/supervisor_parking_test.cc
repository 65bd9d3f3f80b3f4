// Whom a rollout has replaced is parked, and can have its place back.
#include <gtest/gtest.h>

#include "cluster/supervisor_test_world.h"

namespace cohort::cluster {
namespace {

using namespace std::chrono_literals;
using RolloutPhase = Rollout::Phase;

constexpr RolloutPlan kParks{
    .canaries = 1, .batch = 2, .ready_within = 60s, .prove = 5s, .park = 60s};

// Workers 3 and 4 have the places of 1 and 2, which are parked.
Places parking() {
  Places places{2};
  places.reload(2, kParks);
  places.serves(3), places.serves(4);
  EXPECT_EQ(places.pass(5s), "rest 1, rest 2, 2 reached");
  return places;
}

TEST(SupervisorParking, WhoIsReplacedStaysForAWhile) {
  Places places = parking();
  EXPECT_TRUE(is_held(places.state(), 1) && is_held(places.state(), 2));
  EXPECT_EQ(places.state().generation, 2);
  EXPECT_FALSE(places.state().rollout);
  EXPECT_EQ(places.state().parked->generation, 1);
  EXPECT_EQ(places.until_wakeup(), 55s) << "when the ports of those before are known";
  EXPECT_EQ(places.pass(59s), "release what 1 closed, release what 2 closed");
  EXPECT_EQ(places.until_wakeup(), 1s);
  EXPECT_EQ(places.pass(1s), "retire 1, retire 2");
  EXPECT_FALSE(places.state().parked);
  EXPECT_EQ(places.rollback(), "");
}

TEST(SupervisorParking, GoingBackIsAFlip) {
  Places places = parking();
  EXPECT_EQ(places.rollback(), "resume 1, retire 3, resume 2, retire 4, 2 taken back");
  EXPECT_EQ(worker_of(places, 0), 1);
  EXPECT_EQ(worker_of(places, 1), 2);
  EXPECT_EQ(places.state().generation, 1);
  EXPECT_FALSE(places.state().rollout);
  EXPECT_FALSE(places.state().parked);
  EXPECT_EQ(places.rollback(), "") << "there is no way forward again";
  places.exits(1);
  EXPECT_EQ(places.pass(10s), "look whether 3 is dry, look whether 4 is dry, fork 5")
      << "of the generation that serves";
}

TEST(SupervisorParking, WhereOneHasDiedAnotherOfItsGenerationIsStarted) {
  Places places = parking();
  EXPECT_EQ(places.exits(1), "");
  EXPECT_EQ(places.rollback(), "resume 2, retire 4, fork 5 beside 3");
  EXPECT_EQ(places.state().generation, 1);
  EXPECT_EQ(places.state().rollout->phase, RolloutPhase::Undoing);
  EXPECT_EQ(places.opens(5), "");
  EXPECT_EQ(places.is_ready(5), "retire 3, 2 taken back");
  EXPECT_EQ(worker_of(places, 0), 5);
}

// By exit code 100: that was of the newer generation.
TEST(SupervisorParking, APlaceThatWasClosedMeanwhileIsOpenAgain) {
  Places places = parking();
  places.exits(1);
  EXPECT_EQ(places.exits_for_good(3), "release what 1 closed, release what 3 closed, closed by 3");
  EXPECT_EQ(places.rollback(), "resume 2, retire 4, 2 taken back, fork 5");
  EXPECT_FALSE(places.state().places[0].closed);
  places.serves(5);
  EXPECT_EQ(places.state().places[0].generation, 1);
}

TEST(SupervisorParking, WhereAllHaveDiedThereIsNoWayBack) {
  Places places = parking();
  places.exits(1), places.exits(2);
  EXPECT_FALSE(may_go_back(places.state()));
  EXPECT_EQ(places.rollback(), "");
  EXPECT_EQ(places.state().generation, 2);
}

TEST(SupervisorParking, WhoDiesMeanwhileIsReplacedByOneOfItsOwnGeneration) {
  Places places = parking();
  EXPECT_EQ(places.exits(3), "");
  EXPECT_EQ(places.pass(10s), "fork 5");
  EXPECT_EQ(places.state().places[0].generation, 2);
  EXPECT_TRUE(is_held(places.state(), 1));
}

TEST(SupervisorParking, AThirdGenerationEndsTheParkedOne) {
  Places places = parking();
  EXPECT_EQ(places.reload(3, kParks), "retire 1, retire 2");
  EXPECT_FALSE(places.state().parked);
  places.is_dry(1), places.is_dry(2);
  places.closes(1), places.exits(1);
  EXPECT_EQ(places.closes(2), "");
}

TEST(SupervisorParking, ARolloutUnderWayIsTakenBack) {
  Places places{2};
  places.reload(2, kParks);
  places.serves(3);
  EXPECT_EQ(places.rollback(), "resume 1, retire 3, end 4, 2 taken back");
  EXPECT_EQ(places.state().generation, 1);
  EXPECT_EQ(places.rollback(), "");
}

TEST(SupervisorParking, APlaceThatIsNoMoreHasNobodyParked) {
  Places places = parking();
  EXPECT_EQ(places.scale(1), "retire 4, retire 2, release what 2 closed");
  EXPECT_EQ(places.rollback(), "resume 1, retire 3, 2 taken back");
}

TEST(SupervisorParking, APlaceThatIsNewGoesBackToo) {
  Places places = parking();
  EXPECT_EQ(places.scale(3), "fork 5");
  places.serves(5);
  EXPECT_EQ(places.rollback(), "resume 1, retire 3, resume 2, retire 4, fork 6 beside 5");
}

TEST(SupervisorParking, WhoIsParkedIsNotReplacedAgain) {
  Places places = parking();
  EXPECT_FALSE(may_be_replaced(places.state(), 3)) << "its slot has both of its queues";
}

TEST(SupervisorParking, TheEndOfTheServiceEndsAll) {
  Places places = parking();
  places.terminate();
  EXPECT_FALSE(places.state().parked);
  EXPECT_EQ(places.rollback(), "");
}

}  // namespace
}  // namespace cohort::cluster
