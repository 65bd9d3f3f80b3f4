// `cohort::on_connection` and `cohort::Listener`.
#include <fcntl.h>

#include <stdexcept>

#include "cohort/acceptor.h"
#include "net/test_world.h"

namespace cohort {
namespace {

using net::test::Client;
using namespace std::chrono_literals;

class OnConnectionTest : public testing::Test {
 protected:
  bool listening(const Connections& connections) {
    return world.run_until([&] { return connections.address() != Address{}; });
  }

  net::test::World world;
  const Address any_port{"127.0.0.1", 0};
  std::vector<OwnFd> fds;
  std::vector<Address> peers;
  const std::function<void(OwnFd, const Address&)> collect = [this](OwnFd fd, const Address& peer) {
    fds.push_back(std::move(fd));
    peers.push_back(peer);
  };
};

TEST_F(OnConnectionTest, GivesAwayDescriptorsWithTheirPeers) {
  const Connections connections = on_connection(world.host, any_port, collect);
  std::vector<Address> told;
  connections.on_listening([&](const Address& address) { told.push_back(address); });
  ASSERT_TRUE(listening(connections));
  EXPECT_EQ(told, std::vector{connections.address()});
  Client client{world, connections.address()};
  ASSERT_TRUE(world.run_until([&] { return fds.size() == 1; }));
  EXPECT_EQ(peers[0], client.local());
  EXPECT_NE(::fcntl(fds[0].get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(fds[0].get(), F_GETFD) & FD_CLOEXEC, 0);
  fds.clear();
  EXPECT_TRUE(client.ended());
}

TEST_F(OnConnectionTest, ListensWithoutAHandleUntilItIsClosed) {
  Address address;
  on_connection(world.host, any_port, collect).on_listening([&](const Address& bound) {
    address = bound;
  });
  ASSERT_TRUE(world.run_until([&] { return address.port() != 0; }));
  const Client client{world, address};
  EXPECT_TRUE(world.run_until([&] { return fds.size() == 1; }));
}

TEST_F(OnConnectionTest, DeliversNothingAfterClose) {
  const Connections connections = on_connection(world.host, any_port, collect);
  ASSERT_TRUE(listening(connections));
  const Client client{world, connections.address()};
  connections.close();
  connections.close();
  EXPECT_EQ(connections.address(), Address{});
  world.run_for(1s);
  EXPECT_TRUE(world.io.stopped());
  EXPECT_TRUE(fds.empty());
}

TEST_F(OnConnectionTest, DrainClosesItAndWaitsForNothing) {
  const Connections connections = on_connection(world.host, any_port, collect);
  ASSERT_TRUE(listening(connections));
  const Address address = connections.address();
  const Client client{world, address};
  ASSERT_TRUE(world.run_until([&] { return fds.size() == 1; }));
  bool drained = false;
  world.host.drain([&] { drained = true; });
  EXPECT_TRUE(drained);
  EXPECT_FALSE(Client(world, address).connected());
}

TEST_F(OnConnectionTest, ABusyPortGoesToTheErrorHandler) {
  const Connections first = on_connection(world.host, any_port, collect);
  ASSERT_TRUE(listening(first));
  const Connections second = on_connection(world.host, first.address(), collect);
  std::optional<Error> failure;
  second.on_error([&](const Error& error) { failure = error; });
  ASSERT_TRUE(world.run_until([&] { return failure.has_value(); }));
  EXPECT_EQ(failure->code.value(), EADDRINUSE);
}

TEST_F(OnConnectionTest, AnErrorWithoutAHandlerLeavesTheLoop) {
  const Connections first = on_connection(world.host, any_port, collect);
  ASSERT_TRUE(listening(first));
  on_connection(world.host, first.address(), collect);
  EXPECT_THROW(world.turn(), std::runtime_error);
}

TEST_F(OnConnectionTest, AListenersDescriptorOutlivesTheListener) {
  const int fd = Listener{world.host, any_port}.native_handle();
  ASSERT_GE(fd, 0);
  Client client{world, net::local_address(fd).value()};
  EXPECT_TRUE(client.connected());
  const OwnFd accepted = sys::accept(fd);
  EXPECT_EQ(net::peer_address(accepted.get()).value(), client.local());
}

TEST_F(OnConnectionTest, AListenerThatCannotBeHadSaysWhy) {
  const Listener first{world.host, any_port};
  EXPECT_FALSE(first.error());
  const Listener second{world.host, net::local_address(first.native_handle()).value()};
  EXPECT_EQ(second.native_handle(), -1);
  ASSERT_TRUE(second.error());
  EXPECT_EQ(second.error()->code.value(), EADDRINUSE);
}

}  // namespace
}  // namespace cohort
