#include "cluster/slot_port.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <vector>

#include "base/sys.h"
#include "cluster/ports_test_world.h"
#include "net/sockaddr.h"

namespace cohort::cluster {
namespace {

using namespace std::chrono_literals;

using SlotPortTest = ListenersTest;

TEST_F(SlotPortTest, EachWorkerHasASlotOfItsOwnOnOnePort) {
  Listeners& ports = listeners(Policy::Auto);
  Peer one{1}, two{2};
  ports.query(one, query());
  ports.query(two, query());
  EXPECT_EQ(one.answer["slot"], 0);
  EXPECT_EQ(two.answer["slot"], 1);
  EXPECT_EQ(net::local_address(one.socket.get()).value(),
            net::local_address(two.socket.get()).value());
}

TEST_F(SlotPortTest, TheyTellOnceHowConnectionsComeToTheWorkers) {
  Listeners& ports = listeners(Policy::Auto);
  Peer one{1}, two{2};
  ports.query(one, query());
  ports.query(two, query());
  EXPECT_TRUE(run_until([&] { return !decided.empty(); }));
  run_until([&] { return decided.size() > 1; }, 50ms);
  ASSERT_EQ(decided.size(), 1u);
  const std::string port = to_string(net::local_address(one.socket.get()).value());
  EXPECT_TRUE(decided[0] == port + ": adaptive, to the shortest queue, by eBPF" ||
              decided[0].starts_with(port + ": adaptive, by chance among workers that are not "
                                            "blocked (eBPF: "))
      << decided[0];

  QueryServer datagrams = query();
  datagrams.type = SocketType::Udp4;
  ports.query(one, datagrams);
  EXPECT_TRUE(run_until([&] { return decided.size() > 1; }));
  EXPECT_NE(decided[1].find("sticky, datagrams"), std::string::npos) << decided[1];
}

// A Listener's user accepts from the descriptor, somewhere, and cannot be handed anything.
TEST_F(SlotPortTest, NothingIsTakenForWorkersThatOnlyAccept) {
  Listeners& ports = listeners(Policy::Adaptive);
  Peer blocked{1}, free{2};
  free.turns = [&] { ports.turns(2); };
  QueryServer accepts_only = query();
  accepts_only.accepts_only = true;
  ports.query(blocked, accepts_only);
  const OwnFd clients[] = {connect(blocked), connect(blocked)};
  ports.query(free, accepts_only);
  EXPECT_FALSE(run_until([&] { return !free.handed.empty(); }, 100ms));
  EXPECT_TRUE(sys::accept(blocked.socket.get()));
  EXPECT_TRUE(sys::accept(blocked.socket.get()));
}

TEST_F(SlotPortTest, WeightsHoldForPortsThatAreOpenAndForLaterOnes) {
  Listeners& ports = listeners(Policy::Adaptive);
  Peer one{1}, two{2};
  const auto of_two = [&] {
    std::vector<OwnFd> clients;
    for (int i = 0; i < 200; ++i) clients.push_back(connect(one));
    int count = 0;
    while (sys::accept(two.socket.get())) ++count;
    return count;
  };
  ports.query(one, query());
  ports.query(two, query());
  ports.set_weights({.of_slots = {7, 1}});
  EXPECT_NEAR(of_two(), 200 / 8, 24);
  QueryServer later = query();
  later.index = 1;
  ports.query(one, later);
  ports.query(two, later);
  EXPECT_NEAR(of_two(), 200 / 8, 24);
}

TEST_F(SlotPortTest, WhatNobodyCanBeHandedIsNotKept) {
  Listeners& ports = listeners(Policy::Adaptive);
  Peer serves{1}, accepts{2};
  ports.query(serves, query());
  QueryServer accepts_only = query();
  accepts_only.accepts_only = true;
  ports.query(accepts, accepts_only);
  const std::string key(serves.answer["key"].string_or(""));
  serves.turns = [&] { ports.turns(1); };
  OwnFd pair[2];
  ASSERT_EQ(sys::socketpair(AF_UNIX, SOCK_STREAM, true, pair), 0);
  ports.take_back(key, std::move(pair[0]));
  EXPECT_TRUE(run_until([&] { return !serves.handed.empty(); })) << "one can still be handed it";
  EXPECT_TRUE(accepts.handed.empty());
  ports.answer(1, key, serves.handed, 1);
  ports.lose(1);
  ASSERT_EQ(sys::socketpair(AF_UNIX, SOCK_STREAM, true, pair), 0);
  ports.take_back(key, std::move(pair[0]));
  EXPECT_NE(sys::poll(pair[1].get(), POLLIN, 0) & POLLHUP, 0) << "rather than kept for ever";
}

TEST_F(SlotPortTest, ASuccessorHasTheSlotOfTheDeadWithAllThatWaitsThere) {
  Listeners& ports = listeners(Policy::Adaptive);
  Peer one{1}, successor{2, 0};
  ports.query(one, query());
  const OwnFd client = connect(one);
  ports.lose(1);
  ports.query(successor, query());
  EXPECT_EQ(successor.answer["slot"], 0);
  EXPECT_TRUE(sys::accept(successor.socket.get()));
}

TEST_F(SlotPortTest, WhatWaitsBehindAWorkerThatTakesNothingIsHandedToOneThatHasNoneWaiting) {
  Listeners& ports = listeners(Policy::Adaptive);
  Peer blocked{1}, free{2};
  ports.query(blocked, query());
  const OwnFd clients[] = {connect(blocked), connect(blocked), connect(blocked)};
  ports.query(free, query());
  EXPECT_TRUE(run_until([&] { return free.probes > 0; }));
  EXPECT_TRUE(free.handed.empty()) << "an empty queue is no sign of life";
  ports.turns(2);
  EXPECT_EQ(blocked.probes, 1);
  EXPECT_EQ(free.handed.size(), 1U) << "one at a time";
  ports.answer(2, free.key, std::span{free.handed}.last(1), 1);
  EXPECT_EQ(free.handed.size(), 2U);
  ports.answer(2, free.key, std::span{free.handed}.last(1), 1);
  EXPECT_EQ(free.handed.size(), 3U);
  EXPECT_FALSE(sys::accept(blocked.socket.get()));
}

// The queues are empty and all is quiet by then: the primary sleeps.
TEST_F(SlotPortTest, AHandOffThatIsRefusedLateIsMadeAgain) {
  Listeners& ports = listeners(Policy::Adaptive);
  Peer blocked{1}, free{2};
  ports.query(blocked, query());
  const OwnFd client = connect(blocked);
  ports.query(free, query());
  free.turns = [&] { ports.turns(2); };
  EXPECT_TRUE(run_until([&] { return !free.handed.empty(); }));
  run_until([] { return false; }, 1200ms);
  ports.answer(2, free.key, std::span{free.handed}.last(1), 0);
  EXPECT_TRUE(run_until([&] { return free.handed.size() == 2; }));
}

TEST_F(SlotPortTest, AWorkerThatEndsWhileItIsProbedGetsNothing) {
  Listeners& ports = listeners(Policy::Adaptive);
  Peer blocked{1}, ending{2};
  ports.query(blocked, query());
  const OwnFd client = connect(blocked);
  ports.query(ending, query());
  EXPECT_TRUE(run_until([&] { return ending.probes > 0; }));
  ports.retire(2, true);
  ports.turns(2);
  EXPECT_TRUE(ending.handed.empty());
}

TEST_F(SlotPortTest, NothingMovesUnderStickyOrWithoutRescue) {
  for (const Policy policy : {Policy::Sticky, Policy::Adaptive}) {
    Listeners& ports = policy == Policy::Sticky ? listeners(policy) : listeners(policy, 0ms);
    Peer blocked{1}, free{2};
    ports.query(blocked, query());
    const OwnFd client = connect(blocked);
    ports.query(free, query());
    EXPECT_FALSE(run_until([&] { return !free.handed.empty(); }, 50ms));
    EXPECT_TRUE(sys::accept(blocked.socket.get()));
  }
}

TEST_F(SlotPortTest, AWorkerAndItsSuccessorTakeFromOneSlotOneAfterTheOther) {
  for (const Policy policy : {Policy::Adaptive, Policy::Hash, Policy::Sticky}) {
    Listeners& ports = listeners(policy);
    Peer old{1, 0}, successor{2, 0};
    ports.query(old, query());
    ports.query(successor, query());
    OwnFd client = connect(old);
    EXPECT_FALSE(sys::accept(successor.socket.get()));
    EXPECT_TRUE(ports.any_waiting(1));
    ports.retire(1, false);
    EXPECT_TRUE(ports.uses_any(1));
    EXPECT_TRUE(sys::accept(old.socket.get())) << "what waits for it it still takes";
    EXPECT_FALSE(ports.any_waiting(1));
    client = connect(old);
    EXPECT_FALSE(sys::accept(old.socket.get()));
    EXPECT_TRUE(sys::accept(successor.socket.get()));
  }
}

TEST_F(SlotPortTest, WhoIsHeldGetsNothingUntilItIsResumed) {
  for (const Policy policy : {Policy::Adaptive, Policy::Hash, Policy::Sticky}) {
    Listeners& ports = listeners(policy);
    Peer old{1, 0}, successor{2, 0};
    ports.query(old, query());
    ports.query(successor, query());
    ports.hold(1);
    EXPECT_TRUE(ports.uses_any(1));
    OwnFd client = connect(old);
    EXPECT_FALSE(sys::accept(old.socket.get()));
    EXPECT_TRUE(sys::accept(successor.socket.get()));
    ports.resume(old);
    ports.retire(2, false);
    client = connect(old);
    EXPECT_TRUE(sys::accept(old.socket.get()));
    EXPECT_FALSE(sys::accept(successor.socket.get()));
  }
}

// Its handshake had begun before the old one was retired, and ends after that one has.
TEST_F(SlotPortTest, WhatArrivesInAQueueThatWasLeftIsForTheSlotsWorker) {
  for (const Policy policy : {Policy::Hash, Policy::Sticky}) {
    Listeners& ports = listeners(policy);
    Peer old{1, 0}, other{2, 1}, successor{3, 0}, next{4, 0};
    other.turns = [&] { ports.turns(2); };
    ports.query(old, query());
    const OwnFd clients[] = {connect(old), connect(old), connect(old)};
    ports.query(other, query());
    ports.query(successor, query());
    ports.retire(1, false);
    EXPECT_FALSE(run_until([&] { return !successor.handed.empty(); }, 50ms)) << "it may take them";
    ports.close(1, successor.key, false);
    ports.lose(1);
    for (std::size_t taken = 1; taken <= 3; ++taken) {
      EXPECT_TRUE(run_until([&] { return successor.handed.size() == taken; }));
      ports.answer(3, successor.key, std::span{successor.handed}.last(1), taken == 3 ? 0 : 1);
    }
    ports.lose(3);
    ports.query(next, query());
    EXPECT_TRUE(run_until([&] { return next.handed.size() + other.handed.size() == 1; }))
        << "what nobody took goes to anybody";
  }
}

TEST_F(SlotPortTest, StickyConnectionsMoveAfterTheTimeThatTheUserGave) {
  Listeners& ports = listeners(Policy::Sticky, 20ms);
  Peer blocked{1}, free{2};
  free.turns = [&] { ports.turns(2); };
  ports.query(blocked, query());
  const OwnFd client = connect(blocked);
  ports.query(free, query());
  EXPECT_TRUE(run_until([&] { return !free.handed.empty(); }));
}

}  // namespace
}  // namespace cohort::cluster
