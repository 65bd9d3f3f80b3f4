#include "cluster/stop_stages.h"

#include <gtest/gtest.h>

namespace cohort::cluster {
namespace {

using namespace std::chrono_literals;
using Stage = StopStages::Stage;

const StopStages::TimePoint kFirstWish{1000s};

StopStages stages(std::chrono::milliseconds lame_duck, std::chrono::milliseconds grace = 25s) {
  StopStages stages;
  stages.grace = grace;
  stages.lame_duck = lame_duck;
  return stages;
}

TEST(StopStages, WithoutALameDuckTimeTheFirstWishIsTheEnd) {
  StopStages stop = stages(0s);
  EXPECT_EQ(stop.stage(), Stage::Serving);
  EXPECT_TRUE(stop.wish(kFirstWish));
  EXPECT_EQ(stop.stage(), Stage::Ending);
  EXPECT_EQ(stop.deadline(), kFirstWish + 25s);
  EXPECT_EQ(stop.rest(), 25s);
  EXPECT_FALSE(stop.time_passed(kFirstWish + 1h));
}

TEST(StopStages, TheLameDuckTimeIsAPartOfTheGraceTime) {
  StopStages stop = stages(10s);
  EXPECT_FALSE(stop.time_passed(kFirstWish)) << "nobody wants the end";
  EXPECT_TRUE(stop.wish(kFirstWish));
  EXPECT_EQ(stop.stage(), Stage::LameDuck);
  EXPECT_EQ(stop.ends_at(), kFirstWish + 10s);
  EXPECT_EQ(stop.deadline(), kFirstWish + 25s);
  EXPECT_EQ(stop.rest(), 15s);
  EXPECT_FALSE(stop.time_passed(kFirstWish + 10s - 1ns));
  EXPECT_TRUE(stop.time_passed(kFirstWish + 10s));
  EXPECT_EQ(stop.stage(), Stage::Ending);
  EXPECT_FALSE(stop.time_passed(kFirstWish + 11s)) << "once";
}

TEST(StopStages, AnotherWishHurriesAtAnyStage) {
  for (const auto lame_duck : {0s, 10s}) {
    StopStages stop = stages(lame_duck);
    EXPECT_TRUE(stop.wish(kFirstWish));
    EXPECT_FALSE(stop.wish(kFirstWish + 99ms)) << "the same wish";
    EXPECT_TRUE(stop.wish(kFirstWish + 100ms));
    EXPECT_EQ(stop.stage(), Stage::Hurrying);
    EXPECT_FALSE(stop.time_passed(kFirstWish + 1h));
    EXPECT_EQ(stop.stage(), Stage::Hurrying);
  }
  StopStages late = stages(10s);
  late.wish(kFirstWish);
  late.time_passed(kFirstWish + 10s);
  EXPECT_TRUE(late.wish(kFirstWish + 11s));
  EXPECT_EQ(late.stage(), Stage::Hurrying);
}

TEST(StopStages, ALameDuckTimeIsNeverLongerThanTheGraceTime) {
  StopStages stop = stages(30s, 20s);
  stop.wish(kFirstWish);
  EXPECT_EQ(stop.lame_duck_time(), 20s);
  EXPECT_EQ(stop.rest(), 0s);
}

TEST(StopStages, ALameDuckTimeThatHasBegunIsNotChanged) {
  StopStages stop = stages(10s);
  stop.wish(kFirstWish);
  stop.lame_duck = 20s;
  stop.grace = 5s;
  EXPECT_EQ(stop.rest(), 0s);
  EXPECT_TRUE(stop.time_passed(kFirstWish + 10s));
}

}  // namespace
}  // namespace cohort::cluster
