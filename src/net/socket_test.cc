// `net::Socket`: one connection from the server's side.
#include "net/socket.h"

#include <vector>

#include "net/test_world.h"

namespace cohort::net {
namespace {

using namespace std::chrono_literals;

// A peer with this receive buffer takes little before it reads.
constexpr int kSmallBuffer = 128 * 1024;

// A server that records the events of its one connection.
class SocketTest : public testing::Test {
 protected:
  // The socket of a new connection; `prepare` runs within the server's connection handler.
  Socket accept(std::function<void(Socket)> prepare = {}, ServerOptions options = {},
                int receive_buffer = 0) {
    std::optional<Socket> accepted;
    const Server server = create_server(
        world.host,
        [&](Socket socket) {
          accepted = socket;
          record(socket);
          if (prepare) prepare(socket);
        },
        options);
    server.listen(Address{"127.0.0.1", 0});
    EXPECT_TRUE(world.run_until([&] { return server.listening(); }));
    server_address = server.address();
    client = std::make_unique<test::Client>(world, server_address, receive_buffer);
    EXPECT_TRUE(world.run_until([&] { return accepted.has_value(); }));
    server.close([this] { server_closed = true; });
    return *accepted;
  }
  void record(const Socket& socket) {
    socket.on_end([this] { events += "end "; });
    socket.on_error([this](const Error& error) { events += "error:" + error.op + ' '; });
    socket.on_close([this] { events += "close "; });
  }
  void collect(const Socket& socket) {
    socket.on_data([this](std::string_view data) { received += data; });
  }
  bool closed() {
    return world.run_until([&] { return server_closed; });
  }

