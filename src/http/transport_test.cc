#include "http/transport.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "http/socket_pair_test.h"
#include "net/test_world.h"

namespace cohort::http {
namespace {

using Outcome = Transport::Outcome;

// As a connection has it: the pending waits own the user, which has the transport.
struct User final : TransportUser {
  User(net::test::World& world, OwnFd fd) : transport{world.loop.executor(), std::move(fd), true} {}
  void can_receive() override { calls += 'r'; }
  void can_send() override { calls += 's'; }
  void transport_failed() override { calls += 'f'; }

  std::string receive(std::size_t size = 100) {
    std::string text(size, '\0');
    const auto got = transport.receive(text);
    text.resize(got.size);
    outcome = got.outcome;
    return text;
  }

  std::string calls;
  Outcome outcome = Outcome::Failed;
  Transport transport;
};

class TransportTest : public testing::Test {
 protected:
  std::shared_ptr<User> over(test::SocketPair pair) {
    client = std::move(pair.client);
    return std::make_shared<User>(world, std::move(pair.ours));
  }

  net::test::World world;
  OwnFd client;
};

TEST_F(TransportTest, SaysWhatBecameOfTheBytes) {
  const auto user = over(test::unix_pair());
  EXPECT_EQ(user->receive(), "");
  EXPECT_EQ(user->outcome, Outcome::NotNow);
  EXPECT_EQ(test::send_some(client, "hello"), 5U);
  EXPECT_EQ(user->receive(3), "hel");
  EXPECT_EQ(user->outcome, Outcome::Moved);
  EXPECT_EQ(user->receive(), "lo");
  EXPECT_EQ(user->transport.send("hi").size, 2U);
  EXPECT_EQ(test::read_all(client), "hi");
  sys::shutdown(client.get(), SHUT_WR);
  EXPECT_EQ(user->receive(), "");
  EXPECT_EQ(user->outcome, Outcome::Ended);
  client.reset();
  EXPECT_EQ(user->transport.send("hi").outcome, Outcome::Failed);
}

TEST_F(TransportTest, MovesAsMuchAsThereIsRoomFor) {
  const auto user = over(test::unix_pair());
  const std::string much(4'000'000, 'x');
  const auto first = user->transport.send(much);
  EXPECT_EQ(first.outcome, Outcome::Moved);
  EXPECT_LT(first.size, much.size());
  EXPECT_EQ(user->transport.send(much).outcome, Outcome::NotNow);
  ASSERT_TRUE(user->transport.enter_loop());
  user->transport.wait_to_send(user);
  world.turn();
  EXPECT_EQ(user->calls, "");
  EXPECT_EQ(test::read_all(client).size(), first.size);
  world.turn();
  EXPECT_EQ(user->calls, "s");
}

TEST_F(TransportTest, CallsOncePerWaitHoweverOftenItIsAsked) {
  const auto user = over(test::unix_pair());
  ASSERT_TRUE(user->transport.enter_loop());
  ASSERT_TRUE(user->transport.enter_loop());
  for (int i = 0; i < 3; ++i) user->transport.wait_to_receive(user);
  EXPECT_EQ(user.use_count(), 2);
  test::send_some(client, "hello");
  world.turn();
  EXPECT_EQ(user->calls, "r");
  EXPECT_EQ(user.use_count(), 1);
  user->transport.wait_to_receive(user);
  world.turn();
  EXPECT_EQ(user->calls, "rr") << "it was not received yet";
}

TEST_F(TransportTest, AnyWaitNoticesThatThePeerIsGone) {
  const auto user = over(test::tcp_pair());
  ASSERT_TRUE(user->transport.enter_loop());
  user->transport.wait_to_receive(user);
  user->transport.wait_for_failure(user);
  EXPECT_EQ(user.use_count(), 2) << "one is enough";
  test::send_some(client, "hello");
  world.turn();
  EXPECT_EQ(user->calls, "r");
  user->transport.wait_for_failure(user);
  world.turn();
  EXPECT_EQ(user->calls, "r");
  const linger now{1, 0};
  sys::setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  client.reset();
  world.turn();
  EXPECT_EQ(user->calls, "rf");
}

TEST_F(TransportTest, ThePeersEndIsSeenBehindBytesThatNobodyReceived) {
  const auto user = over(test::tcp_pair());
  test::send_some(client, "hello");
  EXPECT_FALSE(user->transport.peer_ended());
  sys::shutdown(client.get(), SHUT_WR);
  EXPECT_TRUE(user->transport.peer_ended());
  EXPECT_EQ(user->receive(), "hello");
}

TEST_F(TransportTest, EndsItsOwnSideAndGoesOnReceiving) {
  const auto user = over(test::tcp_pair());
  user->transport.send("last");
  user->transport.end_sending();
  EXPECT_EQ(test::read_all(client), "last");
  EXPECT_EQ(errno, 0) << "the end";
  test::send_some(client, "more");
  EXPECT_EQ(user->receive(), "more");
}

TEST_F(TransportTest, CloseIsAnEndAndCutIsNot) {
  for (const bool entered : {false, true}) {
    const auto closed = over(test::tcp_pair());
    ASSERT_TRUE(!entered || closed->transport.enter_loop());
    closed->transport.close();
    EXPECT_EQ(test::read_all(client), "");
    EXPECT_EQ(errno, 0);
    const auto cut = over(test::tcp_pair());
    ASSERT_TRUE(!entered || cut->transport.enter_loop());
    cut->transport.cut();
    EXPECT_EQ(test::read_all(client), "");
    EXPECT_EQ(errno, ECONNRESET);
  }
}

TEST_F(TransportTest, BothReachTheClientThoughAnotherProcessHoldsACopy) {
  for (const bool whole : {true, false}) {
    auto pair = test::tcp_pair();
    const OwnFd copy = sys::duplicate(pair.ours.get());
    const auto user = over(std::move(pair));
    ASSERT_TRUE(user->transport.enter_loop());
    whole ? user->transport.close() : user->transport.cut();
    EXPECT_EQ(test::read_all(client), "");
    EXPECT_EQ(errno, whole ? 0 : ECONNRESET);
  }
}

TEST_F(TransportTest, GivesItsSocketAwayWithWhatWasNotReceivedAndForgetsWhoWaits) {
  for (const bool entered : {false, true}) {
    const auto user = over(test::unix_pair());
    if (entered) {
      ASSERT_TRUE(user->transport.enter_loop());
      user->transport.wait_to_receive(user);
      user->transport.wait_to_send(user);
    }
    test::send_some(client, "hello");
    const OwnFd given = user->transport.release();
    EXPECT_TRUE(given);
    world.turn();
    EXPECT_EQ(user->calls, "");
    EXPECT_EQ(user.use_count(), 1);
    EXPECT_EQ(test::read_all(given), "hello");
    EXPECT_EQ(user->receive(), "");
    EXPECT_EQ(user->outcome, Outcome::Failed) << "it has none";
  }
}

TEST_F(TransportTest, KnowsItsPeer) {
  const auto tcp = over(test::tcp_pair());
  EXPECT_EQ(tcp->transport.peer(), net::local_address(client.get()).value());
  client.reset();
  EXPECT_NE(tcp->transport.peer(), Address{}) << "asked once";
  EXPECT_EQ(over(test::unix_pair())->transport.peer(), Address{});
}

}  // namespace
}  // namespace cohort::http
