// Places whose workers are replaced on request, while they serve.
#include <gtest/gtest.h>

#include "cluster/supervisor_test_world.h"

namespace cohort::cluster {
namespace {

using namespace std::chrono_literals;

// Worker 2 is to replace worker 1.
Places replacing(unsigned count = 1) {
  Places places{count};
  places.replace(1);
  return places;
}

TEST(SupervisorReplacing, ASuccessorHasThePlaceWhenItIsReady) {
  Places places{2};
  EXPECT_EQ(places.replace(1), "fork 3 beside 1");
  EXPECT_EQ(worker_of(places), 1);
  EXPECT_EQ(successor_of(places.state(), 1), 3);
  EXPECT_EQ(places.until_wakeup(), std::nullopt);
  EXPECT_EQ(places.opens(3), "");
  EXPECT_EQ(places.is_ready(3), "retire 1");
  EXPECT_EQ(worker_of(places), 3);
  EXPECT_EQ(successor_of(places.state(), 3), std::nullopt);
  EXPECT_TRUE(is_retired(places.state(), 1));
  EXPECT_EQ(worker_of(places, 1), 2);
}

TEST(SupervisorReplacing, WhoIsRetiredIsToldToEndWhenNothingWaitsForIt) {
  Places places = replacing();
  places.serves(2);
  EXPECT_EQ(places.until_wakeup(), 100ms) << "handshakes under way complete meanwhile";
  EXPECT_EQ(places.pass(100ms), "look whether 1 is dry");
  EXPECT_EQ(places.pass(10ms), "look whether 1 is dry");
  EXPECT_EQ(places.is_dry(1), "end 1");
  EXPECT_EQ(places.is_dry(1), "");
  EXPECT_EQ(places.until_wakeup(), 25s);
  EXPECT_EQ(places.closes(1), "");
  EXPECT_EQ(places.ends(1), "");
  EXPECT_EQ(places.exits(1), "");
  EXPECT_EQ(places.pass(59s), "");
  EXPECT_EQ(worker_of(places), 2);
}

TEST(SupervisorReplacing, WhoIsRetiredHasTheGraceTimeToGetDryAndAgainToEnd) {
  Places places = replacing();
  places.serves(2);
  EXPECT_EQ(places.pass(24999ms), "look whether 1 is dry");
  EXPECT_EQ(places.pass(1ms), "end 1");
  EXPECT_EQ(places.pass(24999ms), "");
  EXPECT_EQ(places.pass(1ms), "kill 1");
}

TEST(SupervisorReplacing, ASuccessorThatDiesLeavesTheOldOneInPlace) {
  Places places = replacing();
  places.opens(2);
  EXPECT_EQ(places.exits(2), "");
  EXPECT_EQ(worker_of(places), 1);
  EXPECT_EQ(places.until_wakeup(), std::nullopt) << "nobody tries again by himself";
  EXPECT_EQ(places.state().places[0].failures, 0);
  EXPECT_EQ(places.replace(1), "fork 3 beside 1");
}

TEST(SupervisorReplacing, ASuccessorHasThePlaceAtOnceIfTheOldOneDies) {
  Places places = replacing();
  EXPECT_EQ(places.exits(1), "");
  EXPECT_EQ(worker_of(places), 2);
  EXPECT_EQ(places.until_wakeup(), std::nullopt) << "the place is filled";
  places.opens(2);
  EXPECT_EQ(places.is_ready(2), "") << "nobody is to be retired";
  EXPECT_EQ(places.exits(2), "");
  EXPECT_EQ(places.until_wakeup(), 200ms) << "two deaths in a row";
}

TEST(SupervisorReplacing, ASuccessorHasThePlaceAtOnceIfTheOldOneLeaves) {
  Places places = replacing();
  places.ends(1);
  EXPECT_EQ(worker_of(places), 1) << "it still accepts";
  EXPECT_EQ(places.closes(1), "");
  EXPECT_EQ(worker_of(places), 2);
  EXPECT_TRUE(places.left(1));
}

TEST(SupervisorReplacing, TheOldOneMayEndBeforeItIsDry) {
  Places places = replacing();
  places.serves(2);
  places.ends(1);
  places.closes(1);
  EXPECT_EQ(places.exits(1), "");
  EXPECT_EQ(places.is_dry(1), "");
  EXPECT_EQ(worker_of(places), 2);
}

TEST(SupervisorReplacing, ASecondIsStartedOnceTheOldOneAcceptsNoMore) {
  Places places = replacing();
  EXPECT_EQ(places.replace(1), "") << "one is under way";
  EXPECT_EQ(places.replace(2), "");
  places.serves(2);
  EXPECT_EQ(places.replace(1), "") << "it has no place any more";
  EXPECT_EQ(places.replace(2), "") << "who is retired has a queue of the slot";
  places.is_dry(1);
  places.closes(1);
  EXPECT_EQ(places.replace(2), "fork 3 beside 2");
}

TEST(SupervisorReplacing, OnlyWorkersOfPlacesThatStayAreReplaced) {
  Places places{1};
  EXPECT_EQ(places.replace(7), "");
  places.ends(1);
  EXPECT_EQ(places.replace(1), "") << "it will be replaced without that";
}

TEST(SupervisorReplacing, OneThatNeverUsedAPortIsReplacedWhenItsSuccessorHasLived) {
  Places places{0};
  places.keep(1);
  EXPECT_EQ(places.replace(1), "fork 2 beside 1");
  EXPECT_EQ(places.until_wakeup(), kHealthyAfter);
  EXPECT_EQ(places.pass(kHealthyAfter), "retire 1");
  EXPECT_EQ(worker_of(places), 2);
  EXPECT_EQ(places.pass(100ms), "look whether 1 is dry");
}

TEST(SupervisorReplacing, OneThatUsesPortsIsNotReplacedByOneThatOnlyLives) {
  Places places = replacing();
  EXPECT_EQ(places.pass(10min), "");
  EXPECT_EQ(worker_of(places), 1);
}

TEST(SupervisorReplacing, ASuccessorThatEndsNeverHasThePlaceOfOneThatServes) {
  Places places = replacing();
  places.ends(2);
  EXPECT_EQ(places.is_ready(2), "");
  EXPECT_EQ(worker_of(places), 1);
  places.exits(1);
  EXPECT_EQ(places.pass(100ms), "fork 3 beside 2") << "it had the place, and left it";
}

TEST(SupervisorReplacing, WhoIsRetiredDoesNotComeBack) {
  Places places = replacing();
  places.serves(2);
  places.closes(1);
  EXPECT_EQ(places.opens(1), "");
  EXPECT_EQ(worker_of(places), 2);
  EXPECT_FALSE(places.state().comes_back);
}

TEST(SupervisorReplacing, WhatTheSuccessorDoesNotAskForIsClosedAfterAMinute) {
  Places places = replacing();
  places.serves(2);
  places.is_dry(1);
  places.closes(1);
  places.exits(1);
  EXPECT_EQ(places.pass(59s), "");
  EXPECT_EQ(places.pass(1s), "release what 1 closed");
}

TEST(SupervisorReplacing, AtTheEndBothAreEnded) {
  Places places = replacing();
  EXPECT_EQ(places.terminate(), "end all");
  EXPECT_EQ(places.is_ready(2), "") << "nobody is retired any more";
  EXPECT_EQ(places.exits(1), "");
  EXPECT_EQ(places.exits(2), "end all") << "it is over";
}

TEST(SupervisorReplacing, APlaceThatIsNoMoreLeavesBothAlone) {
  Places places = replacing();
  places.keep(0);
  EXPECT_EQ(places.is_ready(2), "");
  EXPECT_EQ(places.exits(1), "");
  EXPECT_EQ(places.until_wakeup(), std::nullopt);
}

TEST(SupervisorReplacing, WhoIsRetiredIsEndedThoughItsPlaceIsNoMore) {
  Places places = replacing();
  places.serves(2);
  places.keep(0);
  EXPECT_EQ(places.pass(100ms), "look whether 1 is dry");
  EXPECT_EQ(places.is_dry(1), "end 1");
}

}  // namespace
}  // namespace cohort::cluster
