// The server over real loopback sockets: one thread runs the loop and, in between, the client.
#include <gtest/gtest.h>

#include <fstream>
#include <optional>
#include <stdexcept>
#include <string>

#include "cohort/http.h"
#include "cohort/net.h"
#include "http/server_fixture_test.h"
#include "net/test_world.h"

namespace cohort::http {
namespace {

using namespace std::chrono_literals;
using net::test::Client;
using net::test::World;
using test::Answer;
using HttpServerTest = test::HttpServerTest;

TEST_F(HttpServerTest, AnswersRequestAfterRequestOnOneConnection) {
  int count = 0;
  const auto client = serve([&](const Request& req, Response& res) {
    res.end(std::string{req.url()} + std::to_string(++count));
  });
  EXPECT_EQ(ask(*client, "/a"), "/a1");
  EXPECT_EQ(ask(*client, "/b"), "/b2");
  EXPECT_EQ(server->stats().requests, 2U);
  EXPECT_EQ(server->stats().connections, 1U);
}

TEST_F(HttpServerTest, PublishesWhatIsOpenAndInFlight) {
  net::test::PublishingHost host{world.host};
  const net::Load& load = *host.load;
  const auto open = [&] { return net::Load::get(load.connections); };
  const auto in_flight = [&] { return net::Load::get(load.in_flight); };
  std::uint32_t during = 0;
  std::optional<Response> kept;
  const auto handler = [&](const Request& req, Response& res) {
    during = in_flight();
    if (req.url() == "/later")
      kept = res;
    else
      res.end("hello");
  };
  server.emplace(create_server(host, handler));
  server->listen({"127.0.0.1", 0});
  EXPECT_TRUE(world.run_until([&] { return server->listening(); }));
  EXPECT_EQ(net::Load::get(load.counts_open), 1u);
  const auto client = connect();
  const auto idle = connect();
  EXPECT_TRUE(world.run_until([&] { return open() == 2; }));
  world.turn();
  EXPECT_EQ(in_flight(), 0u) << "nothing was asked";
  EXPECT_EQ(ask(*client), "hello");
  EXPECT_EQ(during, 1u);
  world.turn();
  EXPECT_EQ(in_flight(), 0u);
  EXPECT_TRUE(client->send("GET /later HT"));
  EXPECT_TRUE(world.run_until([&] { return in_flight() == 1; })) << "it arrives";
  EXPECT_TRUE(client->send("TP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_TRUE(world.run_until([&] { return kept.has_value(); }));
  world.turn();
  EXPECT_EQ(in_flight(), 1u) << "it is being answered";
  kept->end("late");
  EXPECT_EQ(read_answer(*client).body, "late");
  world.turn();
  EXPECT_EQ(in_flight(), 0u);
  EXPECT_TRUE(client->send("GET /later HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_TRUE(world.run_until([&] { return in_flight() == 1; }));
  client->abort();
  EXPECT_TRUE(world.run_until([&] { return open() == 1; }));
  EXPECT_EQ(in_flight(), 0u) << "nobody waits for it";
  idle->close();
  EXPECT_TRUE(world.run_until([&] { return open() == 0; }));
  server.reset();
}

TEST_F(HttpServerTest, ShowsTheRequestToTheHandler) {
  std::string seen;
  const auto client = serve([&](const Request& req, Response& res) {
    seen = std::string{req.method()} + ' ' + std::string{req.url()} + ' ' +
           std::string{req.http_version()} + ' ' + std::string{req.header("x-one")} + ' ' +
           std::to_string(req.headers().size()) + (req.has_header("none") ? "?" : "!") +
           std::string{req.body()} + to_string(req.remote_address());
    res.end();
  });
  client->send("PUT /x?y HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nContent-Length: 4\r\n\r\nbody");
  EXPECT_EQ(status(read_answer(*client)), 200);
  EXPECT_EQ(seen, "PUT /x?y 1.1 1 3!body" + to_string(client->local()));
}

TEST_F(HttpServerTest, AnswersPipelinedRequestsInOrderThoughTheFirstTakesLonger) {
  std::vector<std::string> calls;
  const auto client = serve([&](const Request& req, Response& res) {
    calls.emplace_back(req.url());
    if (req.url() != "/slow") return res.end("fast");
    later(20ms, [&calls, res] {
      EXPECT_EQ(calls.size(), 1U) << "the next handler runs after this answer";
      res.end("slow");
      EXPECT_EQ(calls.size(), 1U) << "and not inside of end()";
    });
  });
  client->send(
      "GET /slow HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
      "GET /3 HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(read_answer(*client).body, "slow");
  EXPECT_EQ(read_answer(*client).body, "fast");
  EXPECT_EQ(read_answer(*client).body, "fast");
  EXPECT_EQ(calls, (std::vector<std::string>{"/slow", "/2", "/3"}));
}

TEST_F(HttpServerTest, SendsContinueWhenTheClientWaitsForIt) {
  const auto client =
      serve([](const Request& req, Response& res) { res.end(std::string{req.body()}); });
  client->send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(read_answer(*client).head, "HTTP/1.1 100 Continue\r\n\r\n");
  client->send("hi");
  EXPECT_EQ(read_answer(*client).body, "hi");
}

TEST_F(HttpServerTest, TheLastWordReachesAClientThatSendsFarTooMuch) {
  const auto client = serve(hello(), {.body_size_max = 1000});
  client->send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n");
  std::string flood(200'000, 'x');
  for (int i = 0; i < 10; ++i) {
    client->send(flood);
    world.turn();
  }
  const Answer answer = read_answer(*client);
  EXPECT_EQ(status(answer), 413);
  EXPECT_TRUE(closes(answer));
  EXPECT_TRUE(client->ended());
  EXPECT_EQ(server->stats().refused, 1U);
  client->close();
  EXPECT_TRUE(world.run_until([&] { return open() == 0; }));
}

TEST_F(HttpServerTest, AHandlerThatThrowsIsAnswered500AndTheServiceGoesOn) {
  bool throws = true;
  const auto client = serve([&](const Request&, Response& res) {
    EXPECT_TRUE(res.set_header("X-Half", "done"));
    if (throws) throw std::runtime_error{"broken"};
    res.end("fine");
  });
  testing::internal::CaptureStderr();
  client->send("GET /it HTTP/1.1\r\nHost: a\r\n\r\n");
  const Answer answer = read_answer(*client);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "cohort: GET /it: handler failed: broken\n");
  EXPECT_EQ(status(answer), 500);
  EXPECT_EQ(answer.head.find("X-Half"), std::string::npos);
  throws = false;
  EXPECT_EQ(ask(*client), "fine");
  EXPECT_EQ(server->stats().handler_failures, 1U);
}

TEST_F(HttpServerTest, AHandlerThatThrowsInTheMiddleOfItsAnswerCutsTheConnection) {
  const auto client = serve([](const Request&, Response& res) {
    res.write(std::string(100'000, 'x'));
    throw 42;
  });
  testing::internal::CaptureStderr();
  client->send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(world.run_until([&] { return server->stats().handler_failures == 1; }));
  testing::internal::GetCapturedStderr();
  EXPECT_LT(read(*client, 1'000'000).size(), 1'000'000U);
  EXPECT_EQ(errno, ECONNRESET);
  EXPECT_EQ(open(), 0U);
}

TEST_F(HttpServerTest, AHandleDoesNothingOnceItsAnswerHasEnded) {
  std::vector<Response> old;
  const auto client = serve([&](const Request&, Response& res) {
    old.push_back(res);
    res.end("one");
    res.end("two");
    EXPECT_FALSE(res.write("three"));
    EXPECT_TRUE(res.writable_ended());
    EXPECT_FALSE(res.set_header("A", "b"));
  });
  EXPECT_EQ(ask(*client), "one");
  old.front().end("stale");
  EXPECT_EQ(ask(*client), "one");
  client->close();
  EXPECT_TRUE(world.run_until([&] { return open() == 0; }));
  old.back().end("stale");
  EXPECT_TRUE(old.back().headers_sent());
  EXPECT_EQ(old.back().status_code(), 0);
}

TEST_F(HttpServerTest, OnCloseTellsTheEndOfAnAnswerAndTheLossOfTheClient) {
  std::optional<Response> waiting;
  int closed = 0;
  const auto client = serve([&](const Request& req, Response& res) {
    res.on_close([&] { ++closed; });
    if (req.url() == "/wait")
      waiting = res;
    else
      res.end();
  });
  ask(*client);
  EXPECT_EQ(closed, 1);
  client->send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(world.run_until([&] { return waiting.has_value(); }));
  EXPECT_EQ(closed, 1);
  client->abort();
  EXPECT_TRUE(world.run_until([&] { return closed == 2; }));
  EXPECT_TRUE(waiting->writable_ended());
  EXPECT_FALSE(waiting->write("x"));
  EXPECT_EQ(open(), 0U);
}

TEST_F(HttpServerTest, AClientThatHalfClosesGetsAllItsAnswers) {
  const auto client =
      serve([&](const Request&, Response& res) { later(10ms, [res] { res.end("late"); }); });
  client->send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
  client->end();
  EXPECT_EQ(read_answer(*client).body, "late");
  EXPECT_EQ(read_answer(*client).body, "late");
  EXPECT_TRUE(client->ended());
  EXPECT_EQ(open(), 0U);
}

TEST_F(HttpServerTest, ARequestThatEndsInItsMiddleIs400) {
  const auto client = serve(hello());
  client->send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhal");
  client->end();
  EXPECT_EQ(status(read_answer(*client)), 400);
  EXPECT_TRUE(client->ended());
}

TEST_F(HttpServerTest, StreamsWithBackpressureAndLosesNothing) {
  constexpr int kChunks = 200;
  const std::string chunk(100'000, 'x');
  int sent = 0;
  int stops = 0;
  std::function<void(Response)> pump = [&](const Response& res) {
    while (sent < kChunks) {
      ++sent;
      if (res.write(chunk)) continue;
      ++stops;
      res.on_drain([&pump, res] { pump(res); });
      return;
    }
    res.end();
  };
  server.emplace(create_server(world.host, [&](const Request&, Response& res) {
    EXPECT_TRUE(res.set_header("Content-Length", std::to_string(kChunks * chunk.size())));
    pump(res);
  }));
  server->listen({"127.0.0.1", 0});
  ASSERT_TRUE(world.run_until([&] { return server->listening(); }));
  Client client{world, server->address(), 65536};
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(world.run_until([&] { return stops > 0; }));
  EXPECT_LT(sent, kChunks);
  EXPECT_EQ(read_answer(client).body.size(), kChunks * chunk.size());
  EXPECT_GT(stops, 1);
}

TEST_F(HttpServerTest, ASlowReaderHoldsUpItsOwnPipelineOnly) {
  const std::string large(500'000, 'x');
  server.emplace(create_server(world.host, [&](const Request&, Response& res) { res.end(large); }));
  server->listen({"127.0.0.1", 0});
  ASSERT_TRUE(world.run_until([&] { return server->listening(); }));
  Client slow{world, server->address(), 65536};
  std::string requests;
  for (int i = 0; i < 1000; ++i) requests += "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  slow.send(requests);
  for (int i = 0; i < 100; ++i) world.turn();
  // The system's send buffer takes some MB; the rest must not be made before there is room.
  EXPECT_LT(server->stats().requests, 40U);
  const auto other = connect();
  EXPECT_EQ(ask(*other).size(), large.size());
  std::uint64_t served = server->stats().requests;
  for (int i = 0; i < 50; ++i) EXPECT_EQ(read_answer(slow).body.size(), large.size());
  EXPECT_GT(server->stats().requests, served) << "and goes on as it reads";
}

TEST_F(HttpServerTest, ManyPipelinedRequestsCostOneReadAndOneWrite) {
  const auto client = serve(hello());
  EXPECT_EQ(ask(*client), "hello");
  std::string requests;
  for (int i = 0; i < 100; ++i) requests += "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  client->send(requests);
  sys::FailNth counter{1'000'000, 0};
  world.turn();
  EXPECT_EQ(counter.calls(), 2);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(read_answer(*client).body, "hello") << i;
}

TEST_F(HttpServerTest, ClosesAtOnceWhenTheClientAskedForIt) {
  const auto client = serve(hello());
  client->send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  const Answer answer = read_answer(*client);
  EXPECT_TRUE(closes(answer));
  EXPECT_TRUE(client->ended());
  EXPECT_EQ(open(), 0U);
}

TEST_F(HttpServerTest, WhenTheHandlerClosesLateBytesDoNotResetTheConnection) {
  const auto client = serve([](const Request&, Response& res) {
    EXPECT_TRUE(res.write_head(200, {{"Connection", "close"}}));
    res.end("bye");
  });
  client->send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /more HTTP/1.1\r\nHost: a\r\n\r\n");
  world.turn();
  client->send("GET /still HTTP/1.1\r\nHost: a\r\n\r\n");
  world.turn();
  EXPECT_EQ(read_answer(*client).body, "bye");
  EXPECT_TRUE(client->ended());
  EXPECT_EQ(server->stats().requests, 1U);
  client->close();
  EXPECT_TRUE(world.run_until([&] { return open() == 0; }));
}

TEST_F(HttpServerTest, MoreConnectionsThanAllowedWait) {
  const auto first = serve(hello());
  server->max_connections(1);
  EXPECT_EQ(ask(*first), "hello");
  const auto second = connect();
  second->send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  world.turn();
  EXPECT_EQ(open(), 1U);
  EXPECT_EQ(server->stats().connections, 1U);
  first->close();
  EXPECT_EQ(read_answer(*second).body, "hello");
}

TEST_F(HttpServerTest, ListensAgainAfterItWasClosed) {
  const auto client = serve(hello());
  client->close();
  bool closed = false;
  server->close([&] { closed = true; });
  EXPECT_FALSE(server->listening());
  EXPECT_EQ(server->address(), Address{});
  EXPECT_TRUE(world.run_until([&] { return closed; }));
  bool listening = false;
  server->listen({"127.0.0.1", 0}, [&] { listening = true; });
  EXPECT_TRUE(world.run_until([&] { return listening; }));
  EXPECT_EQ(ask(*connect()), "hello");
}

TEST_F(HttpServerTest, AServerWithoutAHandleGoesOn) {
  const auto client = serve(hello());
  const Address address = server->address();
  server.reset();
  Client other{world, address};
  EXPECT_EQ(ask(other), "hello");
  EXPECT_EQ(ask(*client), "hello");
}

TEST_F(HttpServerTest, AListenErrorGoesToTheHandlerAndTheServerMayListenElsewhere) {
  const auto client = serve(hello());
  const Server second = create_server(world.host, hello());
  std::optional<Error> error;
  second.on_error([&](const Error& reason) { error = reason; });
  second.listen(server->address());
  EXPECT_TRUE(world.run_until([&] { return error.has_value(); }));
  EXPECT_EQ(error->code.value(), EADDRINUSE);
  EXPECT_FALSE(second.listening());
  second.listen({"127.0.0.1", 0});
  EXPECT_TRUE(world.run_until([&] { return second.listening(); }));
  error.reset();
  second.listen({"127.0.0.1", 0});
  EXPECT_TRUE(world.run_until([&] { return error.has_value(); }));
  EXPECT_EQ(error->code.value(), EALREADY);
  EXPECT_TRUE(second.listening());
}

TEST_F(HttpServerTest, AListenErrorWithoutAHandlerEscapesTheLoop) {
  const auto client = serve(hello());
  create_server(world.host, hello()).listen(server->address());
  try {
    world.run_until([] { return false; });
    FAIL() << "nothing was thrown";
  } catch (const std::runtime_error& error) {
    EXPECT_EQ(std::string{error.what()}.find("listen " + to_string(server->address())), 0U)
        << error.what();
  }
}

// Timeouts.

TEST_F(HttpServerTest, SlowHeadersAre408) {
  const auto client = serve(hello(), {.headers_timeout = 30ms});
  client->send("GET / HTTP/1.1\r\nHos");
  const Answer answer = read_answer(*client);
  EXPECT_EQ(status(answer), 408);
  EXPECT_TRUE(closes(answer));
  EXPECT_TRUE(client->ended());
}

TEST_F(HttpServerTest, ASlowBodyIs408) {
  const auto client = serve(hello(), {.headers_timeout = 20ms, .request_timeout = 60ms});
  const auto start = std::chrono::steady_clock::now();
  client->send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhal");
  EXPECT_EQ(status(read_answer(*client)), 408);
  EXPECT_GE(std::chrono::steady_clock::now() - start, 60ms);
}

TEST_F(HttpServerTest, AClientThatSendsNothingIsClosedWithoutAWord) {
  const auto client = serve(hello(), {.headers_timeout = 30ms});
  EXPECT_TRUE(client->ended());
}

TEST_F(HttpServerTest, EmptyLinesDoNotKeepAConnectionOpen) {
  const auto client = serve(hello(), {.headers_timeout = 40ms, .linger_timeout = 10ms});
  const auto deadline = std::chrono::steady_clock::now() + 5s;
  world.turn();
  while (open() != 0 && std::chrono::steady_clock::now() < deadline) {
    client->send("\r\n");
    world.run_until([] { return false; }, 5ms);
  }
  EXPECT_EQ(open(), 0U);
}

TEST_F(HttpServerTest, AnIdleConnectionIsClosedAfterItsTimeAndNotBefore) {
  const auto client = serve(hello(), {.keep_alive_timeout = 50ms});
  EXPECT_EQ(ask(*client), "hello");
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(client->ended());
  EXPECT_GE(std::chrono::steady_clock::now() - start, 50ms);
}

TEST_F(HttpServerTest, AHandlerMayTakeItsTime) {
  const auto client =
      serve([&](const Request&, Response& res) { later(200ms, [res] { res.end("at last"); }); },
            {.headers_timeout = 20ms, .request_timeout = 20ms, .keep_alive_timeout = 20ms});
  EXPECT_EQ(ask(*client), "at last");
}

TEST_F(HttpServerTest, AClientThatTakesNothingIsCutOff) {
  server.emplace(create_server(
      world.host, [](const Request&, Response& res) { res.end(std::string(30'000'000, 'x')); },
      {.send_timeout = 50ms}));
  server->listen({"127.0.0.1", 0});
  ASSERT_TRUE(world.run_until([&] { return server->listening(); }));
  Client client{world, server->address(), 4096};
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(world.run_until([&] { return server->stats().requests == 1; }));
  EXPECT_TRUE(world.run_until([&] { return open() == 0; }));
}

TEST_F(HttpServerTest, AServerAtRestDoesNotWakeUp) {
  const auto client = serve(hello(), {.keep_alive_timeout = 20ms});
  ask(*client);
  client->close();
  EXPECT_TRUE(world.run_until([&] { return open() == 0; }));
  world.run_until([] { return false; }, 60ms);  // the clock's last tick
  world.io.restart();
  EXPECT_EQ(world.io.run_for(200ms), 0U) << "handlers that ran";
}

// The end.

TEST_F(HttpServerTest, CloseFinishesTheRequestInProgress) {
  std::optional<Response> waiting;
  const auto client = serve([&](const Request&, Response& res) { waiting = res; });
  const Address address = server->address();
  client->send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(world.run_until([&] { return waiting.has_value(); }));
  int closed = 0;
  server->close([&] { ++closed; });
  world.run_until([] { return false; }, 50ms);
  EXPECT_EQ(closed, 0);
  Client late{world, address};
  EXPECT_FALSE(late.connected());
  waiting->end("done");
  const Answer answer = read_answer(*client);
  EXPECT_EQ(answer.body, "done");
  EXPECT_TRUE(closes(answer));
  EXPECT_TRUE(client->ended());
  client->close();
  EXPECT_TRUE(world.run_until([&] { return closed == 1; }));
}

TEST_F(HttpServerTest, CloseAnswersTheNextRequestOfAnIdleConnection) {
  const auto idle = serve(hello(), {.drain_quiet = 5s});
  EXPECT_EQ(ask(*idle), "hello");
  const auto fresh = connect();
  world.turn();
  bool closed = false;
  server->close([&] { closed = true; });
  world.run_until([] { return false; }, 50ms);
  EXPECT_FALSE(closed);
  for (Client* client : {idle.get(), fresh.get()}) {
    client->send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const Answer answer = read_answer(*client);
    EXPECT_EQ(answer.body, "hello");
    EXPECT_TRUE(closes(answer));
    EXPECT_TRUE(client->ended());
    client->close();
  }
  EXPECT_TRUE(world.run_until([&] { return closed; }, 2s));
}

TEST_F(HttpServerTest, CloseEndsQuietConnectionsAfterTheWindow) {
  const auto client = serve(hello(), {.drain_quiet = 60ms});
  EXPECT_EQ(ask(*client), "hello");
  const auto start = std::chrono::steady_clock::now();
  bool closed = false;
  server->close([&] { closed = true; });
  EXPECT_TRUE(client->ended());
  EXPECT_GE(std::chrono::steady_clock::now() - start, 60ms);
  client->close();
  EXPECT_TRUE(world.run_until([&] { return closed; }));
}

TEST_F(HttpServerTest, CloseDoesNotWaitForAClientThatStaysForEver) {
  const auto client = serve(hello(), {.drain_quiet = 20ms, .linger_timeout = 20ms});
  EXPECT_EQ(ask(*client), "hello");
  bool closed = false;
  server->close([&] { closed = true; });
  EXPECT_TRUE(world.run_until([&] { return closed; }, 2s));
}

TEST_F(HttpServerTest, DrainingTheHostEndsOnceAndCountsEveryServer) {
  const auto client = serve(hello(), {.drain_quiet = 20ms, .linger_timeout = 20ms});
  create_server(world.host, hello()).listen({"127.0.0.1", 0});
  EXPECT_EQ(ask(*client), "hello");
  int drained = 0;
  world.host.drain([&] { ++drained; });
  EXPECT_TRUE(world.run_until([&] { return drained > 0; }));
  world.run_until([] { return false; }, 50ms);
  EXPECT_EQ(drained, 1);
  EXPECT_EQ(open(), 0U);
}

TEST_F(HttpServerTest, ServesAConnectionThatWasGivenToItFromItsHeadOn) {
  serve(hello());
  const net::Server front = net::create_server(world.host, [&](const net::Socket& socket) {
    socket.on_data(
        [this, socket](std::string_view data) { server->adopt(socket.release(data).value()); });
  });
  front.listen({"127.0.0.1", 0});
  EXPECT_TRUE(world.run_until([&] { return front.listening(); }));
  Client client{world, front.address()};
  EXPECT_EQ(ask(client), "hello") << "read by the other one";
  EXPECT_EQ(ask(client), "hello") << "its own";

  const Server silent = create_server(world.host, hello());
  net::Server second = net::create_server(
      world.host, [&](const net::Socket& socket) { silent.adopt(socket.release().value()); });
  second.listen({"127.0.0.1", 0});
  EXPECT_TRUE(world.run_until([&] { return second.listening(); }));
  Client other{world, second.address()};
  EXPECT_EQ(ask(other), "hello") << "of a server that does not listen";
}

TEST_F(HttpServerTest, AHostThatEndsClosesItAndDropsItsHandlers) {
  const auto token = std::make_shared<int>();
  std::optional<Response> waiting;
  const auto client = serve([&, token](const Request&, Response& res) {
    res.on_close([token] { ADD_FAILURE() << "nothing is called back"; });
    waiting = res;
  });
  server->on_error([token, own = *server](const Error&) {});
  client->send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(world.run_until([&] { return waiting.has_value(); }));
  world.host.abandon();
  EXPECT_EQ(token.use_count(), 1);
  EXPECT_FALSE(server->listening());
  EXPECT_EQ(open(), 0U);
  waiting->end("too late");
  EXPECT_EQ(read(*client, 1), "");
  EXPECT_EQ(errno, 0) << "the end";
}

TEST_F(HttpServerTest, NothingIsLeftWhenTheLoopGoesAwayInTheMiddle) {
  std::optional<Response> waiting;
  const auto client = serve([&](const Request&, Response& res) { waiting = res; });
  client->send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(world.run_until([&] { return waiting.has_value(); }));
  // The fixture destroys the loop; the address sanitizer sees what leaks or dangles.
  auto other = std::make_unique<World>();
  Server kept = create_server(other->host, hello());
  kept.listen({"127.0.0.1", 0});
  EXPECT_TRUE(other->run_until([&] { return kept.listening(); }));
  Client orphan{*other, kept.address()};
  orphan.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(orphan.read(8), "HTTP/1.1");
  other.reset();
  EXPECT_EQ(kept.stats().connections_open, 0U);
}

TEST_F(HttpServerTest, EveryFailureOfTheSystemIsSurvived) {
  // The N-th system call of an exchange fails, for every N: the next exchange works.
  serve(hello());
  for (const int reason : {EIO, ENOMEM, ECONNRESET}) {
    bool fired = true;
    for (int n = 0; fired; ++n) {
      ASSERT_LT(n, 100);
      Client client{world, server->address()};
      client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
      {
        sys::FailNth fail{n, reason};
        world.turn();
        fired = fail.fired();
      }
      client.close();
      EXPECT_TRUE(world.run_until([&] { return open() == 0; }));
    }
  }
  EXPECT_EQ(ask(*connect()), "hello");
}

}  // namespace
}  // namespace cohort::http
