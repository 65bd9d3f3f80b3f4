#include "manager/hang_rule.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

namespace cohort::manager {
namespace {

using namespace std::chrono_literals;
using Kind = HangRule::Kind;

// One worker, 7, that was asked at time 0.
class HangRuleTest : public testing::Test {
 protected:
  HangRuleTest() { rule_.asked(7, at(0s)); }
  static HangRule::TimePoint at(std::chrono::milliseconds time) {
    return HangRule::TimePoint{} + 1h + time;
  }
  // It looks as often as it wants to; what it finds in the end.
  std::vector<HangRule::Verdict> look_until(std::chrono::milliseconds end) {
    std::vector<HangRule::Verdict> all;
    for (; time_ <= end; time_ += rule_.period()) {
      const auto found = rule_.look(at(time_), [this](int) { return does(); });
      all.insert(all.end(), found.begin(), found.end());
    }
    return all;
  }
  // The only one until then.
  HangRule::Verdict verdict_until(std::chrono::milliseconds end) {
    const auto all = look_until(end);
    EXPECT_EQ(all.size(), 1U);
    return all.empty() ? HangRule::Verdict{} : all.front();
  }
  std::optional<LoopEvidence> does() {
    if (gone_) return std::nullopt;
    LoopEvidence evidence = now_;
    evidence.ran += std::chrono::duration_cast<std::chrono::milliseconds>(runs_ * time_);
    evidence.waited += std::chrono::duration_cast<std::chrono::milliseconds>(starves_ * time_);
    return evidence;
  }

  LoopEvidence now_{.state = 'S', .ran = 5s, .waited = 1s};
  double runs_ = 0, starves_ = 0;
  bool gone_ = false;
  std::chrono::milliseconds time_{0};
  HangRule rule_{10s};
};

TEST_F(HangRuleTest, NobodyHangsBeforeItsTime) {
  EXPECT_TRUE(look_until(9999ms).empty());
  rule_.forget(7);
  EXPECT_TRUE(look_until(60s).empty());
}

// Its thread is looked at from the first look on that finds it asked; its time began before.
TEST_F(HangRuleTest, WhatItDoesIsKnownSinceTheFirstLook) {
  time_ = 2s;
  now_.state = 'R';
  runs_ = 1;
  const auto found = verdict_until(10s);
  EXPECT_EQ(found.time, 10s);
  EXPECT_EQ(hang_text(found), "it computes (8.0 s of CPU time)");
}

TEST_F(HangRuleTest, WhoComputesIsToBlame) {
  runs_ = 0.9;
  now_.state = 'R';
  const auto found = verdict_until(10s);
  EXPECT_EQ(found.worker, 7);
  EXPECT_EQ(found.kind, Kind::Computes);
  EXPECT_TRUE(found.is_to_blame());
  EXPECT_EQ(hang_text(found), "it computes (9.0 s of CPU time)");
}

TEST_F(HangRuleTest, WhoWaitsIsToBlame) {
  now_.waits_in = "do_wait";
  const auto found = verdict_until(10s);
  EXPECT_EQ(found.kind, Kind::Waits);
  EXPECT_TRUE(found.is_to_blame());
  EXPECT_EQ(hang_text(found), "it waits, but not in its loop (in the kernel's do_wait)");
}

// Of a machine with ten times too much to do.
TEST_F(HangRuleTest, WhoGetsNoCpuIsNotToBlameAndThatIsSaidOnce) {
  runs_ = 0.1;
  starves_ = 0.9;
  now_.state = 'R';
  const auto found = verdict_until(98s);
  EXPECT_EQ(found.kind, Kind::Starved);
  EXPECT_FALSE(found.is_to_blame());
}

TEST_F(HangRuleTest, WhoComputesThatLongAllTheSameIsToBlame) {
  runs_ = 0.1;
  starves_ = 0.9;
  EXPECT_EQ(look_until(98s).size(), 1U);
  const auto found = verdict_until(102s);
  EXPECT_EQ(found.kind, Kind::Computes);
  EXPECT_EQ(found.time, 100s);
}

TEST_F(HangRuleTest, WhoIsStoppedIsNotToBlameAndHasItsTimeAnew) {
  now_.state = 'T';
  auto found = verdict_until(15s);
  EXPECT_EQ(found.kind, Kind::Stopped);
  now_.state = 'S';
  EXPECT_TRUE(look_until(29s).empty());
  found = verdict_until(31s);
  EXPECT_EQ(found.kind, Kind::Waits);
}

TEST_F(HangRuleTest, WhoWaitsForADiskIsNotToBlame) {
  now_.state = 'D';
  const auto found = verdict_until(30s);
  EXPECT_EQ(found.kind, Kind::OnDisk);
  EXPECT_FALSE(found.is_to_blame());
}

TEST_F(HangRuleTest, WhoIsGoneIsForgotten) {
  gone_ = true;
  EXPECT_TRUE(look_until(30s).empty());
  EXPECT_FALSE(rule_.is_asked(7));
}

// It was stopped itself, or the machine slept.
TEST_F(HangRuleTest, NobodyHangsWhenNobodyLooked) {
  EXPECT_TRUE(look_until(4s).empty());
  time_ = 300s;
  EXPECT_TRUE(look_until(309s).empty());
  EXPECT_EQ(look_until(311s).size(), 1U);
}

TEST_F(HangRuleTest, WhoIsToBlameIsFoundOnceUntilItAnswers) {
  EXPECT_EQ(look_until(10s).size(), 1U);
  EXPECT_TRUE(look_until(31s).empty());
  EXPECT_TRUE(rule_.is_asked(7));
  rule_.forget(7);
  rule_.asked(7, at(time_));
  EXPECT_EQ(look_until(50s).size(), 1U);
}

// For most of the time, and seen to work in the end.
TEST_F(HangRuleTest, WhoWasStoppedMeanwhileIsNotToBlame) {
  now_.state = 'T';
  EXPECT_TRUE(look_until(8s).empty());
  now_.state = 'S';
  const auto found = verdict_until(10s);
  EXPECT_EQ(found.kind, Kind::Stopped);
}

TEST_F(HangRuleTest, WhoNeverGotACpuIsNotToBlame) {
  now_.state = 'R';
  const auto found = verdict_until(10s);
  EXPECT_EQ(found.kind, Kind::Starved);
}

TEST(LoopEvidence, IsReadOfProc) {
  const auto found = parse_loop_evidence("4711 (a (b) c) R 1 2", "2500000000 1000000 17\n");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->state, 'R');
  EXPECT_EQ(found->ran, 2500ms);
  EXPECT_EQ(found->waited, 1ms);
  EXPECT_FALSE(parse_loop_evidence("", ""));
  EXPECT_FALSE(parse_loop_evidence("4711 (a)", ""));
  EXPECT_TRUE(parse_loop_evidence("4711 (a) S 1", ""));
}

TEST(LoopEvidence, OfThisProcess) {
  const auto found = loop_evidence_of(::getpid());
  ASSERT_TRUE(found);
  EXPECT_EQ(found->state, 'R');
  EXPECT_FALSE(loop_evidence_of(0));
}

}  // namespace
}  // namespace cohort::manager
