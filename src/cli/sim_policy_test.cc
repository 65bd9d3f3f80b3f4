#include "cli/sim_policy.h"

#include <gtest/gtest.h>

namespace cohort::cli {
namespace {

using namespace std::chrono_literals;

SimOptions with_policy(const std::string& text) {
  SimOptions options;
  options.workers = 8;
  EXPECT_EQ(read_sim_policy(text, options), std::nullopt);
  return options;
}

std::string policy_problem(const std::string& text) {
  SimOptions options;
  return read_sim_policy(text, options).value_or("it is right");
}

TEST(SimPolicy, HasANameForEachRule) {
  const SimOptions options = with_policy(
      "backoff=250ms..30s healthy=20 tries=3 grace=9,ready-within=0.5 prove=5s\n park=60  "
      "canary=2 batch=25% max-surge=1");
  EXPECT_EQ(options.rules.backoff_min, 250ms);
  EXPECT_EQ(options.rules.backoff_max, 30s);
  EXPECT_EQ(options.rules.healthy_after, 20s);
  EXPECT_EQ(options.rules.tries_max, 3);
  EXPECT_EQ(options.rules.drain_timeout, 9s);
  EXPECT_EQ(options.reload.ready_within, 500ms);
  EXPECT_EQ(options.reload.prove, 5s);
  EXPECT_EQ(options.reload.park, 60s);
  EXPECT_EQ(options.reload.canaries, 2U);
  EXPECT_EQ(options.reload.batch, 2U) << "of 8";
  EXPECT_EQ(options.reload.max_surge, 1U);
}

TEST(SimPolicy, WithoutWordsIsThatOfCohortRun) {
  for (const char* none : {"", " ", " , "}) {
    const SimOptions options = with_policy(none);
    EXPECT_EQ(options.rules.backoff_min, cluster::kBackoffMin);
    EXPECT_EQ(options.rules.tries_max, cluster::kTriesMax);
  }
  EXPECT_EQ(with_policy("backoff=1s").rules.backoff_max, 1s) << "always the same";
}

TEST(SimPolicy, SaysTheNearestNameOfOneThatThereIsNot) {
  EXPECT_EQ(policy_problem("canaries=2"),
            "--policy has no `canaries`; the nearest that there is: `canary`");
  EXPECT_EQ(policy_problem("back-off=1s"),
            "--policy has no `back-off`; the nearest that there is: `backoff`");
  EXPECT_EQ(policy_problem("prove=5 maxsurge=1"),
            "--policy has no `maxsurge`; the nearest that there is: `max-surge`");
}

TEST(SimPolicy, SaysWhatAValueIsToBe) {
  const std::pair<const char*, const char*> wrongs[] = {
      {"prove=x", "--policy: prove takes a time: 7, 7s, 0.5 or 100ms, up to 86400; not `x`"},
      {"prove=-1", "--policy: prove takes a time"},
      {"prove", "--policy: prove takes a time: 7, 7s, 0.5 or 100ms, up to 86400; not ``"},
      {"backoff=10s..1s", "--policy: backoff takes two times, the first above 0: 100ms..10s; not"},
      {"backoff=0..1s", "--policy: backoff takes two times"},
      {"backoff=..", "--policy: backoff takes two times"},
      {"tries=0", "--policy: tries takes a number from 1 on; not `0`"},
      {"tries=3x", "--policy: tries takes a number from 1 on; not `3x`"},
      {"batch=200%", "--policy: batch takes a number of workers from 1 on, or 1% to 100%; not"},
      {"prove=1 prove=2", "--policy has prove twice"}};
  for (const auto& [text, problem] : wrongs)
    EXPECT_TRUE(policy_problem(text).starts_with(problem)) << policy_problem(text);
}

TEST(SimTime, IsInSecondsOrMilliseconds) {
  EXPECT_EQ(sim_time_from("7"), 7s);
  EXPECT_EQ(sim_time_from("7s"), 7s);
  EXPECT_EQ(sim_time_from("0.5"), 500ms);
  EXPECT_EQ(sim_time_from("0.29"), 290ms);
  EXPECT_EQ(sim_time_from("1500ms"), 1500ms);
  for (const char* wrong : {"", "s", "ms", "7m", "-1", "nan", "86401", "1e99", "7 s"})
    EXPECT_EQ(sim_time_from(wrong), std::nullopt) << wrong;
}

}  // namespace
}  // namespace cohort::cli
