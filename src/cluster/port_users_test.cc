#include "cluster/port_users.h"

#include <gtest/gtest.h>

namespace cohort::cluster {
namespace {

constexpr PortUsers::User kTakes{nullptr, false};
constexpr PortUsers::User kOnlyAccepts{nullptr, true};

// Used by workers 1 to `count`.
PortUsers used_by(int count) {
  PortUsers users;
  for (int worker = 1; worker <= count; ++worker) users.join(worker, kTakes);
  return users;
}

TEST(PortUsers, APortThatNobodyEverUsedStaysOpen) {
  PortUsers users;
  EXPECT_TRUE(users.empty());
  EXPECT_FALSE(users.may_close());
  EXPECT_FALSE(users.close(1, true)) << "it was no user";
  EXPECT_FALSE(users.may_close());
}

TEST(PortUsers, TheLastThatClosesItForGoodClosesIt) {
  PortUsers users = used_by(2);
  EXPECT_TRUE(users.close(1, true));
  EXPECT_FALSE(users.may_close());
  EXPECT_TRUE(users.close(2, true));
  EXPECT_TRUE(users.may_close());
}

TEST(PortUsers, WhoClosedItForGoodWhileOthersUsedItDoesNotCloseItForThem) {
  PortUsers users = used_by(2);
  users.close(1, true);
  users.lose(2);
  EXPECT_FALSE(users.may_close()) << "a successor of the second may come";
  users.expect_no_successor(2);
  EXPECT_TRUE(users.may_close());
}

TEST(PortUsers, WhoIsHeldIsAUserAndTakesNothing) {
  PortUsers users = used_by(1);
  EXPECT_FALSE(users.hold(2, true)) << "no user";
  EXPECT_TRUE(users.hold(1, true));
  EXPECT_TRUE(users.contains(1));
  EXPECT_FALSE(users.takes(1));
  EXPECT_FALSE(users.none_takes()) << "it may again";
  EXPECT_TRUE(users.hold(1, false));
  EXPECT_TRUE(users.takes(1));
}

TEST(PortUsers, OneThatIsRetiredMayAcceptUntilItClosesThePort) {
  PortUsers users = used_by(1);
  EXPECT_TRUE(users.retire(1, true, true));
  EXPECT_FALSE(users.contains(1));
  EXPECT_TRUE(users.may_accept(1));
  EXPECT_FALSE(users.may_close());
  EXPECT_FALSE(users.close(1, true)) << "it is no user any more";
  EXPECT_FALSE(users.may_accept(1));
  EXPECT_TRUE(users.may_close());
}

TEST(PortUsers, OneThatIsRetiredAndDiesAcceptsNoMore) {
  PortUsers users = used_by(1);
  users.retire(1, true, true);
  users.lose(1);
  EXPECT_TRUE(users.may_close());
}

TEST(PortUsers, WhereThePrimaryAcceptsOneThatIsRetiredHasNothingOfThePort) {
  PortUsers users = used_by(1);
  users.retire(1, true, false);
  EXPECT_FALSE(users.may_accept(1));
  EXPECT_TRUE(users.may_close());
}

TEST(PortUsers, RetiringTwiceIsRetiringOnce) {
  PortUsers users = used_by(1);
  EXPECT_TRUE(users.retire(1, false, true));
  EXPECT_FALSE(users.retire(1, true, true));
  EXPECT_FALSE(users.may_close());
}

TEST(PortUsers, ThatADeadWorkerUsedStaysOpenForItsSuccessor) {
  PortUsers users = used_by(1);
  users.lose(1);
  EXPECT_FALSE(users.may_close());
  users.join(2, kTakes);
  users.expect_no_successor(1);
  EXPECT_FALSE(users.may_close()) << "he is there";
  users.close(2, true);
  EXPECT_TRUE(users.may_close());
}

TEST(PortUsers, StaysOpenWhileASuccessorOfAnyoneMayCome) {
  PortUsers users = used_by(2);
  users.lose(1);
  users.close(2, false);
  users.expect_no_successor(1);
  EXPECT_FALSE(users.may_close());
  users.expect_no_successor(7);
  EXPECT_FALSE(users.may_close()) << "a stranger";
  users.expect_no_successor(2);
  EXPECT_TRUE(users.may_close());
}

TEST(PortUsers, WhoComesBackIsNobodysPredecessor) {
  PortUsers users = used_by(1);
  users.close(1, false);
  users.join(1, kTakes);
  users.expect_no_successor(1);
  users.close(1, false);
  EXPECT_FALSE(users.may_close());
}

TEST(PortUsers, OneThatComesKeepsThePortThatWasToBeClosed) {
  PortUsers users = used_by(1);
  users.retire(1, true, true);
  users.join(2, kTakes);
  users.close(1, true);
  EXPECT_FALSE(users.may_close());
  EXPECT_TRUE(users.contains(2));
}

TEST(PortUsers, OneThatIsInTheWayIsClosedOnlyIfNobodyUsesIt) {
  PortUsers users = used_by(1);
  EXPECT_FALSE(users.close_if_unused());
  EXPECT_FALSE(users.may_close());
  users.close(1, false);
  EXPECT_TRUE(users.close_if_unused());
  EXPECT_TRUE(users.may_close()) << "whoever may come";
}

TEST(PortUsers, RemembersSoManyPredecessorsAndNoMore) {
  PortUsers users;
  for (int worker = 1; worker <= 3000; ++worker) {
    users.join(worker, kTakes);
    users.lose(worker);
  }
  for (int worker = 1; worker < 3000; ++worker) users.expect_no_successor(worker);
  EXPECT_FALSE(users.may_close());
  users.expect_no_successor(3000);
  EXPECT_TRUE(users.may_close());
}

TEST(PortUsers, NoneTakesWhereAllOnlyAccept) {
  PortUsers users;
  EXPECT_FALSE(users.none_takes()) << "one that does may come";
  users.join(1, kOnlyAccepts);
  EXPECT_TRUE(users.none_takes());
  EXPECT_FALSE(users.takes(1));
  users.join(2, kTakes);
  EXPECT_FALSE(users.none_takes());
  EXPECT_TRUE(users.takes(2));
  users.lose(2);
  EXPECT_TRUE(users.none_takes());
}

}  // namespace
}  // namespace cohort::cluster
