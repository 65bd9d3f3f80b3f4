// Connections over socket pairs, without a server. Time passes only when a test says so.
#include "http/connection.h"

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "http/socket_pair_test.h"
#include "net/test_world.h"

namespace cohort::http {
namespace {

const std::string kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

std::string get(const std::string& url) { return "GET " + url + " HTTP/1.1\r\nHost: a\r\n\r\n"; }

struct Owner final : ServiceOwner {
  bool ending() const override { return ends; }
  bool takes_back() const override { return takes; }
  void give_back(OwnFd connection) override { given = std::move(connection); }
  void has_room() override { ++left; }
  void connection_ended() override { ++ended; }

  bool ends = false;
  bool takes = false;
  OwnFd given;
  int left = 0;
  int ended = 0;
};

class ConnectionTest : public testing::Test {
 protected:
  void open(test::SocketPair pair, Handler handler, const ServerOptions& options = {},
            std::string_view head = {}) {
    service = std::make_shared<Service>(owner, world.loop, std::move(handler), options);
    service->publish_to(load);
    client = std::move(pair.client);
    // No Service::serve: it would start the clock.
    const auto connection = std::make_shared<Connection>(service, std::move(pair.ours));
    connection->start(head);
    watched = connection;
  }
  /// Its handler answers "/x" with "x", but keeps those to "/later" in `waiting`.
  void open(const ServerOptions& options = {}) { open(test::unix_pair(), handler(), options); }
  Handler handler() {
    return [this](const Request& req, Response& res) {
      urls.emplace_back(req.url());
      if (req.url() != "/later") return res.end(req.url().substr(1));
      res.on_close([this] { ++gone; });
      waiting = res;
    };
  }

  /// What the client gets for `bytes` at once: each answer's status and body, as "200 x, ".
  std::string ask(std::string_view bytes) {
    EXPECT_EQ(test::send_some(client, bytes), bytes.size());
    return answers();
  }
  std::string answers() {
    world.turn();
    std::string text = test::read_all(client);
    const int error = errno;
    std::string all;
    while (text.starts_with("HTTP/1.1 ")) {
      const std::size_t length = text.find("Content-Length: ");
      const std::size_t body = text.find("\r\n\r\n") + 4;
      const std::size_t size = std::stoul(text.substr(length + 16));
      all += text.substr(9, 3) + ' ' + text.substr(body, size) + ", ";
      text.erase(0, body + size);
    }
    errno = error;
    return all + text;
  }
  /// The client has seen the end, and no reset.
  bool client_sees_the_end() { return answers().empty() && errno == 0; }
  void pass(std::uint32_t ticks) {
    for (std::uint32_t i = 0; i < ticks; ++i) service->tick();
    world.turn();
  }
  const Ticks& ticks() const { return service->settings().ticks; }
  bool is_open() const { return service->size() == 1; }
  std::uint32_t in_flight() const { return net::Load::get(load->in_flight); }
  std::uint64_t answered() const { return net::Load::get(load->requests); }
  void drain() {
    owner.ends = true;
    service->drain();
  }

