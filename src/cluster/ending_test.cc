#include "cluster/ending.h"

#include <gtest/gtest.h>

namespace cohort::cluster {
namespace {

using namespace std::chrono_literals;
using Acts = std::vector<EndingAct>;
using Channel = EndingFacts::Channel;
using Handler = EndingFacts::Handler;
constexpr auto kDrain = EndingAct::Drain, kDisconnect = EndingAct::Disconnect,
               kSignal = EndingAct::Signal;

struct Told {
  Ending ending{Ending::Clock::time_point{}, 20s};
  Acts at(std::chrono::milliseconds time, const EndingFacts& facts) {
    return ending.step(facts, Ending::Clock::time_point{} + time);
  }
};

EndingFacts node(Handler handler) {
  return {.serves = true, .channel = Channel::Open, .handler = handler, .drains = true};
}

TEST(EndingOfAHandler, FinishesWhatIsUnderWayThenSignals) {
  Told told;
  EndingFacts facts = node(Handler::Yes);
  EXPECT_EQ(told.at(0ms, facts), Acts{kDrain});
  facts.requests = 2;
  EXPECT_EQ(told.at(3s, facts), Acts{});
  facts.requests = 0;
  EXPECT_EQ(told.at(4s, facts), Acts{kSignal});
  EXPECT_EQ(told.at(14s, facts), Acts{});
}

TEST(EndingOfAHandler, WaitsForRequestsForHalfOfTheTimeAndDisconnectsAfterThreeQuarters) {
  Told told;
  EndingFacts facts = node(Handler::Yes);
  facts.requests = 1;
  EXPECT_EQ(told.at(0ms, facts), Acts{kDrain});
  EXPECT_EQ(told.at(9999ms, facts), Acts{});
  EXPECT_EQ(told.at(10s, facts), Acts{kSignal});
  EXPECT_EQ(told.at(14999ms, facts), Acts{});
  EXPECT_EQ(told.at(15s, facts), Acts{kDisconnect});
  EXPECT_EQ(told.at(19s, facts), Acts{});
}

TEST(EndingOfAHandler, HoldsTheSignalBackWhileConnectionsAreNotLookedAt) {
  Told told;
  EndingFacts facts = node(Handler::Yes);
  facts.requests = 0;
  facts.settled = false;
  EXPECT_EQ(told.at(0ms, facts), Acts{kDrain});
  EXPECT_EQ(told.at(1s, facts), Acts{});
  facts.settled = true;
  EXPECT_EQ(told.at(1100ms, facts), Acts{kSignal});
}

TEST(EndingWithoutAHandler, DisconnectsAndSignalsWhoGoesOnWithNothingToServe) {
  Told told;
  EndingFacts facts = node(Handler::No);
  facts.requests = 1;
  EXPECT_EQ(told.at(0ms, facts), Acts{kDrain});
  EXPECT_EQ(told.at(2s, facts), Acts{});
  facts.requests = 0;
  EXPECT_EQ(told.at(3s, facts), Acts{kDisconnect});
  EXPECT_EQ(told.at(19s, facts), Acts{}) << "it would die of it while it serves";
  Told quiet;
  EXPECT_EQ(quiet.at(0ms, facts), (Acts{kDrain, kDisconnect}));
  facts.channel = Channel::Closed;
  EXPECT_EQ(quiet.at(1000ms, facts), Acts{});
  EXPECT_EQ(quiet.at(1299ms, facts), Acts{}) << "it may be about to end by itself";
  EXPECT_EQ(quiet.at(1300ms, facts), Acts{kSignal});
}

TEST(EndingWithoutAHandler, GivesTimeToWhoHearsOfTheChannelsEnd) {
  Told told;
  EndingFacts facts = node(Handler::No);
  facts.requests = 0;
  facts.minds_disconnect = true;
  EXPECT_EQ(told.at(0ms, facts), (Acts{kDrain, kDisconnect}));
  facts.channel = Channel::Closed;
  EXPECT_EQ(told.at(1s, facts), Acts{});
  EXPECT_EQ(told.at(14s, facts), Acts{});
  EXPECT_EQ(told.at(15s, facts), Acts{kSignal});
}

// `server.close(); worker.disconnect()`: Node closes the channel, and serves on.
TEST(EndingWithoutAHandler, WaitsForClientsAfterTheChannelsEndForHalfOfTheTime) {
  EndingFacts facts = node(Handler::No);
  facts.channel = Channel::Closed;
  facts.connections = 1;
  Told busy;
  EXPECT_EQ(busy.at(0ms, facts), Acts{kDrain});
  EXPECT_EQ(busy.at(9999ms, facts), Acts{});
  EXPECT_EQ(busy.at(10s, facts), Acts{kSignal});
  Told done;
  EXPECT_EQ(done.at(0ms, facts), Acts{kDrain});
  facts.connections = 0;
  EXPECT_EQ(done.at(2s, facts), Acts{});
  EXPECT_EQ(done.at(2300ms, facts), Acts{kSignal});
}

TEST(EndingOfAHandler, SignalsOneThatServesNobodyAfterTheChannelsEnd) {
  Told told;
  EndingFacts facts = node(Handler::Yes);
  facts.channel = Channel::Closed;
  facts.connections = 0;
  EXPECT_EQ(told.at(0ms, facts), Acts{kDrain});
  EXPECT_EQ(told.at(300ms, facts), Acts{kSignal});
}

TEST(EndingOfTheUnknown, DisconnectsThenSignalsWithoutConnectionsOrAfterHalfOfTheTime) {
  EndingFacts facts{.serves = true, .channel = Channel::Open};
  facts.connections = 3;
  Told busy;
  EXPECT_EQ(busy.at(0ms, facts), Acts{kDisconnect});
  EXPECT_EQ(busy.at(9s, facts), Acts{});
  EXPECT_EQ(busy.at(10s, facts), Acts{kSignal});
  Told done;
  EXPECT_EQ(done.at(0ms, facts), Acts{kDisconnect});
  facts.connections = 0;
  EXPECT_EQ(done.at(1s, facts), Acts{});
  EXPECT_EQ(done.at(1300ms, facts), Acts{kSignal});
}

TEST(EndingOfAProgramThatSaysNothing, SignalsAHandlerAtOnceAndOthersWithoutConnections) {
  Told handler;
  EndingFacts facts{.serves = true, .handler = Handler::Yes, .connections = 1};
  EXPECT_EQ(handler.at(0ms, facts), Acts{kSignal});
  Told none;
  facts.handler = Handler::No;
  EXPECT_EQ(none.at(0ms, facts), Acts{});
  EXPECT_EQ(none.at(19s, facts), Acts{});
  facts.connections = 0;
  EXPECT_EQ(none.at(19500ms, facts), Acts{kSignal});
  Told unseen;
  facts.connections.reset();
  EXPECT_EQ(unseen.at(9s, facts), Acts{});
  EXPECT_EQ(unseen.at(10s, facts), Acts{kSignal});
}

TEST(EndingOfAProgramThatServesNothing, SignalsAtOnce) {
  Told silent;
  EXPECT_EQ(silent.at(0ms, {}), Acts{kSignal});
  Told speaks;
  EXPECT_EQ(speaks.at(0ms, {.channel = Channel::Open}), (Acts{kSignal, kDisconnect}));
  Told handler;
  EndingFacts facts{.channel = Channel::Open, .handler = Handler::Yes, .drains = true};
  EXPECT_EQ(handler.at(0ms, facts), (Acts{kDrain, kSignal}));
  EXPECT_EQ(handler.at(15s, facts), Acts{kDisconnect});
}

TEST(Ending, OfOneThatLeftBeforeIsASignal) {
  Told told;
  EndingFacts facts{.serves = true, .channel = Channel::Closed, .handler = Handler::Yes};
  EXPECT_EQ(told.at(0ms, facts), Acts{kSignal});
}

// Whatever becomes known in whatever order: each act comes once, the signal before the end of the
// time unless the program has none and still serves.
TEST(Ending, NeverRepeatsAnAct) {
  for (unsigned bits = 0; bits < 1u << 12; ++bits) {
    Told told;
    int count[3] = {};
    for (int time = 0; time < 40; ++time) {
      const unsigned mix = (bits * 2654435761u) >> (time % 20);
      EndingFacts facts{.serves = (mix & 1) != 0,
                        .channel = static_cast<Channel>((mix >> 1) % 3),
                        .handler = static_cast<Handler>((mix >> 3) % 3),
                        .drains = (mix & 32) != 0};
      facts.settled = (mix & 64) != 0;
      facts.minds_disconnect = (mix & 128) != 0;
      if (mix & 256) facts.requests = (mix >> 9) % 2;
      if (mix & 512) facts.connections = (mix >> 10) % 2;
      for (const EndingAct act : told.at(std::chrono::milliseconds{500 * time}, facts))
        ++count[static_cast<int>(act)];
    }
    for (const int times : count) ASSERT_LE(times, 1) << bits;
  }
}

}  // namespace
}  // namespace cohort::cluster
