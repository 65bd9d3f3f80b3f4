// One worker leads, and never do two.
#include <gtest/gtest.h>

#include "cluster/supervisor_test_world.h"

namespace cohort::cluster {
namespace {

using namespace std::chrono_literals;

constexpr RolloutPlan kOneByOne{.canaries = 1, .batch = 1, .ready_within = 60s, .prove = 5s};

// Worker 1 of two leads.
Places led() {
  Places places{2};
  places.greets(1);
  places.greets(2);
  return places;
}

TEST(SupervisorLeader, IsTheFirstThatServesAndCanBeTold) {
  Places places{2};
  EXPECT_EQ(places.greets(2), "2 leads");
  EXPECT_EQ(places.greets(1), "") << "who leads stays";
  EXPECT_TRUE(leads(places.state(), 2));
  EXPECT_FALSE(leads(places.state(), 1));
}

TEST(SupervisorLeader, WhoDoesNotServeYetDoesNotLead) {
  Places places{0};
  places.keep(1);
  EXPECT_EQ(places.greets(1), "");
  EXPECT_EQ(places.is_ready(1), "1 leads");
}

TEST(SupervisorLeader, OneThatNeverListensLeadsWhenItHasLived) {
  Places places{0};
  places.keep(1);
  places.greets(1);
  EXPECT_EQ(places.until_wakeup(), kHealthyAfter);
  EXPECT_EQ(places.pass(kHealthyAfter), "1 leads");
}

TEST(SupervisorLeader, WhenItDiesTheNextLeadsAtOnce) {
  Places places = led();
  EXPECT_EQ(places.exits(1), "2 leads");
  places.pass(kBackoffMin);
  places.serves(3);
  EXPECT_EQ(places.greets(3), "") << "it does not go back to the first place";
}

TEST(SupervisorLeader, WhoLeavesIsAskedAndTheNextLeadsWhenItHasAnswered) {
  Places places = led();
  EXPECT_EQ(places.ends(1), "1 is to lead no more");
  EXPECT_TRUE(leads(places.state(), 1)) << "it has not answered";
  EXPECT_EQ(places.follows(1), "2 leads");
  EXPECT_EQ(places.follows(1), "") << "once more says nothing";
}

TEST(SupervisorLeader, OneThatDoesNotAnswerLeadsUntilItIsGone) {
  Places places = led();
  places.ends(1);
  EXPECT_EQ(places.pass(1h), "");
  EXPECT_EQ(places.exits(1), "2 leads");
}

TEST(SupervisorLeader, AnAnswerThatNobodyAskedForCountsNothing) {
  Places places = led();
  EXPECT_EQ(places.follows(1), "");
  EXPECT_EQ(places.follows(2), "");
  EXPECT_TRUE(leads(places.state(), 1));
}

TEST(SupervisorLeader, OfAReloadMovesToOneThatServes) {
  Places places = led();
  EXPECT_EQ(places.reload(2, kOneByOne), "fork 3 beside 1 as 2");
  EXPECT_EQ(places.greets(3), "");
  EXPECT_EQ(places.is_ready(3), "hold 1, fork 4 beside 2 as 2, 1 is to lead no more");
  EXPECT_EQ(places.follows(1), "3 leads");
  places.greets(4);
  places.is_ready(4);
  EXPECT_EQ(places.pass(kOneByOne.prove), "retire 1, retire 2, 2 reached");
}

TEST(SupervisorLeader, OfAReloadThatIsUndoneMovesBack) {
  Places places = led();
  places.reload(2, kOneByOne);
  places.greets(3);
  places.is_ready(3);
  places.follows(1);
  EXPECT_EQ(places.exits(3), "resume 1, end 4, 2 died by 3, 1 leads");
}

TEST(SupervisorLeader, AtTheEndOfTheServiceNobodyElseLeads) {
  Places places = led();
  places.terminate();
  EXPECT_EQ(places.exits(1), "");
}

TEST(SupervisorLeader, WithoutPlacesTheOldestLeads) {
  Places places{0};
  for (int worker = 1; worker <= 2; ++worker) {
    places.forked(worker);
    places.greets(worker);
    places.serves(worker);
  }
  EXPECT_TRUE(leads(places.state(), 1));
  EXPECT_EQ(places.exits(1), "2 leads");
}

}  // namespace
}  // namespace cohort::cluster
