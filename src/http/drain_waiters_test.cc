#include "http/drain_waiters.h"

#include <gtest/gtest.h>

#include <string>

namespace cohort::http {
namespace {

class DrainWaitersTest : public testing::Test {
 protected:
  void add(std::uint64_t serial, char name) {
    waiters.add(serial, [this, name] { called += name; });
  }
  // Who is called while answer `current` is the last one.
  std::string take(std::uint64_t current, bool answering) {
    called.clear();
    for (const auto& callback : waiters.take(current, answering)) callback();
    return called;
  }

  DrainWaiters waiters;
  std::string called;
};

TEST_F(DrainWaitersTest, ThoseOfAnAnswerThatIsBeingMadeWaitUntilAWriteSaidStop) {
  add(1, 'a');
  EXPECT_EQ(take(1, true), "") << "it was not told to stop";
  waiters.told_to_stop(true);
  add(1, 'b');
  EXPECT_EQ(take(1, true), "ab");
  EXPECT_TRUE(waiters.empty());
  add(1, 'c');
  EXPECT_EQ(take(1, true), "") << "until the next write";
  waiters.told_to_stop(false);
  EXPECT_EQ(take(1, true), "");
  EXPECT_EQ(take(1, false), "c") << "or the end";
}

TEST_F(DrainWaitersTest, ThoseOfEarlierAnswersDoNotWaitForIt) {
  add(1, 'a');
  add(2, 'b');
  add(1, 'c');
  EXPECT_EQ(take(2, true), "ac");
  EXPECT_FALSE(waiters.empty());
  EXPECT_EQ(take(2, false), "b");
}

TEST_F(DrainWaitersTest, OneThatIsForgottenIsNotCalled) {
  add(1, 'a');
  waiters.clear();
  EXPECT_EQ(take(1, false), "");
}

}  // namespace
}  // namespace cohort::http
