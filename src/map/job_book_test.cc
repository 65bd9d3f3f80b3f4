#include "map/job_book.h"

#include <gtest/gtest.h>

#include <csignal>

namespace cohort::map {
namespace {

const Exit kGood, kBad = Exit::exited(7), kKilled = Exit::killed(SIGKILL);

JobBook book_of(const char* halt, unsigned tries = 1) {
  return JobBook{HaltRule::parse(halt).value(), tries};
}

TEST(HaltRule, IsReadAsGnuParallelsIs) {
  EXPECT_EQ(HaltRule::parse("never").value(), HaltRule{});
  EXPECT_EQ(HaltRule::parse("now,fail=3").value(),
            (HaltRule{HaltRule::When::Now, HaltRule::What::Fail, 3, false}));
  EXPECT_EQ(HaltRule::parse("soon,done=20%").value(),
            (HaltRule{HaltRule::When::Soon, HaltRule::What::Done, 20, true}));
  for (const char* text : {"", "now", "now,fail", "now,fail=", "now,fail=0", "later,fail=1",
                           "now,bad=1", "now,fail=1x", "now,fail=101%", "fail=1,now"})
    EXPECT_FALSE(HaltRule::parse(text)) << text;
}

TEST(JobBook, TheCodeIsHowManyFailed) {
  JobBook book = book_of("never");
  EXPECT_EQ(book.exit_code(), 0);
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(book.ended(kBad, 1));
  EXPECT_FALSE(book.ended(kGood, 1));
  EXPECT_EQ(book.exit_code(), 100);
  book.ended(kKilled, 1);
  book.ended(kKilled, 1);
  EXPECT_EQ(book.exit_code(), 101);
  EXPECT_EQ(book.done(), 103u);
  EXPECT_FALSE(book.halts());
}

TEST(JobBook, AJobIsTriedSoOftenAndCountsOnce) {
  JobBook book = book_of("never", 3);
  EXPECT_TRUE(book.ended(kBad, 1));
  EXPECT_TRUE(book.ended(kBad, 2));
  EXPECT_EQ(book.done(), 0u);
  EXPECT_FALSE(book.ended(kBad, 3));
  EXPECT_FALSE(book.ended(kGood, 1));
  EXPECT_EQ(book.exit_code(), 1);
}

TEST(JobBook, HaltsAtSoManyWithTheCodeOfTheOneThatDecided) {
  JobBook now = book_of("now,fail=2");
  now.ended(kGood, 1);
  now.ended(kBad, 1);
  EXPECT_FALSE(now.halts());
  now.ended(kKilled, 1);
  EXPECT_TRUE(now.halts());
  EXPECT_TRUE(now.kills());
  now.ended(kBad, 1);
  EXPECT_EQ(now.exit_code(), 128 + SIGKILL);

  JobBook soon = book_of("soon,success=1");
  soon.ended(kBad, 1);
  EXPECT_FALSE(soon.halts());
  soon.ended(kGood, 1);
  EXPECT_TRUE(soon.halts());
  EXPECT_FALSE(soon.kills());
  EXPECT_EQ(soon.exit_code(), 0);
}

TEST(JobBook, OfAHundredCountsOnceThreeAreDone) {
  JobBook book = book_of("soon,fail=50%");
  book.ended(kBad, 1);
  EXPECT_FALSE(book.halts());
  book.ended(kGood, 1);
  book.ended(kGood, 1);
  EXPECT_FALSE(book.halts());
  book.ended(kBad, 1);
  EXPECT_TRUE(book.halts());
}

TEST(JobBook, NothingIsTriedAgainOnceItHalts) {
  JobBook book = book_of("soon,done=1", 5);
  book.ended(kGood, 1);
  EXPECT_FALSE(book.ended(kBad, 1));
}

}  // namespace
}  // namespace cohort::map
