#include "thread/spin_rule.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <thread>

#include "base/parallelism.h"
#include "base/read_file.h"
#include "thread/spin.h"

namespace cohort::thread {
namespace {

// How often it looked in so many waits, all of which went the same way.
int spins_of(SpinRule& rule, int waits, bool found) {
  int spins = 0;
  for (int i = 0; i < waits; ++i) {
    if (rule.budget().count() == 0) continue;
    ++spins;
    rule.spun(found);
  }
  return spins;
}

TEST(SpinRule, TriesNowAndThenAndMoreRarelyWhileItFindsNothing) {
  SpinRule rule{false};
  EXPECT_EQ(spins_of(rule, 16, false), 1);
  EXPECT_EQ(spins_of(rule, 32, false), 1);
  EXPECT_EQ(spins_of(rule, 64 + 128 + 256 + 512, false), 4);
  EXPECT_EQ(spins_of(rule, 10 * SpinRule::kTrialEveryMax, false), 10);
}

TEST(SpinRule, GoesOnWhileItPays) {
  SpinRule rule{false};
  EXPECT_EQ(spins_of(rule, SpinRule::kTrialEveryMin, true), 1);
  EXPECT_EQ(spins_of(rule, 100, true), 100);
  EXPECT_EQ(rule.budget(), SpinRule::kSpinMax);
}

TEST(SpinRule, SwitchesItselfOffAfterAFewInVain) {
  SpinRule rule{false};
  spins_of(rule, 200, true);
  EXPECT_EQ(spins_of(rule, SpinRule::kCreditMax, false), SpinRule::kCreditMax);
  EXPECT_LE(spins_of(rule, SpinRule::kTrialEveryMin, false), 1);
}

TEST(SpinRule, LooksOnceWhenWhoAnswersIsAwake) {
  SpinRule rule{false};
  rule.encourage();
  EXPECT_EQ(rule.budget(), SpinRule::kSpinMax);
  rule.spun(true);
  EXPECT_EQ(spins_of(rule, 10, true), 10);
}

TEST(SpinRule, IsDeafForLongerAndLongerToWhatWasInVain) {
  SpinRule rule{false};
  int spins = 0;
  for (int i = 0; i < 1000; ++i) {
    rule.encourage();
    if (rule.budget() != SpinRule::kSpinMax) continue;
    ++spins;
    rule.spun(false);
  }
  EXPECT_GE(spins, 5);
  EXPECT_LE(spins, 10);
}

TEST(SpinRule, NeverSpinsOnOneCpu) {
  SpinRule rule{true};
  rule.encourage();
  EXPECT_EQ(spins_of(rule, 1000, true), 0);
}

// The first thread that asks decides for the process, and may be pinned.
TEST(SpinRule, SpinsOnAThreadThatIsPinnedToOneCpu) {
  if (::sysconf(_SC_NPROCESSORS_ONLN) == 1 || cgroup_cpu_limit(read_file) == 1U)
    GTEST_SKIP() << "there is one CPU";
  std::thread{[] {
    cpu_set_t cpu;
    CPU_ZERO(&cpu);
    CPU_SET(static_cast<unsigned>(::sched_getcpu()), &cpu);
    ASSERT_EQ(::sched_setaffinity(0, sizeof cpu, &cpu), 0);
    EXPECT_EQ(spins_of(spin_rule(), SpinRule::kTrialEveryMin, false), 1);
  }}.join();
}

}  // namespace
}  // namespace cohort::thread
