#include "cluster/held_connections.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <vector>

#include "base/sys.h"
#include "cluster/ports_test_world.h"
#include "net/bind.h"

namespace cohort::cluster {
namespace {

using Connections = std::vector<ConnectionId>;

class HeldConnectionsTest : public testing::Test {
 protected:
  void join(Peer& peer, unsigned credits = 1) {
    users.join(peer.id(), {&peer, false});
    held.join(peer.id(), credits);
  }
  void hand_off() { held.hand_off("key", users); }
  // A connection of TCP that waits; what its client has of it.
  OwnFd hold() {
    OwnFd client = client_of(listening);
    held.hold(sys::accept(listening.get()));
    return client;
  }
  static bool is_closed(const OwnFd& client) {
    return (sys::poll(client.get(), POLLIN, 1000) & POLLIN) != 0;
  }
  static bool is_open(const OwnFd& client) { return sys::poll(client.get(), POLLIN, 0) == 0; }

  const OwnFd listening = listener();
  PortUsers users;
  HeldBook book;
  HeldConnections held{book};
  Peer one{1}, two{2};

 private:
  static OwnFd listener() {
    OwnFd fd = net::bind_socket({.address = {"127.0.0.1", 0}}).value();
    EXPECT_TRUE(net::listen_on(fd.get(), 0));
    return fd;
  }
  static OwnFd client_of(const OwnFd& listening) {
    const auto name = net::to_sockaddr(net::local_address(listening.get()).value()).value();
    OwnFd fd = sys::socket(AF_INET, SOCK_STREAM, 0);
    sys::set_nonblocking(fd.get(), false);
    EXPECT_EQ(sys::connect(fd.get(), name.get(), name.size), 0);
    return fd;
  }
};

TEST_F(HeldConnectionsTest, WaitUntilThereIsSomebodyAndGoToHimTogether) {
  const OwnFd clients[] = {hold(), hold(), hold()};
  hand_off();
  EXPECT_EQ(held.waiting(), 3U);
  join(one, 2);
  hand_off();
  EXPECT_EQ(one.handed, (Connections{1, 2}));
  EXPECT_EQ(one.batches, std::vector<std::size_t>{2});
  EXPECT_EQ(one.key, "key");
  EXPECT_EQ(held.waiting(), 1U);
}

TEST_F(HeldConnectionsTest, AreClosedHereWhenAWorkerTookThem) {
  join(one);
  const OwnFd client = hold();
  hand_off();
  EXPECT_TRUE(is_open(client));
  EXPECT_FALSE(held.answer(1, one.handed, 1));
  EXPECT_TRUE(is_closed(client)) << "the only copy, as this peer kept none";
  EXPECT_FALSE(held.any_unanswered());
}

TEST_F(HeldConnectionsTest, ThatARefusesGoToB) {
  join(one);
  join(two);
  const OwnFd client = hold();
  hand_off();
  EXPECT_TRUE(held.answer(1, one.handed, 0));
  EXPECT_TRUE(held.is_full(1));
  EXPECT_TRUE(held.retry_at());
  hand_off();
  EXPECT_EQ(two.handed, Connections{1});
  EXPECT_TRUE(is_open(client));
}

TEST_F(HeldConnectionsTest, AreNotTouchedByAnswersOfWhoDoesNotHaveThem) {
  join(one);
  join(two);
  const OwnFd client = hold();
  hand_off();
  EXPECT_FALSE(held.answer(2, one.handed, 1));
  EXPECT_FALSE(held.answer(2, one.handed, 0));
  EXPECT_TRUE(is_open(client));
  EXPECT_TRUE(held.any_unanswered());
}

TEST_F(HeldConnectionsTest, ThatADeadWorkerHadNotTouchedWaitAgainAndTheOthersAreClosed) {
  join(one, 2);
  const OwnFd untouched = hold();
  OwnFd client = OwnFd{};
  {
    // One that was answered in part.
    const auto name = net::to_sockaddr(net::local_address(listening.get()).value()).value();
    client = sys::socket(AF_INET, SOCK_STREAM, 0);
    sys::set_nonblocking(client.get(), false);
    ASSERT_EQ(sys::connect(client.get(), name.get(), name.size), 0);
    OwnFd accepted = sys::accept(listening.get());
    ASSERT_EQ(sys::send(accepted.get(), "H", 1, 0), 1);
    held.hold(std::move(accepted));
  }
  hand_off();
  EXPECT_EQ(one.handed, (Connections{1, 2}));
  users.lose(1);
  held.lose(1, true);
  EXPECT_EQ(held.waiting(), 1U);
  EXPECT_TRUE(is_open(untouched));
  join(two);
  hand_off();
  EXPECT_EQ(two.handed, Connections{1});
}

TEST_F(HeldConnectionsTest, AreClosedWithADeadWorkerWhereNobodyCouldTakeThem) {
  join(one);
  const OwnFd client = hold();
  hand_off();
  held.lose(1, false);
  EXPECT_EQ(held.waiting(), 0U);
  EXPECT_TRUE(is_closed(client));
}

TEST_F(HeldConnectionsTest, GoToNobodyWhoLeftThoughHeIsAUser) {
  join(one);
  held.leave(1);
  const OwnFd client = hold();
  hand_off();
  EXPECT_TRUE(one.handed.empty());
  held.join(1, 1);
  hand_off();
  EXPECT_EQ(one.handed, Connections{1});
}

}  // namespace
}  // namespace cohort::cluster
