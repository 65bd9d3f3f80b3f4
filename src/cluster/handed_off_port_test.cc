#include "cluster/handed_off_port.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/sys.h"
#include "cluster/ports_test_world.h"

namespace cohort::cluster {
namespace {

using namespace std::chrono_literals;

using HandedOffPortTest = ListenersTest;

TEST_F(HandedOffPortTest, AWorkerIsHandedSeveralConnectionsAtOnceAndTakesTheFirstOfThem) {
  Listeners& ports = listeners(Policy::RoundRobin);
  Peer one{1};
  one.credit = 4;
  ports.query(one, query());
  const std::string key(one.answer["key"].string_or(""));
  const auto port = static_cast<std::uint16_t>(one.answer["sockname"]["port"].int64_or(0));
  std::vector<OwnFd> clients;
  while (clients.size() < 6) clients.push_back(connect(Address{"127.0.0.1", port}));
  using Connections = std::vector<ConnectionId>;
  EXPECT_TRUE(run_until([&] { return one.handed == Connections{1, 2, 3, 4}; }));
  EXPECT_EQ(one.batches, std::vector<std::size_t>{4});
  ports.answer(1, key, one.handed, 2);
  ports.has_room(1, key);
  EXPECT_TRUE(run_until([&] { return one.handed == Connections{1, 2, 3, 4, 3, 4, 5, 6}; }));
  ports.answer(1, key, std::span{one.handed}.last(4), 4);
  run_until([] { return false; }, 50ms);
  EXPECT_EQ(one.handed.size(), 8u);
}

class OfThePrimary : public HandedOffPortTest {
 protected:
  Address opened_by(Peer& peer, bool only_accepts = false) {
    QueryServer wanted = query();
    wanted.accepts_only = only_accepts;
    ports.query(peer, wanted);
    const Value& port = std::as_const(peer.answer)["sockname"]["port"];
    return {"127.0.0.1", static_cast<std::uint16_t>(port.int64_or(0))};
  }

  Listeners& ports = listeners(Policy::RoundRobin);
};

TEST_F(OfThePrimary, ConnectionsWaitWhileThereAreNoDescriptorsAndThatIsSaidOnce) {
  Peer one{1};
  const Address address = opened_by(one);
  const OwnFd client = connect(address);
  testing::internal::CaptureStderr();
  {
    sys::FailNth failing{0, EMFILE};
    EXPECT_TRUE(run_until([&] { return failing.fired(); }));
  }
  run_until([&] { return !one.handed.empty(); });
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("accept 127.0.0.1:0"), std::string::npos) << log;
  EXPECT_EQ(one.handed.size(), 1U);
}

TEST_F(OfThePrimary, WhoOnlyAcceptsIsHandedNothing) {
  Peer one{1}, two{2};
  const Address address = opened_by(one, true);
  const OwnFd client = connect(address);
  EXPECT_FALSE(run_until([&] { return !one.handed.empty(); }, 50ms));
  opened_by(two);
  EXPECT_TRUE(run_until([&] { return !two.handed.empty(); }));
  EXPECT_TRUE(one.handed.empty());
}

TEST_F(OfThePrimary, WhoIsHeldIsHandedNothingUntilItIsResumed) {
  Peer one{1}, two{2};
  const Address address = opened_by(one);
  opened_by(two);
  ports.hold(1);
  std::vector<OwnFd> clients;
  for (int i = 0; i < 3; ++i) clients.push_back(connect(address));
  EXPECT_TRUE(run_until([&] { return two.handed.size() == 1; }));
  ports.answer(2, two.key, two.handed, 1);
  EXPECT_TRUE(run_until([&] { return two.handed.size() == 2; }));
  EXPECT_TRUE(one.handed.empty());
  ports.resume(one);
  EXPECT_TRUE(run_until([&] { return one.handed.size() == 1; }));
}

TEST_F(OfThePrimary, ARefusedConnectionIsOfferedAgainWithoutAnybodysDoing) {
  Peer one{1};
  const OwnFd client = connect(opened_by(one));
  EXPECT_TRUE(run_until([&] { return one.handed.size() == 1; }));
  ports.answer(1, one.key, one.handed, 0);
  EXPECT_EQ(one.handed.size(), 1U);
  EXPECT_TRUE(run_until([&] { return one.handed.size() == 2; }));
}

TEST_F(OfThePrimary, WhatTheDeadWorkerDidNotAnswerGoesToAnother) {
  Peer one{1}, two{2};
  const OwnFd client = connect(opened_by(one));
  EXPECT_TRUE(run_until([&] { return !one.handed.empty(); }));
  opened_by(two);
  ports.lose(1);
  EXPECT_EQ(two.handed, one.handed);
}

}  // namespace
}  // namespace cohort::cluster
