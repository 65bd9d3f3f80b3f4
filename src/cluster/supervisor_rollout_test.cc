// A new generation for every place: how it is reached, and how it is undone.
#include <gtest/gtest.h>

#include "cluster/supervisor_test_world.h"

namespace cohort::cluster {
namespace {

using namespace std::chrono_literals;
using RolloutPhase = Rollout::Phase;

constexpr RolloutPlan kTwoAtATime{.canaries = 1, .batch = 2, .ready_within = 60s, .prove = 5s};

// Worker 2 has the place of worker 1, which is held.
Places proving() {
  Places places{1};
  places.reload(2);
  places.serves(2);
  return places;
}

TEST(SupervisorRollout, FirstACanaryThenABatchAtATimeThenAllHaveToServeForAWhile) {
  Places places{4};
  EXPECT_EQ(places.reload(2, kTwoAtATime), "fork 5 beside 1 as 2");
  EXPECT_EQ(places.opens(5), "");
  EXPECT_EQ(places.is_ready(5), "hold 1, fork 6 beside 2 as 2, fork 7 beside 3 as 2");
  places.opens(6), places.opens(7), places.opens(8);
  EXPECT_EQ(places.is_ready(6), "hold 2, fork 8 beside 4 as 2");
  EXPECT_EQ(places.is_ready(7), "hold 3");
  EXPECT_EQ(places.state().rollout->phase, RolloutPhase::Replacing);
  EXPECT_EQ(places.is_ready(8), "hold 4");
  EXPECT_EQ(places.state().rollout->phase, RolloutPhase::Proving);
  EXPECT_EQ(places.state().generation, 1);
  EXPECT_EQ(places.until_wakeup(), 5s);
  EXPECT_EQ(places.pass(5s), "retire 1, retire 2, retire 3, retire 4, 2 reached");
  EXPECT_EQ(places.state().generation, 2);
  EXPECT_FALSE(places.state().rollout);
  EXPECT_EQ(places.pass(100ms),
            "look whether 1 is dry, look whether 2 is dry, look whether 3 is dry, "
            "look whether 4 is dry");
  EXPECT_EQ(places.is_dry(1), "end 1");
}

TEST(SupervisorRollout, WhereThereIsNoRoomForAllThoseThatAreReplacedEndEarlier) {
  Places places{4};
  places.reload(2, {.canaries = 1, .batch = 2, .surge = 2});
  places.opens(5);
  EXPECT_EQ(places.is_ready(5), "hold 1, fork 6 beside 2 as 2") << "one is held, one starts";
  places.opens(6);
  EXPECT_EQ(places.is_ready(6), "hold 2, retire 1, retire 2") << "none may start";
  EXPECT_EQ(places.state().rollout->phase, RolloutPhase::Replacing);
  places.pass(100ms);
  EXPECT_EQ(places.is_dry(1), "end 1");
  EXPECT_EQ(places.exits(1), "fork 7 beside 3 as 2");
  places.opens(7);
  EXPECT_EQ(places.is_ready(7), "hold 3");
  places.is_dry(2);
  EXPECT_EQ(places.exits(2), "fork 8 beside 4 as 2");
  places.opens(8);
  EXPECT_EQ(places.is_ready(8), "hold 4");
  EXPECT_EQ(places.pass(5s), "retire 3, retire 4, 2 reached");
}

TEST(SupervisorRollout, AnotherLikeItIsStartedForOneThatEndedEarlier) {
  Places places{2};
  places.reload(2, {.canaries = 1, .batch = 1, .surge = 1});
  places.opens(3);
  EXPECT_EQ(places.is_ready(3), "hold 1, retire 1");
  places.pass(100ms), places.is_dry(1);
  EXPECT_EQ(places.exits(1), "fork 4 beside 2 as 2");
  EXPECT_EQ(places.exits(4), "fork 5 beside 3");
  EXPECT_EQ(places.state().rollout->phase, RolloutPhase::Undoing);
  places.opens(5);
  EXPECT_EQ(places.is_ready(5), "retire 3, 2 died by 4");
  EXPECT_EQ(worker_of(places, 0), 5);
  EXPECT_EQ(worker_of(places, 1), 2);
}

TEST(SupervisorRollout, OneThatIsHeldAndEndsByItselfIsNotInTheWayOfUndoing) {
  Places places{2};
  places.reload(2, {.canaries = 1, .batch = 1, .surge = 2});
  places.opens(3);
  EXPECT_EQ(places.is_ready(3), "hold 1, fork 4 beside 2 as 2");
  places.ends(1);
  EXPECT_EQ(places.exits(4), "retire 1") << "it cannot have its place again";
  EXPECT_EQ(places.exits(1), "fork 5 beside 3");
}

TEST(SupervisorRollout, WhoDiesLaterIsReplacedByOneOfItsGeneration) {
  Places places = proving();
  places.pass(5s);
  places.is_dry(1), places.exits(1);
  places.exits(2);
  EXPECT_EQ(places.pass(10s), "fork 3");
  EXPECT_EQ(places.state().live.at(3).generation, 2);
}

TEST(SupervisorRollout, ACanaryThatDiesChangesNothing) {
  Places places{2};
  places.reload(2, kTwoAtATime);
  EXPECT_EQ(places.exits(3), "2 died by 3");
  EXPECT_EQ(worker_of(places), 1);
  EXPECT_FALSE(places.state().rollout);
  EXPECT_EQ(places.until_wakeup(), std::nullopt);
}

TEST(SupervisorRollout, WhenALaterOneDiesTheHeldOnesHaveTheirPlacesAgainAtOnce) {
  Places places{3};
  places.reload(2, kTwoAtATime);
  places.serves(4);
  EXPECT_EQ(places.exits(5), "resume 1, retire 4, end 6, 2 died by 5");
  EXPECT_EQ(worker_of(places, 0), 1);
  EXPECT_EQ(worker_of(places, 1), 2);
  EXPECT_EQ(worker_of(places, 2), 3);
  EXPECT_EQ(places.state().generation, 1);
  EXPECT_TRUE(is_retired(places.state(), 4));
  EXPECT_EQ(places.is_dry(4), "end 4");
  EXPECT_EQ(places.exits(4), "");
  EXPECT_EQ(places.exits(6), "");
}

TEST(SupervisorRollout, OneThatDiesWhileAllProveThemselvesUndoesIt) {
  Places places = proving();
  places.pass(4999ms);
  EXPECT_EQ(places.exits(2), "resume 1, 2 died by 2");
  EXPECT_EQ(worker_of(places), 1);
  EXPECT_EQ(places.pass(10s), "") << "nobody else is forked for the place";
}

TEST(SupervisorRollout, OneThatIsNotReadyInTimeUndoesIt) {
  Places places{1};
  places.reload(2);
  places.opens(2);
  EXPECT_EQ(places.until_wakeup(), 60s);
  EXPECT_EQ(places.pass(59999ms), "");
  EXPECT_EQ(places.pass(1ms), "end 2, 2 not ready by 2");
  EXPECT_EQ(worker_of(places), 1);
}

TEST(SupervisorRollout, OneThatIsUnfitUndoesIt) {
  Places places = proving();
  EXPECT_EQ(places.is_unfit(1), "") << "not of the new generation";
  EXPECT_EQ(places.is_unfit(7), "");
  EXPECT_EQ(places.is_unfit(2), "resume 1, retire 2, 2 unfit by 2");
}

TEST(SupervisorRollout, WhereNobodyIsHeldAnyMoreAnotherLikeItIsStarted) {
  Places places = proving();
  EXPECT_EQ(places.exits(1), "") << "it was held";
  EXPECT_EQ(places.is_unfit(2), "fork 3 beside 2");
  EXPECT_EQ(places.state().rollout->phase, RolloutPhase::Undoing);
  EXPECT_EQ(places.exits(3), "") << "it does not start";
  EXPECT_EQ(places.until_wakeup(), 100ms);
  EXPECT_EQ(places.pass(100ms), "fork 4 beside 2");
  places.opens(4);
  EXPECT_EQ(places.is_ready(4), "retire 2, 2 unfit by 2");
  EXPECT_EQ(worker_of(places), 4);
}

TEST(SupervisorRollout, APlaceThatIsEmptyIsFilledByTheNewGeneration) {
  Places places{1};
  places.exits(1);
  EXPECT_EQ(places.reload(2), "fork 2 as 2");
  places.serves(2);
  EXPECT_EQ(places.pass(5s), "2 reached");
}

TEST(SupervisorRollout, AndByTheOldOneIfThatDies) {
  Places places{1};
  places.exits(1);
  places.reload(2);
  EXPECT_EQ(places.exits(2), "2 died by 2");
  EXPECT_EQ(places.pass(100ms), "fork 3");
  EXPECT_EQ(places.state().live.at(3).generation, 1);
}

TEST(SupervisorRollout, AnOldOneThatDiesMeanwhileIsReplacedByTheNewGeneration) {
  Places places{3};
  places.reload(2, {.canaries = 1, .batch = 1});
  places.exits(3);
  EXPECT_EQ(places.pass(200ms), "fork 5") << "the canary is not ready, so it is as before";
  EXPECT_EQ(places.state().live.at(5).generation, 1);
  places.serves(5);
  EXPECT_EQ(worker_of(places, 0), 1);
  places.opens(4);
  EXPECT_EQ(places.is_ready(4), "hold 1, fork 6 beside 2 as 2");
}

TEST(SupervisorRollout, OneThatSaysWhenItIsReadyIsNotUpBecauseItHasLived) {
  Places places{1};
  places.say_when_they_are_ready();
  EXPECT_EQ(places.reload(2), "fork 2 beside 1 as 2");
  EXPECT_EQ(places.pass(kHealthyAfter), "");
  EXPECT_EQ(places.is_ready(2), "hold 1");
}

TEST(SupervisorRollout, OneThatNeverUsesAPortIsUpWhenItHasLived) {
  Places places{0};
  places.keep(2);
  EXPECT_EQ(places.reload(2), "fork 3 beside 1 as 2");
  EXPECT_EQ(places.until_wakeup(), kHealthyAfter);
  EXPECT_EQ(places.pass(kHealthyAfter), "hold 1, fork 4 beside 2 as 2");
  EXPECT_EQ(places.pass(kHealthyAfter), "hold 2");
  EXPECT_EQ(places.pass(5s), "retire 1, retire 2, 2 reached");
}

TEST(SupervisorRollout, AnotherOneUndoesTheFirst) {
  Places places{2};
  places.reload(2, kTwoAtATime);
  places.serves(3);
  EXPECT_EQ(places.reload(3, kTwoAtATime),
            "resume 1, retire 3, 2 superseded, end 4, fork 5 beside 2 as 3")
      << "the first place still has the queue of the one that is retired";
  places.opens(5);
  EXPECT_EQ(places.is_ready(5), "hold 2");
  EXPECT_EQ(places.closes(3), "fork 6 beside 1 as 3");
  places.opens(6);
  EXPECT_EQ(places.is_ready(6), "hold 1");
  EXPECT_EQ(places.pass(5s), "look whether 3 is dry, retire 1, retire 2, 3 reached");
}

TEST(SupervisorRollout, AnotherOneNeedNotUndoWhatTakesTime) {
  Places places = proving();
  places.exits(1);
  EXPECT_EQ(places.is_unfit(2), "fork 3 beside 2");
  EXPECT_EQ(places.reload(3), "2 unfit by 2, end 3, fork 4 beside 2 as 3");
  places.opens(4);
  EXPECT_EQ(places.is_ready(4), "hold 2");
  EXPECT_EQ(places.pass(5s), "retire 2, 3 reached");
}

TEST(SupervisorRollout, WhoIsReplacedOnRequestMeanwhileBelongsToIt) {
  Places places{3};
  places.replace(3);
  EXPECT_EQ(places.reload(2), "end 4, fork 5 beside 1 as 2") << "of the generation before";
  EXPECT_EQ(places.replace(2), "fork 6 beside 2 as 2");
}

TEST(SupervisorRollout, NobodyOfOneBeforeIsLeftWhenItIsUndone) {
  Places places = proving();
  places.exits(1);
  places.is_unfit(2);
  EXPECT_EQ(places.exits(3), "");
  EXPECT_EQ(places.reload(3), "2 unfit by 2, fork 4 beside 2 as 3");
  EXPECT_EQ(places.exits(4), "fork 5 beside 2") << "of generation 1, though 2 had the place";
  places.opens(5);
  EXPECT_EQ(places.is_ready(5), "retire 2, 3 died by 4");
}

TEST(SupervisorRollout, PlacesThatAreAddedMeanwhileBelongToIt) {
  Places places = proving();
  EXPECT_EQ(places.keep(2), "fork 3 as 2");
  EXPECT_EQ(places.pass(4s), "");
  places.serves(3);
  EXPECT_EQ(places.until_wakeup(), 5s) << "all have to prove themselves";
  EXPECT_EQ(places.pass(5s), "retire 1, 2 reached");
}

TEST(SupervisorRollout, PlacesThatAreNoMoreDoNotMatter) {
  Places places{2};
  places.reload(2);
  places.serves(3);
  EXPECT_EQ(places.scale(1), "retire 2, end 4") << "their places are gone";
  EXPECT_EQ(places.state().rollout->phase, RolloutPhase::Proving);
  EXPECT_EQ(places.scale(0), "retire 3, retire 1, release what 1 closed");
  places.is_dry(1), places.is_dry(2), places.is_dry(3);
  EXPECT_EQ(places.pass(5s), "2 reached");
}

TEST(SupervisorRollout, WithoutPlacesItIsReachedWhenTheTimeIsOver) {
  Places places{0};
  EXPECT_EQ(places.reload(2), "");
  EXPECT_EQ(places.pass(5s), "2 reached");
  EXPECT_EQ(places.keep(1), "fork 1");
  EXPECT_EQ(places.state().live.at(1).generation, 2);
}

TEST(SupervisorRollout, ItWaitsWhileTooManyHaveDiedAndGoesOnWhenOneTurnsOutToBeHealthy) {
  Places places{0};
  places.keep(2);
  for (int worker = 2; worker < 2 + kTriesMax; ++worker) places.exits(worker), places.pass(1s);
  places.keep(1);
  EXPECT_EQ(places.reload(2), "");
  EXPECT_EQ(places.pass(kHealthyAfter), "fork 7 beside 1 as 2");
}

TEST(SupervisorRollout, TheEndOfTheServiceIsItsEnd) {
  Places places = proving();
  EXPECT_EQ(places.terminate(), "2 stopped, end all");
  EXPECT_EQ(places.reload(3), "3 stopped");
  EXPECT_EQ(places.exits(1), "");
  EXPECT_EQ(places.exits(2), "end all") << "it is over";
}

TEST(SupervisorRollout, WhoIsHeldStaysWhateverItDoesWithItsPorts) {
  Places places = proving();
  EXPECT_EQ(places.closes(1), "");
  EXPECT_EQ(places.pass(2s), "");
  EXPECT_EQ(places.opens(1), "");
  EXPECT_FALSE(places.state().comes_back);
  EXPECT_EQ(places.is_unfit(2), "resume 1, retire 2, 2 unfit by 2");
}

TEST(SupervisorRollout, OneThatIsHeldAndEndsIsNotTakenBack) {
  Places places = proving();
  places.ends(1);
  EXPECT_EQ(places.is_unfit(2), "") << "it still has the queue";
  EXPECT_EQ(places.closes(1), "fork 3 beside 2");
}

}  // namespace
}  // namespace cohort::cluster
