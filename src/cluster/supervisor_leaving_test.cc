// Places whose workers leave: on purpose, or so it seems.
#include <gtest/gtest.h>

#include <optional>

#include "cluster/supervisor_test_world.h"

namespace cohort::cluster {
namespace {

using namespace std::chrono_literals;

TEST(SupervisorLeaving, WhoSaysThatItEndsHasASuccessorWhenItHasClosedItsServers) {
  Places places{2};
  EXPECT_EQ(places.ends(1), "");
  EXPECT_EQ(places.until_wakeup(), std::nullopt) << "it still accepts";
  EXPECT_EQ(places.closes(1), "");
  EXPECT_EQ(places.pass(100ms), "fork 3 beside 1");
  EXPECT_EQ(places.exits(1), "") << "it has been replaced";
  EXPECT_EQ(places.until_wakeup(), std::nullopt);
}

TEST(SupervisorLeaving, WhoSaysSoAfterItHasClosedThemHasOneThen) {
  Places places{1};
  EXPECT_EQ(places.closes(1), "");
  EXPECT_EQ(places.pass(500ms), "");
  EXPECT_EQ(places.ends(1), "");
  EXPECT_EQ(places.pass(100ms), "fork 2 beside 1");
}

TEST(SupervisorLeaving, WhoClosesAllAndSaysNothingIsTakenForLeavingAfterASecond) {
  Places places{1};
  EXPECT_EQ(places.closes(1), "");
  EXPECT_EQ(places.pass(999ms), "");
  EXPECT_EQ(places.pass(1ms), "") << "now it is known";
  EXPECT_TRUE(places.left(1));
  EXPECT_EQ(places.pass(100ms), "fork 2 beside 1");
}

TEST(SupervisorLeaving, WhoEndsBeforeItsSuccessorStartsIsNotBesideIt) {
  Places places{1};
  places.ends(1);
  places.closes(1);
  EXPECT_EQ(places.exits(1), "");
  EXPECT_EQ(places.pass(100ms), "fork 2");
}

TEST(SupervisorLeaving, WhoServedAndLeavesOnPurposeDidNotFail) {
  Places places{1};
  for (int worker = 1; worker < 10; ++worker) {
    places.ends(worker);
    places.closes(worker);
    places.exits(worker);
    EXPECT_EQ(places.pass(100ms), "fork " + std::to_string(worker + 1));
    places.serves(worker + 1);
  }
}

TEST(SupervisorLeaving, WhoClosesOneOfItsServersStaysAndThePortIsFreeAfterASecond) {
  Places places{1};
  EXPECT_EQ(places.closes(1, true), "");
  EXPECT_EQ(places.pass(999ms), "");
  EXPECT_EQ(places.pass(1ms), "release what 1 closed");
  EXPECT_FALSE(places.left(1));
  EXPECT_EQ(places.until_wakeup(), std::nullopt);
}

TEST(SupervisorLeaving, WhoOpensAServerAgainWithinASecondStays) {
  Places places{1};
  places.closes(1);
  EXPECT_EQ(places.pass(900ms), "");
  EXPECT_EQ(places.opens(1), "");
  EXPECT_EQ(places.pass(100ms), "release what 1 closed") << "if it was another";
  EXPECT_EQ(places.pass(1h), "");
}

TEST(SupervisorLeaving, AProgramThatComesBackLaterIsTakenForLeavingOnce) {
  Places places{2};
  places.closes(1);
  places.pass(1s);
  EXPECT_EQ(places.pass(100ms), "fork 3 beside 1");
  places.opens(1);
  EXPECT_FALSE(places.left(1)) << "it serves again";
  EXPECT_EQ(places.closes(2), "");
  EXPECT_EQ(places.pass(1s), "release what 2 closed");
  places.pass(1min);
  EXPECT_FALSE(places.left(2)) << "it may come back, too";
  places.ends(2);
  EXPECT_EQ(places.pass(100ms), "fork 4 beside 2") << "it said so";
}

TEST(SupervisorLeaving, WhoComesBackToAPlaceThatIsServedIsEnded) {
  Places places{1};
  places.closes(1);
  places.pass(1s);
  EXPECT_EQ(places.pass(100ms), "fork 2 beside 1");
  places.serves(2);
  EXPECT_EQ(places.opens(1), "end 1");
  EXPECT_EQ(places.closes(1), "");
  EXPECT_EQ(places.exits(1), "");
  EXPECT_EQ(places.pass(1min), "release what 1 closed") << "2 lives, and nobody else is started";
}

TEST(SupervisorLeaving, WhoComesBackBeforeItsSuccessorServesHasItsPlaceAgain) {
  Places places{1};
  places.closes(1);
  places.pass(1s);
  EXPECT_EQ(places.pass(100ms), "fork 2 beside 1");
  EXPECT_EQ(places.opens(1), "end 2");
  EXPECT_EQ(places.exits(2), "");
  places.pass(1min);
  EXPECT_EQ(places.exits(1), "");
  EXPECT_EQ(places.pass(100ms), "fork 3") << "it was 1's place";
}

TEST(SupervisorLeaving, WhoComesBackBeforeItsSuccessorIsStartedHasItsPlaceAgain) {
  Places places{1};
  places.closes(1);
  places.pass(1s);
  EXPECT_EQ(places.opens(1), "");
  EXPECT_EQ(places.until_wakeup(), kAsksWithin);
  places.pass(1min);
  EXPECT_FALSE(places.left(1));
}

// As get-port does, before the program gets to its own server.
TEST(SupervisorLeaving, WhoTriesWhetherAPortIsFreeDoesNotLeave) {
  Places places{1};
  places.exits(1);
  EXPECT_EQ(places.pass(100ms), "fork 2");
  places.serves(2);
  places.pass(10ms);
  EXPECT_EQ(places.closes(2), "");
  EXPECT_EQ(places.pass(1s), "release what 2 closed");
  EXPECT_EQ(places.pass(4s), "");
  places.serves(2);
  EXPECT_FALSE(places.left(2));
  EXPECT_EQ(places.pass(1min), "release what 1 closed");
}

TEST(SupervisorLeaving, WhoServedForAMomentAndSaysThatItEndsLeaves) {
  Places places{1};
  places.exits(1);
  places.pass(100ms);
  places.serves(2);
  places.ends(2);
  EXPECT_EQ(places.closes(2), "");
  EXPECT_EQ(places.pass(100ms), "fork 3 beside 2");
}

TEST(SupervisorLeaving, WhoLeftAndServesNothingIsEnded) {
  Places places{1};
  places.ends(1);
  EXPECT_EQ(places.is_idle(1), "") << "it still has its place";
  EXPECT_EQ(places.closes(1), "end 1");
  EXPECT_EQ(places.pass(100ms), "fork 2 beside 1");
  places.serves(2);
  places.ends(2);
  places.closes(2);
  EXPECT_EQ(places.is_idle(2), "end 2");
  EXPECT_EQ(places.is_idle(2), "") << "once";
  EXPECT_EQ(places.exits(2), "");
}

TEST(SupervisorLeaving, WhoWasToldToEndAndDoesNotIsKilledWhenTheGraceIsOver) {
  Places places{1};
  places.ends(1);
  places.closes(1);
  EXPECT_EQ(places.is_idle(1), "end 1");
  places.pass(100ms);
  places.pass(24899ms);
  EXPECT_EQ(places.until_wakeup(), 1ms);
  EXPECT_EQ(places.pass(1ms), "kill 1");
  EXPECT_EQ(places.pass(1h), "");
}

TEST(SupervisorLeaving, APortThatTheNextOneDoesNotAskForIsClosedWhenItHasLived) {
  Places places{2};
  places.exits(2);
  EXPECT_EQ(places.pass(100ms), "fork 3");
  EXPECT_EQ(places.exits(3), "") << "it used none: whoever comes next may want those of 2";
  EXPECT_EQ(places.pass(backoff(2, 1)), "fork 4");
  EXPECT_EQ(places.pass(30s), "") << "some start slowly";
  places.serves(4);
  EXPECT_EQ(places.pass(kAsksWithin - 1ms), "");
  EXPECT_EQ(places.until_wakeup(), 1ms);
  EXPECT_EQ(places.pass(1ms), "release what 2 closed");
  EXPECT_EQ(places.until_wakeup(), std::nullopt);
}

TEST(SupervisorLeaving, ThePortsOfNoMoreThanEightPredecessorsStayOpen) {
  Places places{1};
  for (int worker = 1; worker <= 8; ++worker) {
    EXPECT_EQ(places.exits(worker), "");
    places.pass(10s);
    places.serves(worker + 1);
  }
  EXPECT_EQ(places.exits(9), "release what 1 closed");
}

TEST(SupervisorLeaving, OfMoreThanEightThatLeftTheOldestIsEnded) {
  Places places{1};
  for (int worker = 1; worker <= kLeaversMax; ++worker) {
    places.ends(worker);
    places.closes(worker);
    if (worker == kLeaversMax) break;
    EXPECT_NE(places.pass(100ms), "");
    places.serves(worker + 1);
  }
  EXPECT_EQ(places.until_wakeup(), 100ms);
  EXPECT_EQ(places.pass(100ms), "end 1, fork 9 beside 8") << "the oldest";
}

TEST(SupervisorLeaving, OfSixteenThatWereToldToEndOneHasTo) {
  Places places{1};
  for (int worker = 1; worker <= 2 * kLeaversMax; ++worker) {
    places.ends(worker);
    places.closes(worker);
    if (worker == 2 * kLeaversMax) break;
    EXPECT_NE(places.pass(100ms), "");
    places.serves(worker + 1);
  }
  EXPECT_EQ(places.pass(100ms), "");
  EXPECT_GT(places.until_wakeup(), 20s) << "when the first is killed";
  EXPECT_EQ(places.exits(1), "release what 9 closed, end 9, fork 17 beside 16");
}

TEST(SupervisorLeaving, WhoUsesNoPortIsLeftAlone) {
  Places places{0};
  EXPECT_EQ(places.keep(1), "fork 1");
  places.ends(1);
  EXPECT_EQ(places.is_idle(1), "");
  EXPECT_EQ(places.pass(100ms), "fork 2 beside 1");
  EXPECT_EQ(places.pass(1h), "") << "it may do anything";
}

TEST(SupervisorLeaving, WhoseChannelIsClosedAndServesNobodyHasLeft) {
  Places places{1};
  places.exits(1);
  places.pass(100ms);
  places.serves(2);
  places.closes(2);
  places.pass(1s);
  EXPECT_FALSE(places.left(2)) << "it had a port for a moment only";
  EXPECT_EQ(places.is_idle(2), "end 2");
  EXPECT_EQ(places.pass(100ms), "fork 3 beside 2");
}

TEST(SupervisorLeaving, WhoDiesAfterItClosedItsServersDied) {
  Places places{1};
  places.closes(1);
  places.exits(1);
  EXPECT_EQ(places.pass(100ms), "fork 2");
  places.serves(2);
  places.closes(2);
  places.exits(2);
  EXPECT_EQ(places.pass(100ms), "") << "for the second time";
  EXPECT_EQ(places.pass(100ms), "fork 3");
}

}  // namespace
}  // namespace cohort::cluster