  test::World world;
  Address server_address;
  std::unique_ptr<test::Client> client;
  std::string events;
  std::string received;
  bool server_closed = false;
};

TEST_F(SocketTest, KnowsBothAddresses) {
  const Socket socket = accept();
  EXPECT_EQ(socket.local_address(), server_address);
  EXPECT_EQ(socket.remote_address(), client->local());
  socket.destroy();
  EXPECT_EQ(socket.remote_address(), client->local()) << "asked for before";
}

TEST_F(SocketTest, AddressesThatNobodyAskedForAreGoneWithTheConnection) {
  const Socket socket = accept();
  socket.destroy();
  EXPECT_EQ(socket.remote_address(), Address{});
  EXPECT_EQ(socket.local_address(), Address{});
}

TEST_F(SocketTest, DeliversDataThenTheEndThenClose) {
  const Socket socket = accept();
  collect(socket);
  client->send("last words");
  client->end();
  EXPECT_TRUE(closed());
  EXPECT_EQ(received, "last words");
  EXPECT_EQ(events, "end close ");
  EXPECT_TRUE(socket.destroyed());
  EXPECT_EQ(socket.bytes_read(), 10u);
}

TEST_F(SocketTest, SeveralHandlersOfOneEventAreCalledInOrder) {
  const Socket socket = accept();
  std::string order;
  socket.on_data([&, socket](std::string_view) {
    order += 'a';
    socket.on_data([&](std::string_view) { order += 'c'; });
  });
  socket.on_data([&](std::string_view) { order += 'b'; });
  client->send("1");
  ASSERT_TRUE(world.run_until([&] { return !order.empty(); }));
  EXPECT_EQ(order, "ab");
  client->send("2");
  ASSERT_TRUE(world.run_until([&] { return order.size() > 2; }));
  EXPECT_EQ(order, "ababc");
}

TEST_F(SocketTest, DataWaitsForAHandler) {
  const Socket socket = accept();
  client->send("early");
  world.run_for(30ms);
  EXPECT_EQ(socket.bytes_read(), 0u);
  collect(socket);
  EXPECT_TRUE(world.run_until([&] { return received == "early"; }));
}

TEST_F(SocketTest, UnreadDataWithoutAHandlerDoesNotSpin) {
  const Socket socket = accept();
  client->send("early");
  world.turn();
  EXPECT_LT(world.run_for(100ms), 5u);
}

TEST_F(SocketTest, WithoutAHandlerAPeerThatJustClosesIsNoticed) {
  const Socket socket = accept();
  client->close();
  EXPECT_TRUE(closed());
  EXPECT_EQ(events, "end close ");
}

TEST_F(SocketTest, ThatNobodyHoldsIsReadAndThrownAwayUntilThePeerCloses) {
  accept();
  client->send("for nobody");
  client->end();
  EXPECT_TRUE(closed());
  EXPECT_EQ(events, "end close ");
}

TEST_F(SocketTest, DroppedLaterItIsThrownAwayToo) {
  std::optional<Socket> socket = accept();
  socket->pause();
  client->send("for nobody");
  client->end();
  world.turn();
  EXPECT_EQ(events, "");
  socket.reset();
  EXPECT_TRUE(closed());
}

TEST_F(SocketTest, PauseStopsDataAndResumeRestartsIt) {
  const Socket socket = accept();
  collect(socket);
  socket.pause();
  client->send("x");
  client->end();
  world.run_for(30ms);
  EXPECT_EQ(received, "");
  EXPECT_EQ(events, "");
  socket.resume();
  EXPECT_TRUE(closed());
  EXPECT_EQ(received, "x");
}

TEST_F(SocketTest, PausedByItsOwnHandlerItStopsAfterThisPiece) {
  const Socket socket = accept();
  socket.on_data([&, socket](std::string_view data) {
    received += data;
    socket.pause();
  });
  client->send("first");
  ASSERT_TRUE(world.run_until([&] { return received == "first"; }));
  client->send("second");
  world.run_for(30ms);
  EXPECT_EQ(received, "first");
}

TEST_F(SocketTest, WritesArriveInOrder) {
  const Socket socket = accept();
  EXPECT_TRUE(socket.write("one "));
  EXPECT_TRUE(socket.write(""));
  EXPECT_TRUE(socket.write("two "));
  socket.end("three");
  EXPECT_EQ(client->read(13), "one two three");
  EXPECT_TRUE(client->ended());
  EXPECT_EQ(socket.bytes_written(), 13u);
}

TEST_F(SocketTest, WriteReportsBackpressureAndThenDrain) {
  const Socket socket = accept({}, {}, kSmallBuffer);
  bool drained = false;
  socket.on_drain([&] { drained = true; });
  const std::string piece(32 * 1024, 'x');
  std::size_t total = 0;
  int done = 0;
  int pieces = 0;
  for (bool more = true; more && total < (64u << 20); total += piece.size(), ++pieces)
    more = socket.write(piece, [&](const auto& error) { done += error ? 0 : 1; });
  ASSERT_LT(total, 64u << 20) << "never false";
  world.turn();
  EXPECT_FALSE(drained);
  EXPECT_LT(done, pieces);
  EXPECT_EQ(client->read(total).size(), total);
  EXPECT_TRUE(world.run_until([&] { return drained; }));
  EXPECT_EQ(done, pieces);
  EXPECT_EQ(socket.bytes_written(), total);
  EXPECT_TRUE(socket.write("again"));
}

TEST_F(SocketTest, EndSendsWhatWaitsFirst) {
  const Socket socket = accept({}, {}, kSmallBuffer);
  const std::string much(4 << 20, 'x');
  socket.write(much);
  socket.end("!");
  EXPECT_TRUE(client->read(much.size() + 1) == much + '!');
  EXPECT_TRUE(client->ended());
}

TEST_F(SocketTest, TheCallbackOfAWriteComesLater) {
  const Socket socket = accept();
  int done = 0;
  socket.write("x", [&](const std::optional<Error>& error) { done = error ? -1 : 1; });
  EXPECT_EQ(done, 0);
  world.turn();
  EXPECT_EQ(done, 1);
}

TEST_F(SocketTest, AWriteFromTheCallbackOfAWriteIsSent) {
  const Socket socket = accept({}, {}, kSmallBuffer);
  const std::string much(1 << 20, 'x');
  socket.write(much,
               [&](const auto&) { socket.write(much, [&](const auto&) { socket.end("!"); }); });
  EXPECT_EQ(client->read(2 * much.size() + 1).size(), 2 * much.size() + 1);
}

TEST_F(SocketTest, WriteAfterEndFailsWithEpipe) {
  const Socket socket = accept();
  socket.end("bye");
  std::optional<Error> failure;
  EXPECT_FALSE(socket.write("more", [&](const std::optional<Error>& error) { failure = error; }));
  socket.end("even more");
  world.turn();
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->code.value(), EPIPE);
  EXPECT_EQ(client->read(100), "bye");
}

TEST_F(SocketTest, AfterEndItStillReadsUntilThePeerEnds) {
  const Socket socket = accept();
  collect(socket);
  socket.end("bye");
  EXPECT_EQ(client->read(3), "bye");
  client->send("wait");
  ASSERT_TRUE(world.run_until([&] { return received == "wait"; }));
  EXPECT_FALSE(socket.destroyed());
  client->end();
  EXPECT_TRUE(closed());
}

TEST_F(SocketTest, AServerThatOnlyEndsClosesAlthoughThePeerSentSomething) {
  const Socket socket = accept([](Socket accepted) { accepted.end("go away"); });
  client->send("GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(client->read(7), "go away");
  client->end();
  EXPECT_TRUE(closed());
}

TEST_F(SocketTest, WhenThePeerEndsWhatWaitsIsStillSent) {
  const std::string much(4 << 20, 'x');
  const Socket socket = accept([&](Socket accepted) { accepted.write(much); }, {}, kSmallBuffer);
  collect(socket);
  client->end();
  EXPECT_EQ(client->read(much.size()).size(), much.size());
  EXPECT_TRUE(client->ended());
  EXPECT_TRUE(closed());
}

TEST_F(SocketTest, AHalfOpenSocketStaysOpenUntilItIsEnded) {
  const Socket socket = accept({}, {.allow_half_open = true});
  collect(socket);
  client->end();
  ASSERT_TRUE(world.run_until([&] { return events == "end "; }));
  world.turn();
  EXPECT_FALSE(socket.destroyed());
  socket.end("after your end");
  EXPECT_EQ(client->read(14), "after your end");
  EXPECT_TRUE(closed());
}

TEST_F(SocketTest, DestroyFailsWhatWaitsAndClosesLater) {
  const Socket socket = accept({}, {}, kSmallBuffer);
  std::optional<Error> failure;
  socket.write(std::string(16 << 20, 'x'));
  socket.write("y", [&](const std::optional<Error>& error) { failure = error; });
  socket.destroy();
  socket.destroy();
  EXPECT_TRUE(socket.destroyed());
  EXPECT_EQ(events, "") << "never inside the call";
  EXPECT_TRUE(closed());
  EXPECT_EQ(events, "close ");
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->code.value(), ECANCELED);
}

TEST_F(SocketTest, DestroyEndsTheConnectionAlthoughAPrimaryHoldsACopyOfTheDescriptor) {
  OwnFd pair[2];
  ASSERT_EQ(sys::socketpair(AF_UNIX, SOCK_STREAM, true, pair), 0);
  const OwnFd copy = sys::duplicate(pair[0].get());
  const auto impl = std::make_shared<SocketImpl>(world.loop, std::move(pair[0]), false, nullptr);
  Socket{std::make_shared<SocketHolder>(impl)}.destroy();
  char byte;
  EXPECT_EQ(sys::recv(pair[1].get(), &byte, 1, 0), 0);
  world.turn();
}

TEST_F(SocketTest, AResetIsAnErrorThenClose) {
  const Socket socket = accept();
  collect(socket);
  client->abort();
  EXPECT_TRUE(closed());
  EXPECT_EQ(events, "error:read close ");
}

TEST_F(SocketTest, AFailedWriteReportsItselfThenTheErrorThenClose) {
  const Socket socket = accept();
  collect(socket);
  {
    const sys::FailNth fail{0, ECONNRESET};
    EXPECT_FALSE(socket.write("x", [&](const std::optional<Error>& error) {
      events += "write:" + std::to_string(error->code.value()) + ' ';
    }));
  }
  EXPECT_EQ(events, "") << "never inside the call";
  EXPECT_TRUE(closed());
  EXPECT_EQ(events, "write:" + std::to_string(ECONNRESET) + " error:write close ");
}

TEST_F(SocketTest, SurvivesTheFailureOfAnyCall) {
  for (int n = 0;; ++n) {
    server_closed = false;
    const Socket socket = accept();
    received.clear();
    const sys::FailNth fail{n, ENOBUFS};
    collect(socket);
    socket.write("hello");
    ::send(client->fd(), "x", 1, 0);
    ::shutdown(client->fd(), SHUT_WR);
    socket.end();
    ASSERT_TRUE(closed()) << "call " << n;
    if (!fail.fired()) break;
  }
}

TEST_F(SocketTest, AnIdleConnectionTimesOutOnceAndStaysOpen) {
  const Socket socket = accept();
  collect(socket);
  int timeouts = 0;
  socket.set_timeout(30ms, [&] { ++timeouts; });
  ASSERT_TRUE(world.run_until([&] { return timeouts == 1; }));
  world.run_for(100ms);
  EXPECT_EQ(timeouts, 1);
  EXPECT_FALSE(socket.destroyed());
  client->send("x");
  EXPECT_TRUE(world.run_until([&] { return timeouts == 2; })) << "after new activity";
}

TEST_F(SocketTest, ActivityPutsTheTimeoutOff) {
  using Clock = std::chrono::steady_clock;
  const Socket socket = accept();
  Clock::time_point last;
  std::vector<Clock::duration> idle_times;
  socket.on_data([&](std::string_view) { last = Clock::now(); });
  socket.set_timeout(1h);
  socket.set_timeout(100ms, [&] { idle_times.push_back(Clock::now() - last); });
  for (int i = 0; i < 5; ++i) {
    client->send("x");
    world.run_for(40ms);
  }
  ASSERT_TRUE(world.run_until([&] { return !idle_times.empty(); }));
  // A busy machine may make us idle in between as well; but never too early.
  for (const auto idle : idle_times) EXPECT_GE(idle, 99ms);
}

TEST_F(SocketTest, ATimeoutOfZeroIsOff) {
  const Socket socket = accept();
  int timeouts = 0;
  socket.set_timeout(10ms, [&] { ++timeouts; });
  socket.set_timeout(0ms);
  world.run_for(50ms);
  EXPECT_EQ(timeouts, 0);
}

TEST_F(SocketTest, ATimeoutMayDestroyTheSocket) {
  const Socket socket = accept();
  socket.set_timeout(10ms, [=] { socket.destroy(); });
  EXPECT_TRUE(closed());
  EXPECT_TRUE(client->ended());
}

TEST_F(SocketTest, MayBeDestroyedByEachOfItsHandlers) {
  for (const std::string when : {"data", "end", "close", "drain"}) {
    server_closed = false;
    std::optional<Socket> socket = accept({}, {}, kSmallBuffer);
    const auto destroy = [&] {
      if (socket) socket->destroy();
      socket.reset();
    };
    socket->on_data([&](std::string_view) {
      if (when == "data") destroy();
    });
    socket->on_end([&] {
      if (when == "end") destroy();
    });
    socket->on_close([&] {
      if (when == "close") destroy();
    });
    socket->on_drain([&] {
      if (when == "drain") destroy();
    });
    const std::string much(1 << 20, 'x');
    while (socket->write(much)) continue;
    client->send("x");
    client->end();
    while (!server_closed && !client->read(1 << 16).empty()) continue;
    EXPECT_TRUE(closed()) << when;
  }
}

}  // namespace
}  // namespace cohort::net
