#include "thread/spin_rule.h"

#include <gtest/gtest.h>

namespace cohort::thread {
namespace {

int spins_of(SpinRule& rule, int waits, bool found) {
  int spins = 0;
  for (int i = 0; i < waits; ++i) {
    if (!rule.spins()) continue;
    ++spins;
    rule.spun(found);
  }
  return spins;
}

TEST(SpinRule, TriesNowAndThenWhileItFindsNothing) {
  SpinRule rule{false};
  EXPECT_EQ(spins_of(rule, 10 * SpinRule::kTryEvery, false), 10);
}

TEST(SpinRule, GoesOnWhileItPays) {
  SpinRule rule{false};
  spins_of(rule, SpinRule::kTryEvery, true);
  EXPECT_EQ(spins_of(rule, 100, true), 100);
}

TEST(SpinRule, SwitchesItselfOffAfterAFewInVain) {
  SpinRule rule{false};
  spins_of(rule, 200, true);
  EXPECT_EQ(spins_of(rule, SpinRule::kCreditMax, false), SpinRule::kCreditMax);
  EXPECT_LE(spins_of(rule, SpinRule::kTryEvery, false), 1);
}

TEST(SpinRule, NeverSpinsOnOneCpu) {
  SpinRule rule{true};
  EXPECT_EQ(spins_of(rule, 1000, true), 0);
}

}  // namespace
}  // namespace cohort::thread
