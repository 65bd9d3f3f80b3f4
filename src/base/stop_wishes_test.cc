#include "base/stop_wishes.h"

#include <gtest/gtest.h>

namespace cohort {
namespace {

TEST(StopWishes, SignalsThatComeTogetherAreOne) {
  using std::chrono::milliseconds;
  const StopWishes::TimePoint start{};
  StopWishes wishes;
  EXPECT_FALSE(wishes.any());
  EXPECT_TRUE(wishes.is_one(start));
  EXPECT_TRUE(wishes.any());
  EXPECT_FALSE(wishes.is_one(start));
  EXPECT_FALSE(wishes.is_one(start + milliseconds{99}));
  EXPECT_TRUE(wishes.is_one(start + milliseconds{100}));
  EXPECT_TRUE(wishes.is_one(start + milliseconds{101}));
}

}  // namespace
}  // namespace cohort
