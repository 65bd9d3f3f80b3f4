// Calls and topics against a peer that is this test.
#include "cluster/calls.h"

#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <stdexcept>

#include "cluster/topics.h"
#include "cluster/worker_impl.h"

namespace cohort::cluster {
namespace {

using namespace std::chrono_literals;

// Keeps what it is sent.
class Peer final : public WorkerImpl {
 public:
  Peer(const Loop& loop, std::shared_ptr<Calls> calls, int id)
      : WorkerImpl{loop, std::move(calls)}, id_{id} {}
  int id() const override { return id_; }
  std::optional<std::size_t> slot_if_known() const override { return std::nullopt; }
  pid_t pid() const override { return 0; }
  bool connected() const override { return true; }
  bool is_dead() const override { return false; }
  bool exited_after_disconnect() const override { return false; }
  void disconnect() override {}
  bool kill(int) override { return false; }
  void exit_process(int) override {}
  std::string describe() const override { return "peer " + std::to_string(id_); }
  int reply_id() const override { return id_; }

  SendResult send(const Value& message, ipc::Channel::Done) override {
    if (gone) return SendResult::failed(make_error(Errc::ChannelClosed, "send"));
    sent.push_back(to_json(message));
    return SendResult::queued(true);
  }
  SendResult send_own(const Value& message) override { return send(message, {}); }
  std::vector<std::string> sent;
  bool gone = false;

 private:
  std::shared_ptr<ipc::Channel> channel() const override { return nullptr; }
  int id_;
};

class CallsTest : public testing::Test {
 protected:
  ~CallsTest() override { calls->abandon(); }

  bool receive(Peer& from, const char* text) { return calls->take(from, *parse_json(text)); }
  void call(Peer& to, const CallOptions& options = {}) {
    calls->call(to, "add", {1, 2}, options, [this](Result<Value> result) {
      outcomes.push_back(result ? to_json(*result) : result.error().message());
    });
  }

  boost::asio::io_context io;
  Loop loop{io, io.get_executor()};
  std::shared_ptr<Calls> calls = std::make_shared<Calls>(loop);
  std::shared_ptr<Peer> one = std::make_shared<Peer>(loop, calls, 1);
  std::shared_ptr<Peer> two = std::make_shared<Peer>(loop, calls, 2);
  std::vector<std::string> outcomes;
  using Lines = std::vector<std::string>;
};

TEST_F(CallsTest, AnAnswerEndsTheCallThatItBelongsTo) {
  call(*one);
  call(*two);
  EXPECT_EQ(one->sent, (Lines{R"({"jsonrpc":"2.0","method":"add","params":[1,2],"id":1})"}));
  EXPECT_TRUE(calls->waits());
  EXPECT_TRUE(receive(*two, R"({"jsonrpc":"2.0","id":2,"result":3})"));
  EXPECT_EQ(outcomes, (Lines{"3"}));
  EXPECT_TRUE(receive(*one, R"({"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"no"}})"));
  EXPECT_EQ(outcomes.back(), "call add: the method failed (no)");
  EXPECT_FALSE(calls->waits());
}

TEST_F(CallsTest, APeerCannotAnswerForAnother) {
  call(*one);
  EXPECT_TRUE(receive(*two, R"({"jsonrpc":"2.0","id":1,"result":"forged"})"));
  EXPECT_TRUE(outcomes.empty());
}

TEST_F(CallsTest, AnAnswerThatNobodyAskedForIsAMessageAndALateOneIsDropped) {
  EXPECT_FALSE(receive(*one, R"({"jsonrpc":"2.0","id":1,"result":3})"));
  call(*one);
  calls->cancel(1);
  EXPECT_TRUE(receive(*one, R"({"jsonrpc":"2.0","id":1,"result":3})"));
  EXPECT_EQ(outcomes, (Lines{"call add: operation canceled"}));
  EXPECT_EQ(one->sent.back(), R"({"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":1}})");
}

TEST_F(CallsTest, AMissingMethodIsItsOwnError) {
  call(*one);
  receive(*one, R"({"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"there is no add"}})");
  EXPECT_EQ(outcomes, (Lines{"call add: no such method (there is no add)"}));
}

TEST_F(CallsTest, TimeIsLimited) {
  call(*one, {.timeout = 5ms});
  io.run();
  EXPECT_EQ(outcomes, (Lines{"call add: timed out (no answer in 5 ms)"}));
  EXPECT_EQ(one->sent.size(), 2U) << "the call, and that it is cancelled";
}

TEST_F(CallsTest, APeerThatGoesFailsItsCallsOnly) {
  call(*one);
  call(*two);
  calls->peer_gone(*one);
  EXPECT_EQ(outcomes, (Lines{"call add: channel closed (peer 1 is gone)"}));
  receive(*two, R"({"jsonrpc":"2.0","id":2,"result":3})");
  EXPECT_EQ(outcomes.back(), "3");
}

