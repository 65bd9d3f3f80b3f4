#include "sim/shrink.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "sim/simulation.h"

namespace cohort::cluster::sim {
namespace {

std::vector<int> kept(const std::vector<bool>& skipped) {
  std::vector<int> steps;
  for (std::size_t step = 1; step < skipped.size(); ++step)
    if (!skipped[step]) steps.push_back(static_cast<int>(step));
  return steps;
}

TEST(Shrink, LeavesTheStepsThatMatter) {
  for (const std::vector<int>& matter :
       {std::vector<int>{1}, {60}, {3, 4, 59}, {1, 20, 21, 40, 60}, {}}) {
    const auto fails = [&](const std::vector<bool>& skipped) {
      const bool all = std::none_of(matter.begin(), matter.end(), [&](int step) {
        return skipped[static_cast<std::size_t>(step)];
      });
      return all ? std::string{"broken"} : std::string{};
    };
    EXPECT_EQ(kept(shrink(60, fails, 10000)), matter);
  }
}

TEST(Shrink, LeavesAnotherFailureAlone) {
  const auto fails = [](const std::vector<bool>& skipped) {
    return std::string{skipped[7] ? "another" : "broken"};
  };
  EXPECT_EQ(kept(shrink(9, fails, 10000)), std::vector<int>{7});
}

TEST(Shrink, TriesNoMoreOftenThanItMay) {
  int runs = 0;
  const auto fails = [&](const std::vector<bool>&) { return ++runs, std::string{}; };
  (void)shrink(1000, fails, 10);
  EXPECT_LE(runs, 11);
}

TEST(Shrink, AScheduleWithoutItsStepsBreaksNothing) {
  const Outcome outcome =
      simulate({.seed = 5, .steps = 60, .skipped = std::vector<bool>(61, true)});
  EXPECT_EQ(outcome.violation, "");
  EXPECT_GE(outcome.step, 60);
}

}  // namespace
}  // namespace cohort::cluster::sim