  Owner owner;
  net::test::World world;
  std::shared_ptr<net::Load> load = std::make_shared<net::Load>();
  std::shared_ptr<Service> service;
  OwnFd client;
  std::weak_ptr<Connection> watched;
  std::vector<std::string> urls;
  std::optional<Response> waiting;
  int gone = 0;
};

TEST_F(ConnectionTest, ServesWhatWasReadBeforeItBegan) {
  open(test::unix_pair(), handler(), {}, get("/a") + "GET /");
  EXPECT_EQ(answers(), "200 a, ");
  EXPECT_EQ(ask("b HTTP/1.1\r\nHost: a\r\n\r\n"), "200 b, ");
}

TEST_F(ConnectionTest, ARequestCostsOneReceiveAndOneSend) {
  open();
  EXPECT_EQ(ask(get("/a")), "200 a, ");
  test::send_some(client, get("/b"));
  {
    const sys::FailNth counter{1'000'000, 0};
    world.turn();
    EXPECT_EQ(counter.calls(), 2);
  }
  EXPECT_EQ(answers(), "200 b, ");
}

TEST_F(ConnectionTest, IsInFlightFromARequestsFirstByteToItsAnswersLast) {
  open();
  EXPECT_EQ(in_flight(), 0U);
  EXPECT_EQ(ask("GET /la"), "");
  EXPECT_EQ(in_flight(), 1U);
  EXPECT_EQ(ask("ter HTTP/1.1\r\nHost: a\r\n\r\n"), "");
  EXPECT_EQ(in_flight(), 1U);
  const std::string much(4'000'000, 'x');
  waiting->end(much);
  EXPECT_EQ(in_flight(), 1U) << "its reader is slow";
  std::string all;
  while (all.size() < much.size()) {
    all += test::read_all(client);
    world.turn();
  }
  EXPECT_EQ(in_flight(), 0U);
  EXPECT_TRUE(is_open());
}

TEST_F(ConnectionTest, CountsTheRequestsThatItHasAnswered) {
  open();
  EXPECT_EQ(net::Load::get(load->counts_requests), 1U);
  EXPECT_EQ(ask(get("/a") + get("/b")), "200 a, 200 b, ");
  EXPECT_EQ(answered(), 2U);
  EXPECT_EQ(ask(get("/later")), "");
  EXPECT_EQ(answered(), 2U) << "not yet";
  waiting->end("late");
  EXPECT_EQ(answers(), "200 late, ");
  EXPECT_EQ(answered(), 3U);
  EXPECT_EQ(ask("no request\r\n\r\n").substr(0, 3), "400");
  EXPECT_EQ(answered(), 3U);
}

TEST_F(ConnectionTest, RequestsBehindASlowAnswerHaveATurnOfTheirOwn) {
  open();
  EXPECT_EQ(ask(get("/later") + get("/a")), "");
  EXPECT_EQ(ask(get("/b")), "") << "it arrives later";
  EXPECT_EQ(urls.size(), 1U);
  waiting->end("late");
  EXPECT_EQ(urls.size(), 1U) << "not inside of end()";
  EXPECT_EQ(answers(), "200 late, 200 a, 200 b, ");
  EXPECT_EQ(ask(get("/c")), "200 c, ");
}

TEST_F(ConnectionTest, WhatArrivesBeforeThatTurnKeepsItsPlace) {
  open();
  EXPECT_EQ(ask(get("/later") + get("/a")), "");
  test::send_some(client, get("/b"));  // noticed in the turn in which it is answered
  waiting->end("late");
  EXPECT_EQ(answers(), "200 late, 200 a, 200 b, ");
}

TEST_F(ConnectionTest, RequestsBehindASlowReaderWaitUntilItReads) {
  const std::string much(1'000'000, 'x');
  open(test::unix_pair(), [&](const Request&, Response& res) { res.end(much); });
  std::string requests;
  for (int i = 0; i < 20; ++i) requests += kGet;
  test::send_some(client, requests);
  world.turn();
  EXPECT_EQ(service->stats().requests, 1U);
  std::size_t size = 0;
  for (int i = 0; i < 10'000 && service->stats().requests < 20; ++i) {
    size += test::read_all(client).size();
    world.turn();
  }
  EXPECT_EQ(service->stats().requests, 20U);
  EXPECT_GT(size, 18 * much.size()) << "an answer is made when those before it were taken";
}

// The client's end.

TEST_F(ConnectionTest, AClientThatEndsItsSideGetsWhatItAskedForAndThenTheEnd) {
  open();
  test::send_some(client, get("/later") + get("/a"));
  sys::shutdown(client.get(), SHUT_WR);
  EXPECT_EQ(answers(), "");
  waiting->end("late");
  EXPECT_EQ(answers(), "200 late, 200 a, ");
  EXPECT_TRUE(client_sees_the_end());
  EXPECT_TRUE(watched.expired());
}

TEST_F(ConnectionTest, AClientThatEndedItsSideCountsAsGoneAfterItsTime) {
  open();
  test::send_some(client, get("/later"));
  sys::shutdown(client.get(), SHUT_WR);
  world.turn();
  pass(ticks().half_close - 1);
  EXPECT_EQ(gone, 0);
  pass(1);
  EXPECT_EQ(gone, 1);
  EXPECT_TRUE(waiting->writable_ended());
  EXPECT_TRUE(watched.expired());
}

TEST_F(ConnectionTest, WithoutThatTimeItIsGoneAtOnceAndItsAnswerIsCut) {
  open(test::tcp_pair(), handler(), {.half_close_timeout = std::chrono::milliseconds{0}});
  test::send_some(client, get("/a") + get("/later"));
  sys::shutdown(client.get(), SHUT_WR);
  world.turn();
  EXPECT_EQ(gone, 1);
  EXPECT_EQ(service->size(), 0U);
  test::read_all(client);
  EXPECT_EQ(errno, ECONNRESET);
}

TEST_F(ConnectionTest, AnEndBehindMoreThanIsReadAheadIsSeenByTheClock) {
  open();
  test::send_some(client, get("/later"));
  world.turn();
  std::string many;
  while (many.size() < 300'000) many += kGet;
  std::size_t sent = 0;
  for (int i = 0; i < 100; ++i) {
    sent += test::send_some(client, std::string_view{many}.substr(sent));
    world.turn();
  }
  EXPECT_LT(sent, many.size()) << "it is not read without end";
  sys::shutdown(client.get(), SHUT_WR);
  pass(1);
  pass(ticks().half_close - 1);
  EXPECT_EQ(gone, 0);
  pass(1);
  EXPECT_EQ(gone, 1);
}

TEST_F(ConnectionTest, AHalfRequestAtTheEndIs400AndNothingIsTheEnd) {
  open();
  test::send_some(client, get("/a") + "GET /b");
  sys::shutdown(client.get(), SHUT_WR);
  EXPECT_EQ(answers(), "200 a, 400 Bad Request\n, ");
  EXPECT_TRUE(client_sees_the_end());
  open();
  sys::shutdown(client.get(), SHUT_WR);
  EXPECT_TRUE(client_sees_the_end());
  EXPECT_EQ(service->stats().refused, 0U);
}

TEST_F(ConnectionTest, AClientThatHangsUpWhileItsAnswerIsAwaitedIsNoticed) {
  open();
  EXPECT_EQ(ask(get("/later")), "");
  EXPECT_EQ(in_flight(), 1U);
  client.reset();
  world.turn();
  EXPECT_EQ(gone, 1);
  EXPECT_EQ(in_flight(), 0U);
  EXPECT_EQ(owner.left, 1);
  EXPECT_EQ(owner.ended, 1);
}

TEST_F(ConnectionTest, OverTcpWhatIsSentShowsThatItIsGone) {
  open(test::tcp_pair(), handler());
  EXPECT_EQ(ask(get("/later")), "");
  client.reset();
  world.turn();
  EXPECT_EQ(gone, 0) << "it may have ended its side only";
  waiting->write("x");
  world.turn();
  EXPECT_EQ(gone, 1);
}

// Its own end.

TEST_F(ConnectionTest, ClosesAtOnceIfTheClientSaidThatItSendsNoMore) {
  open();
  EXPECT_EQ(ask("GET /a HTTP/1.0\r\n\r\n"), "200 a, ");
  EXPECT_EQ(errno, 0) << "the end";
  EXPECT_TRUE(watched.expired());
}

TEST_F(ConnectionTest, LingersIfTheClientMaySendMore) {
  open(test::tcp_pair(), [](const Request&, Response& res) {
    EXPECT_TRUE(res.set_header("Connection", "close"));
    res.end("bye");
  });
  EXPECT_EQ(ask(kGet + kGet), "200 bye, ");
  EXPECT_EQ(errno, 0);
  EXPECT_TRUE(is_open());
  EXPECT_EQ(ask(kGet), "") << "thrown away";
  EXPECT_EQ(errno, 0) << "and no reset";
  EXPECT_EQ(service->stats().requests, 1U);
  pass(ticks().linger - 1);
  EXPECT_TRUE(is_open());
  pass(1);
  EXPECT_TRUE(watched.expired());
}

TEST_F(ConnectionTest, LingersForSoManyBytesOnly) {
  open();
  EXPECT_EQ(ask("what?\r\n\r\n"), "400 Bad Request\n, ");
  const std::string flood(100'000, 'x');
  std::size_t sent = 0;
  for (int i = 0; i < 1000 && is_open(); ++i) {
    sent += test::send_some(client, flood);
    world.turn();
  }
  EXPECT_FALSE(is_open());
  EXPECT_GT(sent, 8U * 1024 * 1024);
}

TEST_F(ConnectionTest, AHandlerThatFailsInItsAnswersMiddleCutsIt) {
  open(test::tcp_pair(), [](const Request&, Response& res) {
    res.write("some");
    throw std::runtime_error{"broken"};
  });
  testing::internal::CaptureStderr();
  test::send_some(client, kGet);
  world.turn();
  testing::internal::GetCapturedStderr();
  test::read_all(client);
  EXPECT_EQ(errno, ECONNRESET);
  EXPECT_TRUE(watched.expired());
}

TEST_F(ConnectionTest, AnAbandonedOneTellsNobody) {
  open();
  EXPECT_EQ(ask(get("/later")), "");
  service->abandon();
  EXPECT_TRUE(client_sees_the_end());
  EXPECT_EQ(gone, 0);
  EXPECT_TRUE(waiting->writable_ended());
}

TEST_F(ConnectionTest, LeavesWhenTheLoopIsGone) {
  auto other = std::make_unique<net::test::World>();
  auto pair = test::unix_pair();
  const auto lone =
      std::make_shared<Service>(owner, other->loop, Handler{handler()}, ServerOptions{});
  Service::serve(lone, std::move(pair.ours));
  other->turn();
  other.reset();
  EXPECT_EQ(lone->size(), 0U);
  EXPECT_EQ(owner.left, 1);
  EXPECT_EQ(owner.ended, 0) << "nobody can be told";
}

// Time.

TEST_F(ConnectionTest, EveryWaitHasItsTime) {
  struct Case {
    const char* sent;
    std::uint32_t Ticks::* time;
    const char* answer;
  };
  const Case cases[] = {
      {"", &Ticks::headers, ""},
      {"GET / HT", &Ticks::headers, "408 Request Timeout\n, "},
      {"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx", &Ticks::request,
       "408 Request Timeout\n, "},
      {"GET /a HTTP/1.1\r\nHost: a\r\n\r\n", &Ticks::keep_alive, ""},
      {"GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET / HT", &Ticks::headers, "408 Request Timeout\n, "},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.sent);
    open();
    ask(one.sent);
    pass(ticks().*one.time - 1);
    EXPECT_EQ(answers(), "");
    EXPECT_EQ(errno, EAGAIN);
    pass(1);
    EXPECT_EQ(answers(), one.answer);
    EXPECT_EQ(errno, 0) << "the end";
    EXPECT_TRUE(is_open()) << "it lingers";
    pass(ticks().linger);
    EXPECT_TRUE(watched.expired());
  }
}

TEST_F(ConnectionTest, AnAnswerMayTakeAnyTimeAndItsReaderMayNot) {
  open();
  EXPECT_EQ(ask(get("/later")), "");
  pass(10'000);
  ASSERT_TRUE(is_open());
  waiting->end(std::string(4'000'000, 'x'));
  pass(ticks().send - 1);
  EXPECT_GT(test::read_all(client).size(), 0U);
  world.turn();
  pass(ticks().send - 1);
  EXPECT_TRUE(is_open()) << "it took some";
  pass(1);
  EXPECT_TRUE(watched.expired());
}

TEST_F(ConnectionTest, WhatHasArrivedIsInTime) {
  open();
  EXPECT_EQ(ask(get("/a")), "200 a, ");
  for (std::uint32_t i = 1; i < ticks().keep_alive; ++i) service->tick();
  test::send_some(client, get("/b"));
  service->tick();  // before the loop has seen it
  EXPECT_EQ(answers(), "200 b, ");
  EXPECT_EQ(errno, EAGAIN);
}

// The server ends.

TEST_F(ConnectionTest, AnIdleOneIsGivenBackWithWhatNobodyRead) {
  open();
  EXPECT_EQ(ask(get("/a")), "200 a, ");
  owner.takes = true;
  test::send_some(client, get("/b"));
  drain();
  ASSERT_TRUE(owner.given);
  world.turn();
  EXPECT_TRUE(watched.expired());
  EXPECT_EQ(owner.ended, 1);
  EXPECT_EQ(urls.size(), 1U);
  EXPECT_EQ(test::read_all(owner.given), get("/b"));
  EXPECT_EQ(test::send_some(owner.given, "HTTP/1.1 "), 9U) << "it is open";
}

TEST_F(ConnectionTest, OneWithSomethingUnderWayIsNotGivenBackButItsNextAnswerIsItsLast) {
  for (const std::string& under_way : {get("/later"), std::string{"GET /b"}}) {
    open();
    owner.takes = true;
    EXPECT_EQ(ask(under_way), "");
    drain();
    EXPECT_FALSE(owner.given);
    if (waiting)
      waiting->end("b");
    else
      test::send_some(client, " HTTP/1.1\r\nHost: a\r\n\r\n");
    waiting.reset();
    EXPECT_EQ(answers(), "200 b, ");
    EXPECT_EQ(errno, 0) << "the end";
    owner.ends = false;
  }
}

TEST_F(ConnectionTest, OneThatNobodyTakesHasItsQuietTime) {
  open();
  EXPECT_EQ(ask(get("/a")), "200 a, ");
  pass(ticks().keep_alive - 1);
  drain();
  pass(ticks().drain_quiet - 1);
  EXPECT_EQ(ask(get("/b")), "200 b, ");
  EXPECT_EQ(errno, 0);
  open();
  drain();
  pass(ticks().drain_quiet);
  EXPECT_TRUE(client_sees_the_end());
}

TEST_F(ConnectionTest, AServerThatEndsInAHandlerLosesNoRequestBehindIt) {
  owner.takes = true;
  open(test::unix_pair(), [&](const Request& req, Response& res) {
    const std::string large(Connection::kHighWater, 'x');
    urls.emplace_back(req.url());
    if (req.url() == "/b") return res.end("b");
    // All of the answer is sent: the connection looks idle, but for the handler on the stack.
    EXPECT_TRUE(res.set_header("Content-Length", std::to_string(large.size())));
    res.write(large);
    res.end();
    drain();
  });
  EXPECT_EQ(ask(get("/a") + get("/b")),
            "200 " + std::string(Connection::kHighWater, 'x') + ", 200 b, ");
  EXPECT_FALSE(owner.given);
}

TEST_F(ConnectionTest, WhicheverCallFailsItEndsOrGoesOn) {
  for (const int reason : {EIO, ENOMEM, EAGAIN}) {
    bool fired = true;
    for (int n = 0; fired; ++n) {
      ASSERT_LT(n, 100);
      auto pair = test::unix_pair();
      sys::FailNth fail{n, reason};
      open(std::move(pair), handler());
      test::send_some(client, get("/a"));
      world.turn();
      fired = fail.fired();
      EXPECT_TRUE(is_open() || watched.expired());
      if (is_open()) service->abandon();
    }
  }
}

}  // namespace
}  // namespace cohort::http
