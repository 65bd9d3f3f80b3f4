// What a Response tells its user, and when.
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "cohort/http.h"
#include "http/server_fixture_test.h"

namespace cohort::http {
namespace {

using namespace std::chrono_literals;
using test::Answer;
using ResponseTest = test::HttpServerTest;

TEST_F(ResponseTest, EveryOnCloseIsCalledOnceInTheirOrderAndLateOnesInTheNextTurn) {
  std::string called;
  std::optional<Response> answer;
  const auto client = serve([&](const Request&, Response& res) {
    answer = res;
    res.on_close([&] { called += 'a'; });
    res.on_close([&, res] {
      called += 'b';
      res.on_close([&] { called += 'c'; });
    });
    res.end("hello");
    EXPECT_EQ(called, "ab");
    res.on_close([&] { called += 'd'; });
    EXPECT_EQ(called, "ab");
  });
  EXPECT_EQ(ask(*client), "hello");
  EXPECT_TRUE(world.run_until([&] { return called.size() == 4; }));
  EXPECT_EQ(called, "abcd");
  client->close();
  EXPECT_TRUE(world.run_until([&] { return open() == 0; }));
  answer->on_close([&] { called += 'e'; });
  EXPECT_EQ(called, "abcd");
  EXPECT_TRUE(world.run_until([&] { return called == "abcde"; })) << "its connection is gone";
}

TEST_F(ResponseTest, EveryOnCloseHearsThatTheClientIsGone) {
  std::string called;
  const auto client = serve([&](const Request&, Response& res) {
    res.on_close([&] { called += 'a'; });
    res.on_close([&] { called += 'b'; });
  });
  client->send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(world.run_until([&] { return server->stats().requests == 1; }));
  client->abort();
  EXPECT_TRUE(world.run_until([&] { return called == "ab"; }));
}

TEST_F(ResponseTest, EveryOnDrainIsCalledOnceWhenNothingWaitsAnyMore) {
  std::string called;
  std::optional<Response> answer;
  const std::string much(16'000'000, 'x');
  const auto client = serve([&](const Request&, Response& res) {
    answer = res;
    EXPECT_TRUE(res.set_header("Content-Length", std::to_string(2 * much.size())));
    res.on_drain([&] { called += 'a'; });
    EXPECT_FALSE(res.write(much));
    res.on_drain([&] { called += 'b'; });
  });
  client->send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(world.run_until([&] { return answer.has_value(); }));
  world.turn();
  EXPECT_EQ(called, "");
  read(*client, much.size());
  EXPECT_TRUE(world.run_until([&] { return called == "ab"; }));
  answer->on_drain([&] { called += 'c'; });
  world.turn();
  EXPECT_EQ(called, "ab") << "for the next write";
  EXPECT_FALSE(answer->write(much));
  answer->end();
  answer->on_drain([&] { called += 'd'; });
  world.turn();
  EXPECT_EQ(called, "ab");
  read(*client, much.size());
  EXPECT_TRUE(world.run_until([&] { return called == "abcd"; }));
  answer->on_drain([&] { called += 'e'; });
  EXPECT_EQ(called, "abcd");
  EXPECT_TRUE(world.run_until([&] { return called == "abcde"; }));
}

TEST_F(ResponseTest, AStatusThatNoAnswerHasIsA500AndANotice) {
  int wanted = 0;
  const auto client = serve([&](const Request&, Response& res) {
    res.status_code(wanted);
    EXPECT_EQ(res.status_code(), 500);
    res.end("body");
  });
  for (const int status_code : {100, 101, 102, 103, 199, 1000, 99, 0, -1}) {
    wanted = status_code;
    testing::internal::CaptureStderr();
    client->send("GET /it HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(status(read_answer(*client)), 500);
    EXPECT_EQ(testing::internal::GetCapturedStderr(),
              "cohort: GET /it: status_code(" + std::to_string(status_code) +
                  "): the status of an answer is a number of 200 to 999; answered 500\n");
  }
}

// Its request's bytes may be another's by then.
TEST_F(ResponseTest, ALateStatusThatNoAnswerHasIsReportedWithoutItsRequest) {
  std::optional<Response> late;
  const auto client = serve([&](const Request&, Response& res) { late = res; });
  client->send("GET /a/secret HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(world.run_until([&] { return late.has_value(); }));
  testing::internal::CaptureStderr();
  late->status_code(101);
  late->end("body");
  EXPECT_EQ(status(read_answer(*client)), 500);
  world.turn();
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "cohort: status_code(101): the status of an answer is a number of 200 to 999; answered "
            "500\n");
}

TEST_F(ResponseTest, WriteHeadReturnsTheSameAsAnError) {
  std::string error;
  const auto client = serve([&](const Request&, Response& res) {
    if (const auto written = res.write_head(101); !written) error = written.error().message();
    res.status_code(101);  // the head is fixed: nothing more to say
    res.end("body");
  });
  testing::internal::CaptureStderr();
  client->send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(status(read_answer(*client)), 500);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_NE(error.find("write head 101"), std::string::npos) << error;
}

TEST_F(ResponseTest, ALaterStatusReplacesOneThatCouldNotBe) {
  const auto client = serve([&](const Request&, Response& res) {
    res.status_code(101);
    res.status_code(404);
    res.end("body");
  });
  testing::internal::CaptureStderr();
  client->send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(status(read_answer(*client)), 404);
  testing::internal::GetCapturedStderr();
}

TEST_F(ResponseTest, AThousandHeadersAreTakenAndOneMoreIsNot) {
  const auto client = serve(
      [&](const Request& req, Response& res) { res.end(std::to_string(req.headers().size())); });
  const auto with_headers = [](int count) {
    std::string request = "GET / HTTP/1.1\r\nHost: a\r\n";
    for (int i = 1; i < count; ++i) request += "a:b\r\n";
    return request + "\r\n";
  };
  for (const int count : {200, 1000}) {
    client->send(with_headers(count));
    EXPECT_EQ(read_answer(*client).body, std::to_string(count));
  }
  client->send(with_headers(1001));
  EXPECT_EQ(status(read_answer(*client)), 431);
}

TEST_F(ResponseTest, WithoutALimitThereAreAsManyHeadersAsFit) {
  const auto client = serve(
      [&](const Request& req, Response& res) { res.end(std::to_string(req.headers().size())); },
      {.header_count_max = 0});
  std::string request = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 1; i < 2001; ++i) request += "a:b\r\n";
  client->send(request + "\r\n");
  EXPECT_EQ(read_answer(*client).body, "2001");
}

TEST_F(ResponseTest, APlainIoContextServes) {
  auto plain = create_server(world.io, hello());
  plain.listen({"127.0.0.1", 0});
  EXPECT_TRUE(world.run_until([&] { return plain.listening(); }));
  net::test::Client client{world, plain.address()};
  EXPECT_EQ(ask(client), "hello");
  client.close();
  bool closed = false;
  plain.close([&] { closed = true; });
  EXPECT_TRUE(world.run_until([&] { return closed; }));
}

}  // namespace
}  // namespace cohort::http
