#include "cluster/dispatcher.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace cohort::cluster {
namespace {

using namespace std::chrono_literals;
using TimePoint = Dispatcher::TimePoint;

const TimePoint kNow{1000s};

// Makes every hand-off that can be made: "worker:connection ...".
std::string hand_off(Dispatcher& dispatcher, TimePoint now = kNow) {
  std::string text;
  while (const auto assignment = dispatcher.next(now))
    text += (text.empty() ? "" : " ") + std::to_string(assignment->worker) + ':' +
            std::to_string(assignment->connection);
  return text;
}

void offer(Dispatcher& dispatcher, std::initializer_list<ConnectionId> connections) {
  for (const ConnectionId connection : connections) dispatcher.offer(connection);
}

using Unanswered = std::vector<ConnectionId>;

TEST(Dispatcher, WithoutWorkersConnectionsWait) {
  Dispatcher dispatcher;
  EXPECT_EQ(dispatcher.room(kNow), 0U);
  offer(dispatcher, {1, 2});
  EXPECT_EQ(hand_off(dispatcher), "");
  EXPECT_EQ(dispatcher.waiting(), 2U);
  EXPECT_EQ(dispatcher.retry_at(kNow), std::nullopt);
}

TEST(Dispatcher, HandsConnectionsToWorkersInTurns) {
  Dispatcher dispatcher;
  for (const int worker : {1, 2, 3}) dispatcher.join(worker, 1);
  ConnectionId connection = 0;
  for (const int worker : {1, 2, 3, 1, 2, 3}) {
    dispatcher.offer(++connection);
    EXPECT_EQ(hand_off(dispatcher), std::to_string(worker) + ':' + std::to_string(connection));
    EXPECT_TRUE(dispatcher.accepted(worker, connection));
  }
}

TEST(Dispatcher, TheWorkerWithTheFewestUnansweredIsNext) {
  Dispatcher dispatcher;
  dispatcher.join(1, 4);
  dispatcher.join(2, 4);
  offer(dispatcher, {1, 2, 3, 4});
  EXPECT_EQ(hand_off(dispatcher), "1:1 2:2 1:3 2:4");
  dispatcher.accepted(2, 2);
  dispatcher.accepted(2, 4);
  offer(dispatcher, {5, 6});
  EXPECT_EQ(hand_off(dispatcher), "2:5 2:6") << "worker 1 is behind";
}

TEST(Dispatcher, AWorkerNeverHoldsMoreThanItsCredits) {
  Dispatcher dispatcher;
  dispatcher.join(1, 1);
  dispatcher.join(2, 3);
  offer(dispatcher, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(hand_off(dispatcher), "1:1 2:2 2:3 2:4");
  EXPECT_EQ(dispatcher.waiting(), 2U);
  EXPECT_TRUE(dispatcher.accepted(1, 1));
  EXPECT_EQ(hand_off(dispatcher), "1:5");
}

TEST(Dispatcher, AWorkerHasAtLeastOneCredit) {
  Dispatcher dispatcher;
  dispatcher.join(1, 0);
  offer(dispatcher, {1});
  EXPECT_EQ(hand_off(dispatcher), "1:1");
}

TEST(Dispatcher, ConnectionsAreHandedOffInTheOrderOfArrivalHoweverOftenTheyWereRefused) {
  Dispatcher dispatcher;
  dispatcher.join(1, 3);
  offer(dispatcher, {1, 2, 3});
  EXPECT_EQ(hand_off(dispatcher), "1:1 1:2 1:3");
  offer(dispatcher, {4});
  for (const ConnectionId id : {1u, 2u, 3u}) {
    dispatcher.refused(1, id, kNow);
    dispatcher.offer(id);
  }
  dispatcher.has_room(1);
  EXPECT_EQ(hand_off(dispatcher), "1:1 1:2 1:3");
}

TEST(Dispatcher, AnswersOfWhoeverDoesNotHoldTheConnectionCountForNothing) {
  Dispatcher dispatcher;
  dispatcher.join(1, 2);
  dispatcher.join(2, 2);
  offer(dispatcher, {1});
  EXPECT_EQ(hand_off(dispatcher), "1:1");
  EXPECT_FALSE(dispatcher.accepted(2, 1));
  EXPECT_FALSE(dispatcher.refused(2, 1, kNow));
  EXPECT_FALSE(dispatcher.accepted(1, 7));
  EXPECT_FALSE(dispatcher.accepted(8, 1));
  EXPECT_TRUE(dispatcher.accepted(1, 1));
  EXPECT_FALSE(dispatcher.accepted(1, 1)) << "one answer each";
  EXPECT_FALSE(dispatcher.refused(1, 1, kNow));
  EXPECT_EQ(dispatcher.retry_at(kNow), std::nullopt);
}

TEST(Dispatcher, AWorkerThatRefusedIsLeftAloneForAWhileThatDoubles) {
  Dispatcher dispatcher;
  dispatcher.join(1, 1);
  offer(dispatcher, {1});
  TimePoint now = kNow;
  for (const auto delay : {5ms, 10ms, 20ms, 40ms, 80ms, 160ms, 320ms, 320ms}) {
    EXPECT_EQ(hand_off(dispatcher, now), "1:1");
    EXPECT_TRUE(dispatcher.refused(1, 1, now));
    dispatcher.offer(1);
    EXPECT_EQ(dispatcher.retry_at(now), now + delay);
    EXPECT_EQ(hand_off(dispatcher, now + delay - 1ns), "");
    EXPECT_EQ(dispatcher.room(now), 0U);
    now += delay;
  }
}

TEST(Dispatcher, AnAcceptedConnectionStartsTheDelayOver) {
  Dispatcher dispatcher;
  dispatcher.join(1, 1);
  offer(dispatcher, {1});
  hand_off(dispatcher);
  dispatcher.refused(1, 1, kNow);
  dispatcher.offer(1);
  EXPECT_EQ(hand_off(dispatcher, kNow + 5ms), "1:1");
  dispatcher.accepted(1, 1);
  offer(dispatcher, {2});
  EXPECT_EQ(hand_off(dispatcher, kNow + 5ms), "1:2");
  dispatcher.refused(1, 2, kNow + 5ms);
  EXPECT_EQ(dispatcher.retry_at(kNow), kNow + 10ms);
}

TEST(Dispatcher, AWorkerThatAcceptsAfterItRefusedHasRoomAgain) {
  Dispatcher dispatcher;
  dispatcher.join(1, 2);
  offer(dispatcher, {1, 2});
  hand_off(dispatcher);
  dispatcher.refused(1, 1, kNow);
  dispatcher.accepted(1, 2);
  dispatcher.offer(1);
  EXPECT_EQ(hand_off(dispatcher), "1:1") << "else nothing wakes the connection that waits";
}

TEST(Dispatcher, ARefusedConnectionGoesToAnotherWorkerAtOnce) {
  Dispatcher dispatcher;
  dispatcher.join(1, 1);
  dispatcher.join(2, 1);
  offer(dispatcher, {1});
  EXPECT_EQ(hand_off(dispatcher), "1:1");
  dispatcher.refused(1, 1, kNow);
  dispatcher.offer(1);
  EXPECT_EQ(hand_off(dispatcher), "2:1");
}

TEST(Dispatcher, TheRetryIsThatOfTheFirstWorkerThatMayBeTriedAgain) {
  Dispatcher dispatcher;
  dispatcher.join(1, 1);
  dispatcher.join(2, 2);
  offer(dispatcher, {1, 2, 3});
  EXPECT_EQ(hand_off(dispatcher), "1:1 2:2 2:3");
  EXPECT_EQ(dispatcher.retry_at(kNow), std::nullopt);
  dispatcher.refused(1, 1, kNow + 1ms);
  dispatcher.refused(2, 2, kNow);
  EXPECT_EQ(dispatcher.retry_at(kNow), kNow + 5ms);
  dispatcher.lose(2);
  EXPECT_EQ(dispatcher.retry_at(kNow), kNow + 6ms);
}

TEST(Dispatcher, LeavingGivesBackWhatWasUnansweredOldestFirst) {
  Dispatcher dispatcher;
  dispatcher.join(1, 3);
  offer(dispatcher, {3, 4, 5});
  hand_off(dispatcher);
  dispatcher.accepted(1, 4);
  EXPECT_EQ(dispatcher.lose(1), (Unanswered{3, 5}));
  EXPECT_FALSE(dispatcher.has(1));
  EXPECT_EQ(dispatcher.lose(1), Unanswered{});
  EXPECT_FALSE(dispatcher.accepted(1, 5));
}

TEST(Dispatcher, JoiningTwiceIsJoiningOnce) {
  Dispatcher dispatcher;
  dispatcher.join(1, 1);
  dispatcher.join(1, 1);
  offer(dispatcher, {1, 2});
  EXPECT_EQ(hand_off(dispatcher), "1:1");
}

TEST(Dispatcher, ARetiredWorkerGetsNothingMoreButStillAnswers) {
  Dispatcher dispatcher;
  dispatcher.join(1, 3);
  offer(dispatcher, {1, 2});
  hand_off(dispatcher);
  dispatcher.leave(1);
  offer(dispatcher, {3});
  EXPECT_EQ(hand_off(dispatcher), "");
  EXPECT_EQ(dispatcher.room(kNow), 0U);
  EXPECT_TRUE(dispatcher.any_unanswered());
  EXPECT_TRUE(dispatcher.refused(1, 1, kNow));
  EXPECT_EQ(dispatcher.retry_at(kNow), std::nullopt) << "it is not waited for";
  EXPECT_TRUE(dispatcher.accepted(1, 2));
  EXPECT_FALSE(dispatcher.any_unanswered());
  EXPECT_EQ(hand_off(dispatcher), "") << "idle, but retired";
}

TEST(Dispatcher, ARetiredWorkerThatDiesGivesBackWhatItHeld) {
  Dispatcher dispatcher;
  dispatcher.join(1, 3);
  offer(dispatcher, {1, 2});
  hand_off(dispatcher);
  dispatcher.leave(1);
  EXPECT_EQ(dispatcher.lose(1), (Unanswered{1, 2}));
  EXPECT_FALSE(dispatcher.any_unanswered());
  dispatcher.leave(1);  // gone already
  EXPECT_FALSE(dispatcher.has(1));
}

TEST(Dispatcher, AWorkerThatClosedItsServerAndListensAgainGetsConnectionsAgain) {
  Dispatcher dispatcher;
  dispatcher.join(1, 2);
  offer(dispatcher, {1});
  hand_off(dispatcher);
  dispatcher.leave(1);
  dispatcher.join(1, 2);
  offer(dispatcher, {2, 3});
  EXPECT_EQ(hand_off(dispatcher), "1:2") << "the unanswered one still counts";
  EXPECT_TRUE(dispatcher.accepted(1, 1));
  EXPECT_EQ(hand_off(dispatcher), "1:3");
}

TEST(Dispatcher, RoomIsWhatCouldBeHandedOffBeyondWhatWaits) {
  Dispatcher dispatcher;
  dispatcher.join(1, 2);
  dispatcher.join(2, 3);
  EXPECT_EQ(dispatcher.room(kNow), 5U);
  offer(dispatcher, {1, 2});
  EXPECT_EQ(dispatcher.room(kNow), 3U);
  hand_off(dispatcher);
  EXPECT_EQ(dispatcher.room(kNow), 3U);
  dispatcher.refused(1, 1, kNow);
  EXPECT_EQ(dispatcher.room(kNow), 2U) << "worker 1 is left alone";
  EXPECT_EQ(dispatcher.room(kNow + 5ms), 4U);
  offer(dispatcher, {3, 4, 5, 6, 7});
  EXPECT_EQ(dispatcher.room(kNow), 0U);
}

TEST(Dispatcher, ANewWorkerIsNextAmongTheIdle) {
  Dispatcher dispatcher;
  dispatcher.join(1, 1);
  offer(dispatcher, {1});
  hand_off(dispatcher);
  dispatcher.accepted(1, 1);
  dispatcher.join(2, 1);
  offer(dispatcher, {2});
  EXPECT_EQ(hand_off(dispatcher), "2:2");
}

TEST(Dispatcher, AConnectionWaitsForTheWorkerThatItWants) {
  Dispatcher dispatcher;
  dispatcher.join(1, 1);
  dispatcher.join(2, 1);
  dispatcher.offer(1, 2);
  dispatcher.offer(2, 2);
  dispatcher.offer(3);
  EXPECT_EQ(hand_off(dispatcher), "2:1 1:3") << "those behind it do not wait";
  EXPECT_TRUE(dispatcher.accepted(1, 3));
  EXPECT_EQ(hand_off(dispatcher), "");
  EXPECT_TRUE(dispatcher.accepted(2, 1));
  EXPECT_EQ(hand_off(dispatcher), "2:2");
}

TEST(Dispatcher, OneThatWantsAWorkerThatIsGoneGoesToAnother) {
  Dispatcher dispatcher;
  dispatcher.join(1, 1);
  dispatcher.join(2, 1);
  dispatcher.offer(1, 7);
  EXPECT_EQ(hand_off(dispatcher), "1:1");
  dispatcher.offer(2, 1);
  dispatcher.leave(1);
  EXPECT_EQ(hand_off(dispatcher), "2:2");
}

TEST(Dispatcher, ThoseThatWaitForABusyWorkerLeaveRoomForOthersUpToALimit) {
  Dispatcher dispatcher;
  dispatcher.join(1, 1);
  dispatcher.join(2, 1);
  ConnectionId connection = 0;
  dispatcher.offer(++connection, 1);
  EXPECT_EQ(hand_off(dispatcher), "1:1");
  while (dispatcher.room(kNow) > 0 && connection < 10'000) dispatcher.offer(++connection, 1);
  EXPECT_EQ(connection, 513U);
}

}  // namespace
}  // namespace cohort::cluster
