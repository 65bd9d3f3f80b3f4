// A worker that exits with 100 by itself is not started again in its place.
#include <gtest/gtest.h>

#include "cluster/supervisor_test_world.h"

namespace cohort::cluster {
namespace {

using namespace std::chrono_literals;

constexpr RolloutPlan kAllAtOnce{.canaries = 1, .batch = 8, .ready_within = 60s, .prove = 5s};

bool is_closed(const Places& places, std::size_t place) {
  return cluster::is_closed(places.state(), places.state().places[place]);
}

// Of two places the first is closed; worker 2 serves in the other.
Places one_closed() {
  Places places{2};
  places.exits_for_good(1);
  return places;
}

TEST(SupervisorClosing, NobodyIsStartedInThePlaceOfOneThatExitsFor100) {
  Places places{2};
  EXPECT_EQ(places.exits_for_good(1), "release what 1 closed, closed by 1");
  EXPECT_EQ(places.until_wakeup(), std::nullopt);
  EXPECT_EQ(places.pass(24h), "");
  EXPECT_TRUE(is_closed(places, 0));
  EXPECT_FALSE(is_closed(places, 1));
}

TEST(SupervisorClosing, TheOthersAreStartedAgainAsEver) {
  Places places = one_closed();
  EXPECT_EQ(places.exits(2), "");
  EXPECT_EQ(places.pass(100ms), "fork 3");
}

TEST(SupervisorClosing, WhoWasToldToEndOrSaidSoClosesNothing) {
  Places places{2};
  places.ends(1);
  EXPECT_EQ(places.exits_for_good(1), "");
  EXPECT_EQ(places.pass(100ms), "fork 3");
  places.serves(3);
  places.scale(1);
  places.is_dry(2);
  EXPECT_EQ(places.exits_for_good(2), "");
  EXPECT_FALSE(is_closed(places, 0));
}

TEST(SupervisorClosing, WhenAllAreClosedTheServiceEnds) {
  Places places = one_closed();
  EXPECT_EQ(places.exits_for_good(2), "all closed, finish, all closed");
  EXPECT_EQ(places.state().phase, Supervisor::Phase::Over);
}

TEST(SupervisorClosing, AtTheFirstStartToo) {
  Places places{0};
  places.keep(2);
  EXPECT_EQ(places.exits_for_good(2), "closed by 2");
  EXPECT_EQ(places.exits_for_good(1), "all closed, finish, all closed");
}

TEST(SupervisorClosing, ManyAtTheFirstStartAreNoTriesThatFailed) {
  Places places{0};
  places.keep(8);
  for (int worker = 1; worker < 8; ++worker) places.exits_for_good(worker);
  EXPECT_EQ(places.state().tries, 0);
  EXPECT_EQ(places.exits(8), "");
  EXPECT_EQ(places.pass(100ms), "fork 9");
  EXPECT_EQ(places.exits_for_good(9), "all closed, finish, all closed");
}

TEST(SupervisorClosing, WhoeverStillServesThenFinishesFirstAndOneWishIsNoHurry) {
  Places places{2};
  places.ends(2);
  places.closes(2);
  places.pass(100ms);
  places.exits_for_good(3);
  EXPECT_EQ(places.exits_for_good(1), "all closed, end all");
  EXPECT_EQ(places.state().phase, Supervisor::Phase::LettingIn);
  EXPECT_EQ(places.terminate(), "") << "it ends already";
  EXPECT_EQ(places.terminate(), "end all") << "at once";
  EXPECT_EQ(places.exits(2), "finish, all closed");
}

TEST(SupervisorClosing, ASuccessorOnRequestHasThePlaceAndOpensIt) {
  Places places{1};
  places.replace(1);
  EXPECT_EQ(places.exits_for_good(1), "");
  EXPECT_EQ(worker_of(places), 2);
  EXPECT_EQ(places.exits(2), "");
  EXPECT_EQ(places.pass(200ms), "fork 3");
}

TEST(SupervisorClosing, ASuccessorThatExitsSoClosesNothing) {
  Places places{1};
  places.replace(1);
  EXPECT_EQ(places.exits_for_good(2), "");
  EXPECT_EQ(worker_of(places), 1);
  EXPECT_EQ(places.exits(1), "");
  EXPECT_EQ(places.pass(100ms), "fork 3");
}

TEST(SupervisorClosing, OneThatComesBackOpensThePlace) {
  Places places{2};
  places.closes(1);
  places.pass(1s);
  EXPECT_EQ(places.pass(100ms), "fork 3 beside 1");
  EXPECT_EQ(places.exits_for_good(3), "release what 1 closed, closed by 3");
  EXPECT_EQ(places.opens(1), "");
  EXPECT_EQ(worker_of(places), 1);
  EXPECT_EQ(places.exits(1), "");
  EXPECT_EQ(places.pass(10s), "fork 4") << "one of its generation had the place";
}

// Rollouts.

TEST(SupervisorClosing, ARolloutStartsOneThereAndOpensThePlace) {
  Places places = one_closed();
  EXPECT_EQ(places.reload(2, kAllAtOnce), "fork 3 as 2");
  places.opens(3);
  EXPECT_EQ(places.is_ready(3), "fork 4 beside 2 as 2");
  places.opens(4);
  EXPECT_EQ(places.is_ready(4), "hold 2");
  EXPECT_EQ(places.pass(5s), "retire 2, 2 reached");
  places.is_dry(2), places.exits(2);
  EXPECT_EQ(places.exits(3), "");
  EXPECT_EQ(places.pass(10s), "fork 5") << "as any other";
}

TEST(SupervisorClosing, OneThatExitsSoDuringItsRolloutUndoesItAndThePlaceStaysClosed) {
  Places places = one_closed();
  places.reload(2, kAllAtOnce);
  EXPECT_EQ(places.exits_for_good(3), "2 died by 3");
  EXPECT_TRUE(is_closed(places, 0));
  EXPECT_EQ(worker_of(places, 1), 2);
  EXPECT_EQ(places.pass(1h), "");
}

TEST(SupervisorClosing, ACanaryThatExitsSoChangesNothing) {
  Places places{2};
  places.reload(2, kAllAtOnce);
  EXPECT_EQ(places.exits_for_good(3), "2 died by 3");
  EXPECT_FALSE(is_closed(places, 0));
  EXPECT_EQ(places.exits(1), "");
  EXPECT_EQ(places.pass(100ms), "fork 4");
}

TEST(SupervisorClosing, OneOfARolloutThatHasAPlaceClosesNothing) {
  Places places{1};
  places.exits(1);
  EXPECT_EQ(places.reload(2), "fork 2 as 2");
  places.serves(2);
  EXPECT_EQ(places.exits_for_good(2), "2 died by 2");
  EXPECT_EQ(places.pass(100ms), "fork 3") << "of the generation before";
}

TEST(SupervisorClosing, WhenARolloutIsUndoneWhoHadAClosedPlaceIsRetired) {
  Places places = one_closed();
  places.reload(2, kAllAtOnce);
  places.serves(3);
  EXPECT_EQ(places.exits(4), "retire 3, 2 died by 4");
  EXPECT_TRUE(is_closed(places, 0));
  EXPECT_TRUE(is_retired(places.state(), 3));
  EXPECT_EQ(places.is_dry(3), "end 3");
}

TEST(SupervisorClosing, APlaceIsClosedByOneThatIsHeldToo) {
  Places places{2};
  places.reload(2, kAllAtOnce);
  places.serves(3);
  EXPECT_EQ(places.exits_for_good(1), "") << "its successor has the place";
  EXPECT_EQ(places.is_unfit(3), "retire 3, end 4, 2 unfit by 3, release what 1 closed");
  EXPECT_TRUE(is_closed(places, 0));
}

TEST(SupervisorClosing, WhileARolloutGoesOnTheServiceGoesOn) {
  Places places = one_closed();
  places.reload(2, kAllAtOnce);
  EXPECT_EQ(places.exits_for_good(2), "") << "the canary is not ready";
  places.opens(3);
  EXPECT_EQ(places.is_ready(3), "");
  EXPECT_EQ(places.pass(0s), "fork 4 as 2");
  EXPECT_EQ(places.exits(4), "retire 3, 2 died by 4, all closed, end all");
  EXPECT_EQ(places.exits(3), "finish, all closed");
}

TEST(SupervisorClosing, AnotherRolloutStartsOneInAClosedPlaceToo) {
  Places places = one_closed();
  places.reload(2, kAllAtOnce);
  places.serves(3);
  EXPECT_EQ(places.reload(3, kAllAtOnce), "retire 3, 2 superseded, end 4, fork 5 as 3");
}

// Scaling.

TEST(SupervisorClosing, OfPlacesThatAreNoMoreTheClosedOnesGoFirst) {
  Places places{3};
  places.exits_for_good(1);
  EXPECT_EQ(places.scale(2), "");
  EXPECT_EQ(worker_of(places, 0), 3);
  EXPECT_EQ(worker_of(places, 1), 2);
  EXPECT_EQ(places.exits(3), "");
  EXPECT_EQ(places.pass(100ms), "fork 4");
  EXPECT_EQ(worker_of(places, 0), 4);
}

TEST(SupervisorClosing, APlaceThatIsAddedIsOpen) {
  Places places = one_closed();
  EXPECT_EQ(places.scale(3), "fork 3");
  EXPECT_TRUE(is_closed(places, 0)) << "it stays so";
  EXPECT_EQ(places.keep(1), "") << "the closed one is gone";
  EXPECT_EQ(worker_of(places), 3);
  EXPECT_EQ(places.keep(2), "fork 4");
}

}  // namespace
}  // namespace cohort::cluster