TEST_F(CallsTest, ACallOfAPeerThatIsGoneFailsLater) {
  one->gone = true;
  call(*one);
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
    EXPECT_TRUE(receive(*two, request)) << request;
  ASSERT_TRUE(later);
  (*later)({});
  EXPECT_EQ(
      two->sent,
      (Lines{
          R"({"jsonrpc":"2.0","id":1,"result":42})",
          R"({"jsonrpc":"2.0","id":3,"error":{"code":-32000,"message":"never ended without an answer"}})",
          R"({"jsonrpc":"2.0","id":4,"error":{"code":-32000,"message":"oh"}})",
          R"({"jsonrpc":"2.0","id":5,"error":{"code":-32601,"message":"there is no method unknown"}})",
          R"({"jsonrpc":"2.0","id":"b","result":null})"}));
}

TEST_F(CallsTest, WithoutMethodsARequestIsAMessage) {
  EXPECT_FALSE(receive(*one, R"({"jsonrpc":"2.0","method":"add","id":1})"));
  EXPECT_FALSE(receive(*one, R"({"jsonrpc":"2.0","method":"add"})"));
}

TEST_F(CallsTest, AReplyLearnsThatItsCallerGaveUpOrIsGone) {
  std::vector<Reply> replies;
  int cancels = 0;
  calls->handle("wait", [&](const Value&, const Reply& reply) {
    reply.on_cancel([&] { ++cancels; });
    replies.push_back(reply);
  });
  receive(*one, R"({"jsonrpc":"2.0","method":"wait","id":1})");
  receive(*one, R"({"jsonrpc":"2.0","method":"wait","id":2})");
  receive(*one, R"({"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":1}})");
  EXPECT_TRUE(replies[0].cancelled());
  EXPECT_FALSE(replies[1].cancelled());
  calls->peer_gone(*one);
  EXPECT_TRUE(replies[1].cancelled());
  EXPECT_EQ(cancels, 2);
  replies[0]("too late");
  EXPECT_TRUE(one->sent.empty());
}

TEST_F(CallsTest, CanBeAwaitedAndCancelled) {
  const Worker worker{one};
  std::optional<Value> result;
  worker.async_call("add", {1, 2}, [&](std::exception_ptr, Value value) { result = value; });
  receive(*one, R"({"jsonrpc":"2.0","id":1,"result":3})");
  boost::asio::cancellation_signal cancel;
  std::string failure;
  worker.async_call("add", 1,
                    boost::asio::bind_cancellation_slot(
                        cancel.slot(), [&](const std::exception_ptr& error, const Value&) {
                          try {
                            std::rethrow_exception(error);
                          } catch (const Exception& thrown) {
                            failure = thrown.what();
                          }
                        }));
  cancel.emit(boost::asio::cancellation_type::terminal);
  io.run();
  ASSERT_TRUE(result);
  EXPECT_EQ(*result, 3);
  EXPECT_EQ(failure, "call add: operation canceled");
}

TEST_F(CallsTest, ThePrimaryPassesOnWhatIsPublishedToThoseWhoSubscribed) {
  Topics topics{*calls, nullptr};
  std::vector<std::string> heard;
  topics.subscribe("news", [&](const Value& data) { heard.push_back(to_json(data)); });
  receive(*one, R"({"jsonrpc":"2.0","method":"cohort.subscribe","params":{"topic":"news"}})");
  receive(*two,
          R"({"jsonrpc":"2.0","method":"cohort.publish","params":{"topic":"news","data":1}})");
  receive(*two,
          R"({"jsonrpc":"2.0","method":"cohort.publish","params":{"topic":"else","data":2}})");
  EXPECT_EQ(heard, (Lines{"1"}));
  const Lines one_got{
      R"({"jsonrpc":"2.0","method":"cohort.published","params":{"topic":"news","data":1}})"};
  EXPECT_EQ(one->sent, one_got);
  receive(*one, R"({"jsonrpc":"2.0","method":"cohort.unsubscribe","params":{"topic":"news"}})");
  topics.unsubscribe("news");
  EXPECT_TRUE(topics.publish("news", 3));
  EXPECT_EQ(one->sent, one_got);
  EXPECT_EQ(heard, (Lines{"1"}));
  receive(*one, R"({"jsonrpc":"2.0","method":"cohort.subscribe","params":{"topic":"news"}})");
  calls->peer_gone(*one);
  topics.publish("news", 4);
  EXPECT_EQ(one->sent, one_got) << "it is gone";
}

TEST_F(CallsTest, AWorkerSubscribesOnceAndPublishesThroughItsPrimary) {
  Topics topics{*calls, one.get()};
  int heard = 0;
  topics.subscribe("news", [&](const Value&) { ++heard; });
  topics.subscribe("news", [&](const Value&) { heard += 10; });
  topics.publish("news", 5);
  EXPECT_EQ(heard, 0) << "it comes back from the primary, in its order";
  receive(*one,
          R"({"jsonrpc":"2.0","method":"cohort.published","params":{"topic":"news","data":5}})");
  receive(*two,
          R"({"jsonrpc":"2.0","method":"cohort.published","params":{"topic":"news","data":5}})");
  EXPECT_EQ(heard, 11);
  topics.unsubscribe("news");
  EXPECT_EQ(
      one->sent,
      (Lines{R"({"jsonrpc":"2.0","method":"cohort.subscribe","params":{"topic":"news"}})",
             R"({"jsonrpc":"2.0","method":"cohort.publish","params":{"topic":"news","data":5}})",
             R"({"jsonrpc":"2.0","method":"cohort.unsubscribe","params":{"topic":"news"}})"}));
}

}  // namespace
}  // namespace cohort::cluster
