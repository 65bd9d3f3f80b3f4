// Calls against peers that are this test.
#include "ipc/calls.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <stdexcept>

#include "ipc/peer_fixture_test.h"

namespace cohort::ipc {
namespace {

using namespace std::chrono_literals;

class CallsTest : public testing::Test {
 protected:
  ~CallsTest() override { calls->abandon(); }

  bool receive(TestPeer& from, const char* text) { return calls->take(*from, *parse_json(text)); }
  void call(TestPeer& to, const CallOptions& options = {}) {
    calls->call(*to, "add", {1, 2}, options, [this](Result<Value> result) {
      outcomes.push_back(result ? to_json(*result) : result.error().message());
    });
  }

  boost::asio::io_context io;
  Loop loop{io, io.get_executor()};
  std::shared_ptr<Calls> calls = std::make_shared<Calls>(loop);
  TestPeer one{io, loop, calls, 1};
  TestPeer two{io, loop, calls, 2};
  std::vector<std::string> outcomes;
  using Lines = std::vector<std::string>;
};

TEST_F(CallsTest, AnAnswerEndsTheCallThatItBelongsTo) {
  call(one);
  call(two);
  EXPECT_EQ(one.sent(), (Lines{R"({"jsonrpc":"2.0","method":"add","params":[1,2],"id":1})"}));
  EXPECT_TRUE(calls->waits());
  EXPECT_TRUE(receive(two, R"({"jsonrpc":"2.0","id":2,"result":3})"));
  EXPECT_EQ(outcomes, (Lines{"3"}));
  EXPECT_TRUE(receive(one, R"({"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"no"}})"));
  EXPECT_EQ(outcomes.back(), "call add: the method failed (no)");
  EXPECT_FALSE(calls->waits());
}

TEST_F(CallsTest, APeerCannotAnswerForAnother) {
  call(one);
  EXPECT_TRUE(receive(two, R"({"jsonrpc":"2.0","id":1,"result":"forged"})"));
  EXPECT_TRUE(outcomes.empty());
}

TEST_F(CallsTest, AnAnswerThatNobodyAskedForIsAMessageAndALateOneIsDropped) {
  EXPECT_FALSE(receive(one, R"({"jsonrpc":"2.0","id":1,"result":3})"));
  call(one);
  calls->cancel(1);
  EXPECT_TRUE(receive(one, R"({"jsonrpc":"2.0","id":1,"result":3})"));
  EXPECT_EQ(outcomes, (Lines{"call add: operation canceled"}));
  EXPECT_EQ(one.sent().back(), R"({"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":1}})");
}

TEST_F(CallsTest, AMissingMethodIsItsOwnError) {
  call(one);
  receive(one, R"({"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"there is no add"}})");
  EXPECT_EQ(outcomes, (Lines{"call add: no such method (there is no add)"}));
}

TEST_F(CallsTest, TimeIsLimited) {
  call(one, {.timeout = 5ms});
  io.run();
  EXPECT_EQ(outcomes, (Lines{"call add: timed out (no answer in 5 ms)"}));
  EXPECT_EQ(one.sent().size(), 2U) << "the call, and that it is cancelled";
}

TEST_F(CallsTest, APeerThatGoesFailsItsCallsOnly) {
  call(one);
  call(two);
  calls->peer_gone(*one);
  EXPECT_EQ(outcomes, (Lines{"call add: channel closed (peer 1 is gone)"}));
  receive(two, R"({"jsonrpc":"2.0","id":2,"result":3})");
  EXPECT_EQ(outcomes.back(), "3");
}

TEST_F(CallsTest, ACallOfAPeerThatIsGoneFailsLater) {
  one->abandon();
  call(one);
  EXPECT_TRUE(outcomes.empty());
  io.run();
  EXPECT_EQ(outcomes, (Lines{"call add: channel closed"}));
}

TEST_F(CallsTest, RequestsAreAnsweredOnceInWhateverWayTheyAreHandled) {
  std::optional<Reply> later;
  calls->handle("now", [](const Value& n, const Reply& reply) {
    reply(n[0].number_or(0) + reply.caller());
    reply("again");
  });
  calls->handle("later", [&](const Value&, Reply reply) { later = std::move(reply); });
  calls->handle("never", [](const Value&, const Reply&) {});
  calls->handle("throws", [](const Value&, const Reply&) { throw std::runtime_error{"oh"}; });
  for (const char* request : {R"({"jsonrpc":"2.0","method":"now","params":[40],"id":1})",
                              R"({"jsonrpc":"2.0","method":"later","id":"b"})",
                              R"({"jsonrpc":"2.0","method":"never","id":3})",
                              R"({"jsonrpc":"2.0","method":"throws","id":4})",
                              R"({"jsonrpc":"2.0","method":"unknown","id":5})"})
    EXPECT_TRUE(receive(two, request)) << request;
  ASSERT_TRUE(later);
  (*later)({});
  EXPECT_EQ(
      two.sent(),
      (Lines{
          R"({"jsonrpc":"2.0","id":1,"result":42})",
          R"({"jsonrpc":"2.0","id":3,"error":{"code":-32000,"message":"never ended without an answer"}})",
          R"({"jsonrpc":"2.0","id":4,"error":{"code":-32000,"message":"oh"}})",
          R"({"jsonrpc":"2.0","id":5,"error":{"code":-32601,"message":"there is no method unknown"}})",
          R"({"jsonrpc":"2.0","id":"b","result":null})"}));
}

TEST_F(CallsTest, WithoutMethodsARequestIsAMessage) {
  EXPECT_FALSE(receive(one, R"({"jsonrpc":"2.0","method":"add","id":1})"));
  EXPECT_FALSE(receive(one, R"({"jsonrpc":"2.0","method":"add"})"));
}

TEST_F(CallsTest, AReplyLearnsThatItsCallerGaveUpOrIsGone) {
  std::vector<Reply> replies;
  int cancels = 0;
  calls->handle("wait", [&](const Value&, const Reply& reply) {
    reply.on_cancel([&] { ++cancels; });
    replies.push_back(reply);
  });
  receive(one, R"({"jsonrpc":"2.0","method":"wait","id":1})");
  receive(one, R"({"jsonrpc":"2.0","method":"wait","id":2})");
  receive(one, R"({"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":1}})");
  EXPECT_TRUE(replies[0].cancelled());
  EXPECT_FALSE(replies[1].cancelled());
  calls->peer_gone(*one);
  EXPECT_TRUE(replies[1].cancelled());
  EXPECT_EQ(cancels, 2);
  replies[0]("too late");
  EXPECT_TRUE(one.sent().empty());
}

}  // namespace
}  // namespace cohort::ipc
