#include "net/direct_host.h"

#include <optional>

#include "net/test_world.h"

namespace cohort::net {
namespace {

using namespace std::chrono_literals;

class OwnServer : public ListenerUser {
 public:
  void listening(const Address& address) override {
    bound = address;
    if (on_answer) on_answer();
  }
  void listen_failed(const Error& reason) override {
    error = reason;
    if (on_answer) on_answer();
  }
  bool connection(OwnFd&) override {
    ++connections;
    return true;
  }
  void abandon() override {}
  void drain(std::function<void()> callback) override {
    ++drains;
    listener.reset();
    done = std::move(callback);
  }

  std::unique_ptr<Listener> listener;
  std::optional<Address> bound;
  std::optional<Error> error;
  int connections = 0;
  int drains = 0;
  std::function<void()> done;
  std::function<void()> on_answer;
};

class DirectHostTest : public testing::Test {
 protected:
  std::shared_ptr<OwnServer> listen(const Address& address) {
    auto server = std::make_shared<OwnServer>();
    request.address = address;
    server->listener = world.host.listen(request, server);
    return server;
  }
  bool answered(const OwnServer& server) {
    return world.run_until([&] { return server.bound || server.error; });
  }

  test::World world;
  ListenRequest request;
  const Address any_port{"127.0.0.1", 0};
};

TEST_F(DirectHostTest, AnswersInALaterTurnWithTheRealPort) {
  const auto server = listen(any_port);
  EXPECT_FALSE(server->bound);
  ASSERT_TRUE(answered(*server));
  EXPECT_EQ(server->bound->host(), "127.0.0.1");
  EXPECT_NE(server->bound->port(), 0);
  EXPECT_GE(server->listener->native_handle(), 0);
}

TEST_F(DirectHostTest, DeliversConnections) {
  const auto server = listen(any_port);
  ASSERT_TRUE(answered(*server));
  const test::Client client{world, *server->bound};
  EXPECT_TRUE(world.run_until([&] { return server->connections == 1; }));
}

TEST_F(DirectHostTest, ABusyPortIsAnErrorInALaterTurn) {
  const auto first = listen(any_port);
  ASSERT_TRUE(answered(*first));
  const auto second = listen(*first->bound);
  EXPECT_FALSE(second->error);
  ASSERT_TRUE(answered(*second));
  ASSERT_TRUE(second->error);
  EXPECT_EQ(second->error->code.value(), EADDRINUSE);
  EXPECT_EQ(second->listener->native_handle(), -1);
}

TEST_F(DirectHostTest, KeepsTheUserUntilItsListenerIsGone) {
  auto server = listen(any_port);
  const std::weak_ptr<OwnServer> weak = server;
  server.reset();
  world.turn();
  ASSERT_FALSE(weak.expired());
  weak.lock()->listener->close();
  world.turn();
  ASSERT_FALSE(weak.expired());
  weak.lock()->listener.reset();
  EXPECT_TRUE(weak.expired());
}

TEST_F(DirectHostTest, ClosedBeforeTheAnswerThereIsNone) {
  const auto server = listen(any_port);
  server->listener->close();
  world.turn();
  EXPECT_FALSE(server->bound);
  EXPECT_FALSE(server->error);
}

TEST_F(DirectHostTest, AUserMayDropItsListenerInTheAnswer) {
  const auto first = listen(any_port);
  ASSERT_TRUE(answered(*first));
  for (const Address& address : {any_port, *first->bound}) {
    const auto server = listen(address);
    server->on_answer = [&] { server->listener.reset(); };
    EXPECT_TRUE(answered(*server));
    world.turn();
  }
}

TEST_F(DirectHostTest, AClosedPortCanBeHadAgain) {
  const auto first = listen(any_port);
  ASSERT_TRUE(answered(*first));
  first->listener->close();
  const auto second = listen(*first->bound);
  ASSERT_TRUE(answered(*second));
  EXPECT_FALSE(second->error) << *second->error;
}

TEST_F(DirectHostTest, TheFileOfAUnixSocketGoesWithItsListener) {
  test::TemporaryDirectory directory;
  const auto address = Address::from_path(directory.file("s"));
  const auto server = listen(address);
  ASSERT_TRUE(answered(*server));
  EXPECT_EQ(server->bound, address);
  EXPECT_TRUE(std::filesystem::exists(address.path()));
  server->listener->close();
  EXPECT_FALSE(std::filesystem::exists(address.path()));
}

TEST_F(DirectHostTest, AFailedListenLeavesTheFileOfTheOneWhoHasIt) {
  test::TemporaryDirectory directory;
  const auto address = Address::from_path(directory.file("s"));
  const auto first = listen(address);
  const auto second = listen(address);
  ASSERT_TRUE(answered(*second));
  EXPECT_TRUE(second->error);
  second->listener.reset();
  EXPECT_TRUE(std::filesystem::exists(address.path()));
}

TEST_F(DirectHostTest, EveryFailingCallOfListenReachesTheUser) {
  test::TemporaryDirectory directory;
  for (const Address& address : {any_port, Address::from_path(directory.file("s"))}) {
    int survived = 0;
    for (int n = 0;; ++n) {
      const sys::FailNth fail{n, ENOMEM};
      const auto server = listen(address);
      if (!fail.fired()) break;
      ASSERT_TRUE(answered(*server));
      if (server->error)
        EXPECT_EQ(server->error->code.value(), ENOMEM);
      else
        ++survived;
      server->listener.reset();
      EXPECT_FALSE(std::filesystem::exists(address.path())) << "call " << n;
    }
    EXPECT_EQ(survived, address.is_unix() ? 1 : 0) << "which file it is need not be known";
  }
}

TEST_F(DirectHostTest, DrainIsDoneWhenEveryServerIs) {
  const auto first = listen(any_port);
  const auto second = listen(any_port);
  world.turn();
  bool drained = false;
  world.host.drain([&] { drained = true; });
  EXPECT_EQ(first->drains, 1);
  EXPECT_EQ(second->drains, 1);
  EXPECT_FALSE(test::Client(world, *first->bound).connected());
  second->done();
  EXPECT_FALSE(drained);
  first->done();
  EXPECT_TRUE(drained);
}

TEST_F(DirectHostTest, DrainWithoutServersIsDoneAtOnce) {
  int drained = 0;
  world.host.drain([&] { ++drained; });
  EXPECT_EQ(drained, 1);
}

TEST_F(DirectHostTest, AServerThatListensDuringTheDrainIsDrainedInstead) {
  world.host.drain([] {});
  const auto server = listen(any_port);
  EXPECT_TRUE(world.run_until([&] { return server->drains == 1; }));
  EXPECT_FALSE(server->bound);
}

TEST_F(DirectHostTest, AListenerMayOutliveItsHost) {
  auto server = std::make_shared<OwnServer>();
  auto host = std::make_unique<DirectHost>(world.loop);
  request.address = any_port;
  server->listener = host->listen(request, server);
  ASSERT_TRUE(answered(*server));
  host.reset();
  EXPECT_FALSE(test::Client(world, *server->bound).connected());
  EXPECT_EQ(server->listener->native_handle(), -1);
  server->listener->close();
  server->listener->resume();
}

TEST_F(DirectHostTest, TheEndOfTheHostEndsItsServers) {
  auto host = std::make_unique<DirectHost>(world.loop);
  auto server = std::make_shared<OwnServer>();
  request.address = any_port;
  server->listener = host->listen(request, server);
  const std::weak_ptr<OwnServer> weak = server;
  server.reset();
  host.reset();
  EXPECT_TRUE(weak.expired());
  world.turn();
}

TEST_F(DirectHostTest, AListeningDescriptorIsTheHosts) {
  auto host = std::make_unique<DirectHost>(world.loop);
  request.address = any_port;
  const int fd = host->listening_descriptor(request).value();
  const Address address = local_address(fd).value();
  EXPECT_TRUE(test::Client(world, address).connected());
  host.reset();
  EXPECT_FALSE(test::Client(world, address).connected());
}

TEST_F(DirectHostTest, AListeningDescriptorThatCannotBeHadIsAnError) {
  request.address = any_port;
  request.address = local_address(world.host.listening_descriptor(request).value()).value();
  EXPECT_EQ(world.host.listening_descriptor(request).error().code.value(), EADDRINUSE);
}

TEST(OpenServers, AUserThatListensTwiceIsKeptUntilBothAreClosed) {
  OpenServers servers;
  auto user = std::make_shared<OwnServer>();
  const std::weak_ptr<OwnServer> weak = user;
  servers.add(user);
  servers.add(std::move(user));
  servers.closed(weak.lock().get());
  EXPECT_FALSE(weak.expired());
  servers.closed(weak.lock().get());
  EXPECT_TRUE(weak.expired());
  EXPECT_TRUE(servers.empty());
}

}  // namespace
}  // namespace cohort::net
