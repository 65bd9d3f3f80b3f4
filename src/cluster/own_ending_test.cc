#include "cluster/own_ending.h"

#include <gtest/gtest.h>

#include <vector>

namespace cohort::cluster {
namespace {

constexpr OwnFacts kWorker{.in_cluster = true, .has_channel = true, .of_cohort = true};
constexpr OwnFacts kNodeWorker{.in_cluster = true, .has_channel = true};
constexpr OwnFacts kAwaiting{.in_cluster = true, .has_channel = true, .awaits_replies = true};
constexpr OwnFacts kChild{.has_channel = true};
constexpr OwnFacts kAlone{};

TEST(OwnEnding, AWorkerThatWantsToEndAsksItsPrimaryLast) {
  OwnEnding ending{true};
  EXPECT_EQ(ending.step(OwnEvent::Asked, kWorker), kSayLeaving | kCloseServers);
  EXPECT_TRUE(ending.on_purpose());
  EXPECT_EQ(ending.step(OwnEvent::Asked, kWorker), 0) << "once";
  EXPECT_EQ(ending.step(OwnEvent::ServersClosed, kWorker), kSayExiting);
  EXPECT_EQ(ending.step(OwnEvent::Answered, kWorker), kEndChannel);
  EXPECT_EQ(ending.step(OwnEvent::ChannelClosed, {}), 0) << "its loop ends by itself";
  EXPECT_EQ(ending.phase(), OwnPhase::Over);
}

TEST(OwnEnding, ANodePrimaryIsNotToldThatItLeaves) {
  OwnEnding ending{true};
  EXPECT_EQ(ending.step(OwnEvent::Asked, kNodeWorker), kCloseServers);
}

TEST(OwnEnding, OneThatItsPrimaryAskedNeedsNoHandshake) {
  OwnEnding ending{true};
  EXPECT_EQ(ending.step(OwnEvent::AskedByPrimary, kWorker), kCloseServers);
  EXPECT_TRUE(ending.on_purpose());
  EXPECT_EQ(ending.step(OwnEvent::ServersClosed, kAwaiting), kEndChannel) << "nor replies";
}

TEST(OwnEnding, WaitsForTheRepliesToItsQueries) {
  OwnEnding ending{true};
  ending.step(OwnEvent::Asked, kAwaiting);
  EXPECT_EQ(ending.step(OwnEvent::ServersClosed, kAwaiting), 0);
  EXPECT_EQ(ending.phase(), OwnPhase::AwaitingReplies);
  EXPECT_EQ(ending.step(OwnEvent::Replied, kAwaiting), 0) << "another is due";
  EXPECT_EQ(ending.step(OwnEvent::Replied, kWorker), kSayExiting);
}

TEST(OwnEnding, ThePrimaryThatAsksMeanwhileEndsTheWait) {
  OwnEnding ending{true};
  ending.step(OwnEvent::Asked, kAwaiting);
  ending.step(OwnEvent::ServersClosed, kAwaiting);
  EXPECT_EQ(ending.step(OwnEvent::AskedByPrimary, kAwaiting), kEndChannel);
}

TEST(OwnEnding, OneThatIsKilledWaitsForNoServerAndLeaves) {
  OwnEnding ending{true};
  EXPECT_EQ(ending.step(OwnEvent::Killed, kWorker), kSayExiting);
  EXPECT_EQ(ending.step(OwnEvent::ServersClosed, kWorker), 0) << "too late";
  EXPECT_EQ(ending.step(OwnEvent::Answered, kWorker), kEndChannel);
  EXPECT_EQ(ending.step(OwnEvent::ChannelClosed, {}), kLeave);
  OwnEnding alone{false};
  EXPECT_EQ(alone.step(OwnEvent::Killed, kAlone), kLeave);
}

TEST(OwnEnding, ASignalDrainsAndTheSecondOneDoesNotWait) {
  OwnEnding ending{true};
  EXPECT_EQ(ending.step(OwnEvent::Terminated, kNodeWorker), kCloseServers);
  EXPECT_EQ(ending.step(OwnEvent::ServersClosed, kNodeWorker), kSayExiting);
  EXPECT_EQ(ending.step(OwnEvent::Answered, kNodeWorker), kEndChannel);
  EXPECT_EQ(ending.step(OwnEvent::ChannelClosed, {}), kLeave);
  OwnEnding twice{true};
  twice.step(OwnEvent::Terminated, kNodeWorker);
  EXPECT_EQ(twice.step(OwnEvent::Terminated, kNodeWorker), kLeave);
}

TEST(OwnEnding, AProcessThatNobodyForkedLeavesWhenItsServersAreClosed) {
  OwnEnding ending{false};
  EXPECT_EQ(ending.step(OwnEvent::Terminated, kAlone), kCloseServers);
  EXPECT_EQ(ending.step(OwnEvent::ServersClosed, kAlone), kEndChannel | kLeave);
  EXPECT_FALSE(ending.on_purpose()) << "nobody counts it";
}

TEST(OwnEnding, AChildClosesItsChannelAndLeavesAtOnce) {
  OwnEnding ending{false};
  ending.step(OwnEvent::Terminated, kChild);
  EXPECT_EQ(ending.step(OwnEvent::ServersClosed, kChild), kEndChannel | kLeave);
}

TEST(OwnEnding, AWorkerThatLostItsPrimaryWithoutAWordLeaves) {
  EXPECT_EQ(OwnEnding{true}.step(OwnEvent::ChannelClosed, {}), kLeave);
  EXPECT_EQ(OwnEnding{false}.step(OwnEvent::ChannelClosed, {}), 0) << "a child goes on";
}

TEST(OwnEnding, OneThatLosesItsPrimaryWhileItEndsHeedsASignal) {
  for (const OwnFacts& facts : {kWorker, kAwaiting}) {
    OwnEnding ending{true};
    ending.step(OwnEvent::Asked, facts);
    ending.step(OwnEvent::ServersClosed, facts);
    EXPECT_EQ(ending.step(OwnEvent::ChannelClosed, {}), 0) << "its loop ends by itself";
    EXPECT_EQ(ending.step(OwnEvent::Terminated, {}), kLeave) << "or a timer keeps it alive";
  }
}

TEST(OwnEnding, WithoutAChannelItWaitsForNoReply) {
  OwnEnding ending{true};
  ending.step(OwnEvent::Asked, kAwaiting);
  EXPECT_EQ(ending.step(OwnEvent::ChannelClosed, {}), 0);
  constexpr OwnFacts kAwaitsInVain{.awaits_replies = true};
  EXPECT_EQ(ending.step(OwnEvent::ServersClosed, kAwaitsInVain), kEndChannel);
  EXPECT_EQ(ending.step(OwnEvent::Terminated, kAwaitsInVain), kLeave);
}

TEST(OwnEnding, EveryEventInEveryPhaseIsTakenAndNoPhaseComesTwice) {
  constexpr int kEvents = static_cast<int>(OwnEvent::ChannelClosed) + 1;
  const OwnFacts all_facts[] = {kWorker, kNodeWorker, kAwaiting, kChild, kAlone};
  // Every sequence of four events.
  for (int code = 0; code < kEvents * kEvents * kEvents * kEvents; ++code)
    for (const OwnFacts& facts : all_facts)
      for (const bool is_worker : {true, false}) {
        if (facts.in_cluster && !is_worker) continue;
        OwnEnding ending{is_worker};
        int closes = 0, says = 0, ends = 0;
        for (int rest = code, i = 0; i < 4; ++i, rest /= kEvents) {
          const OwnPhase before = ending.phase();
          const std::uint8_t actions = ending.step(static_cast<OwnEvent>(rest % kEvents), facts);
          EXPECT_GE(ending.phase(), before);
          closes += (actions & kCloseServers) != 0;
          says += (actions & kSayExiting) != 0;
          ends += (actions & kEndChannel) != 0;
        }
        EXPECT_LE(closes, 1);
        EXPECT_LE(says, 1);
        EXPECT_LE(ends, 1);
      }
}

}  // namespace
}  // namespace cohort::cluster
