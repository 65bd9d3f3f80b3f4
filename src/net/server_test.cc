// `net::create_server`, `Server` and the life of connections.
#include <boost/asio/io_context.hpp>
#include <optional>
#include <stdexcept>
#include <vector>

#include "cohort/net.h"
#include "leak_check.h"
#include "net/test_world.h"

namespace cohort::net {
namespace {

using namespace std::chrono_literals;

const auto* const kLeaks = harness::check_leaks();

class ServerTest : public testing::Test {
 protected:
  Server serve(std::function<void(Socket)> handler, ServerOptions options = {}) {
    Server server = create_server(world.host, std::move(handler), options);
    server.listen(Address{"127.0.0.1", 0});
    EXPECT_TRUE(world.run_until([&] { return server.listening(); }));
    return server;
  }
  bool connections(const Server& server, std::size_t count) {
    return world.run_until([&] { return server.connections() == count; });
  }

  test::World world;
};

void echo(Socket socket) {
  socket.on_data([socket](std::string_view data) { socket.write(data); });
}

TEST_F(ServerTest, AnEchoServerEchoes) {
  const Server server = serve(echo);
  test::Client client{world, server.address()};
  ASSERT_TRUE(client.send("hello"));
  EXPECT_EQ(client.read(5), "hello");
  client.end();
  EXPECT_TRUE(client.ended());
}

TEST_F(ServerTest, ListensOnAPortWithoutAHost) {
  const Server server = create_server(world.host, echo);
  server.listen(0);
  ASSERT_TRUE(world.run_until([&] { return server.listening(); }));
  test::Client client{world, {"127.0.0.1", server.address().port()}};
  client.send("x");
  EXPECT_EQ(client.read(1), "x");
}

TEST_F(ServerTest, PublishesItsConnectionsWhereItListensNow) {
  test::PublishingHost host{world.host};
  const auto first = host.load;
  const Server server = create_server(host, echo);
  const auto listen = [&] {
    server.listen(Address{"127.0.0.1", 0});
    EXPECT_TRUE(world.run_until([&] { return server.listening(); }));
  };
  listen();
  test::Client client{world, server.address()};
  EXPECT_TRUE(world.run_until([&] { return Load::get(first->connections) == 1; }));
  EXPECT_EQ(Load::get(first->in_flight), 1u);
  server.close();
  host.load = std::make_shared<Load>();
  listen();
  EXPECT_EQ(Load::get(first->connections), 0u);
  EXPECT_EQ(Load::get(host.load->connections), 1u);
  client.end();
  EXPECT_TRUE(world.run_until([&] { return Load::get(host.load->connections) == 0; }));
  EXPECT_EQ(Load::get(host.load->in_flight), 0u);
  server.close();
  world.turn();
}

TEST_F(ServerTest, ServesAUnixSocket) {
  test::TemporaryDirectory directory;
  const auto address = Address::from_path(directory.file("s"));
  Address local;
  Address remote{"unset", 1};
  const Server server = create_server(world.host, [&](Socket socket) {
    local = socket.local_address();
    remote = socket.remote_address();
    echo(socket);
  });
  server.listen(address);
  world.turn();
  test::Client client{world, address};
  client.send("x");
  EXPECT_EQ(client.read(1), "x");
  EXPECT_EQ(local, address);
  EXPECT_EQ(remote, Address{}) << "a client has no name";
}

TEST_F(ServerTest, CallsTheCallbackOfThisListenThenTheHandlers) {
  std::string order;
  const Server server = create_server(world.host, echo);
  server.on_listening([&] { order += "h"; });
  server.on_listening([&] { order += "i"; });
  server.listen(Address{"127.0.0.1", 0}, [&] { order += "c"; });
  EXPECT_EQ(order, "") << "never before listen returned";
  world.turn();
  EXPECT_EQ(order, "chi");
  server.close();
  world.turn();
  server.listen(Address{"127.0.0.1", 0});
  world.turn();
  EXPECT_EQ(order, "chihi");
}

TEST_F(ServerTest, LivesWithoutAHandleWhileItListens) {
  Address address;
  {
    const Server server = serve(echo);
    address = server.address();
  }
  test::Client client{world, address};
  client.send("x");
  EXPECT_EQ(client.read(1), "x");
}

TEST_F(ServerTest, ABusyPortGoesToTheErrorHandler) {
  const Server first = serve(echo);
  const Server second = create_server(world.host, echo);
  std::optional<Error> failure;
  second.on_error([&](const Error& error) { failure = error; });
  second.listen(first.address());
  ASSERT_TRUE(world.run_until([&] { return failure.has_value(); }));
  EXPECT_EQ(failure->code.value(), EADDRINUSE);
  EXPECT_FALSE(second.listening());
  failure.reset();
  second.listen(Address{"127.0.0.1", 0});
  EXPECT_TRUE(world.run_until([&] { return second.listening(); })) << "it may try again";
}

TEST_F(ServerTest, AnErrorWithoutAHandlerLeavesTheLoopWithItsText) {
  const Server first = serve(echo);
  create_server(world.host, echo).listen(first.address());
  try {
    world.turn();
    FAIL() << "nothing was thrown";
  } catch (const std::runtime_error& error) {
    EXPECT_EQ(std::string{error.what()}.find("listen 127.0.0.1:"), 0u) << error.what();
  }
}

TEST_F(ServerTest, ListeningTwiceIsAnError) {
  const Server server = serve(echo);
  std::optional<Error> failure;
  server.on_error([&](const Error& error) { failure = error; });
  const Address before = server.address();
  server.listen(Address{"127.0.0.1", 0});
  ASSERT_TRUE(world.run_until([&] { return failure.has_value(); }));
  EXPECT_EQ(failure->code.value(), EALREADY);
  EXPECT_EQ(server.address(), before);
}

TEST_F(ServerTest, CloseWaitsForConnectionsAndRefusesNewOnes) {
  const Server server = serve(echo);
  const Address address = server.address();
  test::Client client{world, address};
  client.send("x");
  EXPECT_EQ(client.read(1), "x");
  bool closed = false;
  server.close([&] { closed = true; });
  world.turn();
  EXPECT_FALSE(closed);
  EXPECT_FALSE(server.listening());
  EXPECT_EQ(server.address(), Address{});
  EXPECT_FALSE(test::Client(world, address).connected());
  client.send("y");
  EXPECT_EQ(client.read(1), "y") << "it is not cut";
  client.end();
  EXPECT_TRUE(world.run_until([&] { return closed; }));
}

TEST_F(ServerTest, CloseOfAServerThatNeverListenedCallsBack) {
  bool closed = false;
  create_server(world.host, echo).close([&] { closed = true; });
  EXPECT_FALSE(closed) << "never before close returned";
  world.turn();
  EXPECT_TRUE(closed);
}

TEST_F(ServerTest, ClosedBeforeItListensItNeverSaysThatItDoes) {
  bool listening = false;
  const Server server = create_server(world.host, echo);
  server.listen(Address{"127.0.0.1", 0}, [&] { listening = true; });
  server.close();
  world.turn();
  EXPECT_FALSE(listening);
}

TEST_F(ServerTest, MayListenAgainWhileOldConnectionsLive) {
  const Server server = serve(echo);
  test::Client old{world, server.address()};
  ASSERT_TRUE(connections(server, 1));
  server.close();
  server.listen(Address{"127.0.0.1", 0});
  ASSERT_TRUE(world.run_until([&] { return server.listening(); }));
  test::Client fresh{world, server.address()};
  fresh.send("n");
  EXPECT_EQ(fresh.read(1), "n");
  old.send("o");
  EXPECT_EQ(old.read(1), "o");
}

TEST_F(ServerTest, TheLoopEndsWhenTheServerAndItsConnectionsDid) {
  std::vector<Socket> sockets;
  const Server server = serve([&](Socket socket) { sockets.push_back(socket); });
  test::Client client{world, server.address()};
  ASSERT_TRUE(connections(server, 1));
  server.close();
  world.run_for(20ms);
  EXPECT_FALSE(world.io.stopped()) << "a connection is open";
  sockets[0].destroy();
  world.run_for(2s);
  EXPECT_TRUE(world.io.stopped());
}

TEST_F(ServerTest, AtItsLimitConnectionsWaitUntilThereIsRoom) {
  std::vector<Socket> sockets;
  const Server server = serve([&](Socket socket) {
    sockets.push_back(socket);
    socket.end("in");
  });
  server.max_connections(2);
  std::vector<std::unique_ptr<test::Client>> clients;
  for (int i = 0; i < 4; ++i)
    clients.push_back(std::make_unique<test::Client>(world, server.address()));
  ASSERT_TRUE(connections(server, 2));
  world.run_for(50ms);
  EXPECT_EQ(sockets.size(), 2u);
  EXPECT_EQ(clients[0]->read(2), "in");
  clients[0]->close();
  EXPECT_TRUE(world.run_until([&] { return sockets.size() == 3; })) << "one left";
  server.max_connections(0);
  EXPECT_TRUE(world.run_until([&] { return sockets.size() == 4; })) << "no limit any more";
}

TEST_F(ServerTest, DrainStopsListeningAndWaitsForConnections) {
  const Server server = serve(echo);
  const Address address = server.address();
  test::Client client{world, address};
  ASSERT_TRUE(connections(server, 1));
  bool drained = false;
  world.host.drain([&] { drained = true; });
  world.turn();
  EXPECT_FALSE(drained);
  EXPECT_FALSE(test::Client(world, address).connected());
  client.send("x");
  EXPECT_EQ(client.read(1), "x");
  client.end();
  EXPECT_TRUE(world.run_until([&] { return drained; }));
}

TEST_F(ServerTest, DrainOfAnIdleServerIsDone) {
  const Server server = serve(echo);
  bool drained = false;
  world.host.drain([&] { drained = true; });
  EXPECT_TRUE(world.run_until([&] { return drained; }));
}

TEST_F(ServerTest, TheEndOfTheHostClosesEverythingSilently) {
  auto host = std::make_unique<DirectHost>(world.loop);
  int events = 0;
  std::vector<Socket> sockets;
  create_server(*host, [&](Socket socket) {
    sockets.push_back(socket);
    socket.on_data([&, socket](std::string_view) { ++events; });
    socket.on_close([&, socket] { ++events; });
    socket.set_timeout(1h);
  }).listen(Address{"127.0.0.1", 0}, [&] { ++events; });
  world.turn();
  ASSERT_EQ(events, 1);
  // The server has no handle: its address is that of the listening socket.
  events = 0;
  host.reset();
  world.turn();
  EXPECT_EQ(events, 0);
  world.run_for(1s);
  EXPECT_TRUE(world.io.stopped());
}

TEST_F(ServerTest, TheEndOfTheHostEndsOpenConnections) {
  auto host = std::make_unique<DirectHost>(world.loop);
  std::vector<Socket> sockets;
  int events = 0;
  {
    const Server server = create_server(*host, [&](Socket socket) {
      sockets.push_back(socket);
      socket.on_data([socket](std::string_view) {});
      socket.on_close([&] { ++events; });
    });
    server.listen(Address{"127.0.0.1", 0});
    ASSERT_TRUE(world.run_until([&] { return server.listening(); }));
    test::Client client{world, server.address()};
    ASSERT_TRUE(connections(server, 1));
  }
  host.reset();
  world.turn();
  EXPECT_EQ(events, 0);
  ASSERT_EQ(sockets.size(), 1u);
  EXPECT_TRUE(sockets[0].destroyed());
  sockets[0].write("nothing happens");
  sockets[0].end();
  sockets[0].destroy();
}

TEST_F(ServerTest, AReleasedConnectionGoesOnElsewhereWithItsUnreadBytes) {
  std::optional<Handle> handle;
  int events = 0;
  const Server first = serve([&](Socket socket) {
    socket.on_close([&] { ++events; });
    socket.on_data([&, socket](std::string_view data) {
      handle = socket.release(data.substr(4)).value();
      EXPECT_TRUE(socket.destroyed());
      EXPECT_FALSE(socket.release());
    });
  });
  test::Client client{world, first.address()};
  client.send("mine yours");
  ASSERT_TRUE(world.run_until([&] { return handle.has_value(); }));
  EXPECT_EQ(handle->kind(), Handle::Kind::Socket);
  ASSERT_TRUE(connections(first, 0));
  EXPECT_EQ(events, 0) << "no event comes any more";

  const Socket socket = adopt(world.host, std::move(*handle));
  socket.on_data([socket](std::string_view data) { socket.end('<' + std::string{data} + '>'); });
  EXPECT_EQ(client.read(8), "< yours>");
  client.end();
  EXPECT_TRUE(client.ended());
}

TEST_F(ServerTest, AConnectionWithBytesToWriteIsNotReleased) {
  std::optional<Error> refused;
  const Server server = serve([&](Socket socket) {
    while (socket.write(std::string(100'000, 'x'))) continue;
    refused = socket.release().error();
  });
  test::Client client{world, server.address()};
  ASSERT_TRUE(world.run_until([&] { return refused.has_value(); }));
  EXPECT_EQ(refused->code.value(), EBUSY);
  EXPECT_EQ(client.read(100'000).size(), 100'000U) << "it goes on";
}

TEST_F(ServerTest, WhatIsNoConnectionIsDestroyed) {
  EXPECT_TRUE(adopt(world.host, Handle{}).destroyed());
  const Server server = serve(echo);
  EXPECT_TRUE(server.adopt(server.handle().value()).destroyed());
}

TEST_F(ServerTest, ListensOnTheSocketOfAnother) {
  int first_got = 0;
  const Server first = serve([&](const Socket& socket) {
    ++first_got;
    socket.end("1");
  });
  const Server second = create_server(world.host, [](const Socket& socket) { socket.end("2"); });
  second.listen(first.handle().value());
  ASSERT_TRUE(world.run_until([&] { return second.listening(); }));
  EXPECT_EQ(second.address(), first.address());
  first.close();
  test::Client client{world, second.address()};
  EXPECT_EQ(client.read(1), "2");
  EXPECT_EQ(first_got, 0);
  EXPECT_FALSE(first.handle()) << "closed";
}

TEST_F(ServerTest, ListensOnNothingElse) {
  const Server server = create_server(world.host, echo);
  std::optional<Error> failure;
  server.on_error([&](const Error& error) { failure = error; });
  server.listen(Handle{});
  ASSERT_TRUE(world.run_until([&] { return failure.has_value(); }));
  EXPECT_EQ(failure->message(),
            "listen on a handle: invalid argument (it is not a listening socket)");
}

TEST_F(ServerTest, AdoptedConnectionsAreDrainedWithTheHost) {
  const Server server = serve([&](const Socket& socket) {
    adopt(world.host, socket.release().value()).on_data([](std::string_view) {});
  });
  test::Client client{world, server.address()};
  ASSERT_TRUE(client.connected());
  ASSERT_TRUE(connections(server, 0));
  world.turn();
  bool drained = false;
  world.host.drain([&] { drained = true; });
  world.turn();
  EXPECT_FALSE(drained);
  client.close();
  EXPECT_TRUE(world.run_until([&] { return drained; }));
}

TEST_F(ServerTest, AHandlersExceptionLeavesTheLoop) {
  const Server server = serve([](Socket) { throw std::runtime_error{"handler"}; });
  const test::Client client{world, server.address()};
  EXPECT_THROW(world.run_until([] { return false; }, 1s), std::runtime_error);
}

}  // namespace
}  // namespace cohort::net
