// Clients that end their side while an answer is awaited: those that left, and those that wait.
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "cohort/http.h"
#include "http/server_fixture_test.h"

namespace cohort::http {
namespace {

using namespace std::chrono_literals;
using net::test::Client;
using test::Answer;

constexpr std::chrono::hours kNever{1};  // nothing but the thing under test may end it

class HalfClose : public test::HttpServerTest {
 protected:
  // A server that answers `/now` at once, and keeps every other answer open.
  std::unique_ptr<Client> serve_polls(std::chrono::milliseconds half_close_timeout) {
    return serve(
        [this](const Request& req, Response& res) {
          if (req.url() == "/now") return res.end("now");
          res.on_close([this] { ++gone; });
          waiting = res;
        },
        {.half_close_timeout = half_close_timeout});
  }
  void poll(Client& client, const std::string& version = "1.1") {
    waiting.reset();
    client.send("GET /poll HTTP/" + version + "\r\nHost: a\r\n\r\n");
    EXPECT_TRUE(world.run_until([&] { return waiting.has_value(); }));
  }
  bool noticed(int count = 1) {
    return world.run_until([&] { return gone == count; });
  }

  std::optional<Response> waiting;
  int gone = 0;
};

TEST_F(HalfClose, AClientThatLeftWhileItsAnswerIsAwaitedIsNoticed) {
  const auto client = serve_polls(50ms);
  poll(*client);
  client->close();
  EXPECT_TRUE(noticed());
  EXPECT_TRUE(waiting->writable_ended());
  EXPECT_EQ(open(), 0U);
}

TEST_F(HalfClose, SoItIsIfItsEndComesTogetherWithTheRequest) {
  const auto client = serve_polls(50ms);
  client->send("GET /poll HTTP/1.0\r\n\r\n");
  client->close();
  EXPECT_TRUE(noticed());
}

TEST_F(HalfClose, AClientThatEndedItsSideGetsALateAnswer) {
  const auto client = serve_polls(ServerOptions{}.half_close_timeout);
  for (const auto* const version : {"1.1", "1.0"}) {
    const auto another = connect();
    poll(*another, version);
    another->end();
    bool answered = false;
    later(1s, [&] {
      waiting->end("late");
      answered = true;
    });
    EXPECT_TRUE(world.run_until([&] { return answered; }));
    EXPECT_EQ(read_answer(*another).body, "late");
    EXPECT_TRUE(another->ended());
  }
}

TEST_F(HalfClose, WhatIsSentShowsThatAClientIsStillThere) {
  const auto client = serve_polls(1s);
  poll(*client);
  client->end();
  int left = 15;
  std::function<void()> event = [&] {
    waiting->write("event\n");
    if (--left == 0) return waiting->end();
    later(100ms, event);
  };
  event();
  std::string all;
  EXPECT_TRUE(world.run_until([&] { return left == 0; }));
  while (true) {
    const std::string some = read(*client, 1);
    if (some.empty()) break;
    all += some;
  }
  EXPECT_TRUE(all.ends_with("event\n\r\n0\r\n\r\n")) << all;
}

TEST_F(HalfClose, WhatIsSentShowsThatAClientLeft) {
  const auto client = serve_polls(kNever);
  poll(*client);
  waiting->write("event\n");
  read_answer(*client);
  EXPECT_EQ(read(*client, 11), "6\r\nevent\n\r\n");
  client->close();
  world.turn();
  EXPECT_EQ(gone, 0);
  waiting->write("event\n");
  EXPECT_TRUE(noticed()) << "its system answers with a reset";
}

TEST_F(HalfClose, AClientThatLeavesWhileDataWaitsForItIsNoticed) {
  const auto client = serve_polls(kNever);
  poll(*client);
  EXPECT_FALSE(waiting->write(std::string(16'000'000, 'x')));
  world.turn();
  client->close();
  EXPECT_TRUE(noticed());
}

TEST_F(HalfClose, AClientThatLeavesBehindManyPipelinedRequestsIsNoticed) {
  const auto client = serve_polls(50ms);
  poll(*client);
  std::string many;
  while (many.size() < 100'000) many += "GET /now HTTP/1.1\r\nHost: a\r\n\r\n";
  std::size_t sent = 0;
  EXPECT_TRUE(world.run_until([&] {
    const ssize_t size = sys::send(client->fd(), many.data() + sent, many.size() - sent);
    if (size > 0) sent += static_cast<std::size_t>(size);
    return sent == many.size();
  }));
  client->close();
  EXPECT_TRUE(noticed());
}

TEST_F(HalfClose, OnAUnixSocketAnEndAndAHalfOfItAreTwoThings) {
  const net::test::TemporaryDirectory directory;
  serve_polls(kNever);
  auto local = create_server(world.host,
                             [&](const Request&, Response& res) {
                               res.on_close([&] { ++gone; });
                               waiting = res;
                             },
                             {.half_close_timeout = kNever});
  local.listen(Address::from_path(directory.file("http")));
  EXPECT_TRUE(world.run_until([&] { return local.listening(); }));
  Client patient{world, local.address()};
  poll(patient);
  patient.end();
  world.turn();
  waiting->end("late");
  EXPECT_EQ(read_answer(patient).body, "late");
  EXPECT_EQ(gone, 1);
  Client leaves{world, local.address()};
  poll(leaves);
  leaves.close();
  EXPECT_TRUE(noticed(2));
}

TEST_F(HalfClose, AServerEndsThoughAClientLeft) {
  const auto client = serve_polls(200ms);
  poll(*client);
  client->close();
  bool closed = false;
  server->close([&] { closed = true; });
  EXPECT_TRUE(world.run_until([&] { return closed; }));
  EXPECT_EQ(gone, 1);
}

TEST_F(HalfClose, AHostDrainsThoughClientsLeftBeforeAndMeanwhile) {
  const auto before = serve_polls(200ms);
  const auto meanwhile = connect();
  poll(*before);
  poll(*meanwhile);
  before->close();
  bool drained = false;
  world.host.drain([&] { drained = true; });
  world.turn();
  meanwhile->close();
  EXPECT_TRUE(world.run_until([&] { return drained; }));
  EXPECT_EQ(gone, 2);
}

TEST_F(HalfClose, AClientThatLeftMakesRoomForAnother) {
  const auto client = serve_polls(50ms);
  server->max_connections(1);
  poll(*client);
  const auto next = connect();
  next->send("GET /now HTTP/1.1\r\nHost: a\r\n\r\n");
  client->close();
  EXPECT_EQ(read_answer(*next).body, "now");
}

TEST_F(HalfClose, WithoutATimeItCountsAsGoneAtOnceUnlessItIsAnsweredAtOnce) {
  const auto client = serve_polls(0ms);
  client->send("GET /now HTTP/1.1\r\nHost: a\r\n\r\nGET /now HTTP/1.1\r\nHost: a\r\n\r\n");
  client->end();
  EXPECT_EQ(read_answer(*client).body, "now");
  EXPECT_EQ(read_answer(*client).body, "now");
  EXPECT_TRUE(client->ended());
  const auto poller = connect();
  poll(*poller);
  poller->end();
  EXPECT_TRUE(noticed());
  EXPECT_TRUE(poller->reset()) << "its answer is not whole, and it has to see that";
}

}  // namespace
}  // namespace cohort::http
