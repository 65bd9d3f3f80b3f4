#include "cluster/settling_rule.h"

#include <gtest/gtest.h>

namespace cohort::cluster {
namespace {

using namespace std::chrono_literals;
using Due = SettlingRule::Due;

constexpr SettlingRule::TimePoint kStart{1h};

bool none_wait() { return false; }
bool some_wait() { return true; }

TEST(SettlingRule, ClientsHaveAMomentAndThenTheLoopTurnsTwice) {
  SettlingRule rule;
  EXPECT_FALSE(rule.next());
  rule.start(kStart);
  EXPECT_EQ(rule.next(), kStart + 100ms);
  EXPECT_FALSE(rule.turned(kStart + 99ms, none_wait)) << "too early to count";
  EXPECT_EQ(rule.time_passed(kStart + 99ms), Due::Nothing);
  EXPECT_EQ(rule.time_passed(kStart + 100ms), Due::Probe);
  EXPECT_EQ(rule.time_passed(kStart + 101ms), Due::Nothing) << "once";
  EXPECT_TRUE(rule.turned(kStart + 110ms, none_wait)) << "and asks for the second turn";
  EXPECT_TRUE(rule.under_way());
  EXPECT_FALSE(rule.turned(kStart + 120ms, none_wait));
  EXPECT_FALSE(rule.under_way());
  EXPECT_FALSE(rule.next());
}

TEST(SettlingRule, WhileConnectionsWaitTurnsDoNotCount) {
  SettlingRule rule;
  rule.start(kStart);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(rule.turned(kStart + 200ms, some_wait));
  EXPECT_TRUE(rule.turned(kStart + 200ms, none_wait));
  EXPECT_FALSE(rule.turned(kStart + 200ms, none_wait));
  EXPECT_FALSE(rule.under_way());
}

TEST(SettlingRule, OneThatDoesNotAnswerIsNotWaitedFor) {
  SettlingRule rule;
  rule.start(kStart);
  EXPECT_EQ(rule.time_passed(kStart + 100ms), Due::Probe);
  EXPECT_EQ(rule.next(), kStart + 2s);
  EXPECT_EQ(rule.time_passed(kStart + 2s), Due::Late);
  EXPECT_FALSE(rule.under_way());
  EXPECT_EQ(rule.time_passed(kStart + 3s), Due::Nothing);
}

}  // namespace
}  // namespace cohort::cluster
