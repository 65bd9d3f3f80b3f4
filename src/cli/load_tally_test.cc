#include "cli/load_tally.h"

#include <gtest/gtest.h>

namespace cohort::cli {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

LoadOutcome answered(int time) {
  return {.answered = true, .status = 200, .time = microseconds{time}};
}

TEST(Durations, QuantilesAreAtMostASixteenthTooMuch) {
  for (const int time : {0, 1, 15, 16, 17, 31, 32, 33, 1000, 65535, 65536, 123'456'789}) {
    Durations durations;
    durations.add(microseconds{time});
    const auto said = durations.quantile(0.99);
    ASSERT_TRUE(said);
    EXPECT_GE(said->count(), time);
    EXPECT_LE(said->count(), time + time / 16) << time;
  }
  EXPECT_FALSE(Durations{}.quantile(0.5));
}

TEST(Durations, QuantilesCountFromBelow) {
  Durations durations;
  for (int i = 0; i < 99; ++i) durations.add(microseconds{3});
  durations.add(microseconds{9});
  EXPECT_EQ(durations.quantile(0.5), microseconds{3});
  EXPECT_EQ(durations.quantile(0.99), microseconds{3});
  EXPECT_EQ(durations.quantile(1), microseconds{9});
}

TEST(LoadTally, CountsEachKind) {
  LoadTally tally;
  tally.add(LoadKind::Get, {}, answered(5));
  tally.add(LoadKind::Get, {.reload = 1}, answered(7));
  tally.add(LoadKind::KeptPost, {.reload = 1}, {.closed_idle = true, .what = "closed"});
  tally.add_reopened(LoadKind::KeptGet, 3);
  EXPECT_EQ(tally.of(LoadKind::Get).requests, 2U);
  EXPECT_EQ(tally.of(LoadKind::Get).slowest, microseconds{7});
  EXPECT_EQ(tally.of(LoadKind::KeptPost).failed, 1U);
  EXPECT_EQ(tally.of(LoadKind::KeptPost).closed_idle, 1U);
  const auto sum = tally.sum();
  EXPECT_EQ(sum.requests, 3U);
  EXPECT_EQ(sum.failed, 1U);
  EXPECT_EQ(sum.reopened, 3U);
}

TEST(LoadTally, TimesAreThoseOfAnswersDuringReloadsAndOutside) {
  LoadTally tally;
  tally.add(LoadKind::Get, {}, answered(5));
  tally.add(LoadKind::Get, {.reload = 1}, answered(7));
  tally.add(LoadKind::Get, {.reload = 1}, {.what = "refused", .time = microseconds{9}});
  EXPECT_EQ(tally.outside().quantile(1), microseconds{5});
  EXPECT_EQ(tally.during_reloads().quantile(1), microseconds{7});
}

TEST(LoadTally, KeepsTheFirstFiveFailures) {
  LoadTally tally;
  for (int i = 1; i <= 9; ++i)
    tally.add(LoadKind::Get, {.at = milliseconds{i}}, {.what = std::to_string(i)});
  ASSERT_EQ(tally.failures().size(), 5U);
  EXPECT_EQ(tally.failures().back().what, "5");
  EXPECT_EQ(tally.sum().failed, 9U);
}

}  // namespace
}  // namespace cohort::cli
