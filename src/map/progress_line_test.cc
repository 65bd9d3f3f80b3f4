#include "map/progress_line.h"

#include <gtest/gtest.h>

namespace cohort::map {
namespace {

using namespace std::chrono_literals;

TEST(ProgressLine, SaysHowFarHowFastAndHowLongYet) {
  EXPECT_EQ(progress_line({.done = 25, .total = 100, .elapsed = 10s}, 60),
            " 25%|######                   | 25/100 [00:10<00:30, 2.50/s]");
  EXPECT_EQ(progress_line({.done = 100, .failed = 2, .total = 100, .elapsed = 4000s}, 10),
            "100% 100/100 [1:06:40<00:00, 40.00s each, 2 failed]");
}

TEST(ProgressLine, WithoutAKnownEndThereIsNoBar) {
  EXPECT_EQ(progress_line({.done = 5000, .elapsed = 2s}, 80), "5000 [00:02, 2500/s]");
}

TEST(ProgressLine, AtTheBeginningNothingIsKnown) {
  EXPECT_EQ(progress_line({.total = 4}, 30), "  0%|     | 0/4 [00:00<?, ?/s]");
  EXPECT_EQ(progress_line({.total = 0}, 30), "0/0 [00:00<?, ?/s]");
}

TEST(ProgressLine, IsNoLongerThanTheTerminal) {
  for (unsigned columns = 45; columns < 200; ++columns)
    EXPECT_LE(progress_line({.done = 3, .total = 9, .elapsed = 1s}, columns).size(), columns);
}

}  // namespace
}  // namespace cohort::map
