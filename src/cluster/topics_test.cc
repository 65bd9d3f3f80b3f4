// Topics against peers that are this test.
#include "cluster/topics.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "ipc/calls.h"
#include "ipc/peer_fixture_test.h"

namespace cohort::cluster {
namespace {

class TopicsTest : public testing::Test {
 protected:
  ~TopicsTest() override { calls->abandon(); }

  bool receive(ipc::TestPeer& from, const char* text) {
    return calls->take(*from, *parse_json(text));
  }

  boost::asio::io_context io;
  Loop loop{io, io.get_executor()};
  std::shared_ptr<ipc::Calls> calls = std::make_shared<ipc::Calls>(loop);
  ipc::TestPeer one{io, loop, calls, 1};
  ipc::TestPeer two{io, loop, calls, 2};
  using Lines = std::vector<std::string>;
};

TEST_F(TopicsTest, ThePrimaryPassesOnWhatIsPublishedToThoseWhoSubscribed) {
  Topics topics{*calls, nullptr};
  std::vector<std::string> heard;
  topics.subscribe("news", [&](const Value& data) { heard.push_back(to_json(data)); });
  receive(one, R"({"jsonrpc":"2.0","method":"cohort.subscribe","params":{"topic":"news"}})");
  receive(two, R"({"jsonrpc":"2.0","method":"cohort.publish","params":{"topic":"news","data":1}})");
  receive(two, R"({"jsonrpc":"2.0","method":"cohort.publish","params":{"topic":"else","data":2}})");
  EXPECT_EQ(heard, (Lines{"1"}));
  const Lines one_got{
      R"({"jsonrpc":"2.0","method":"cohort.published","params":{"topic":"news","data":1}})"};
  EXPECT_EQ(one.sent(), one_got);
  receive(one, R"({"jsonrpc":"2.0","method":"cohort.unsubscribe","params":{"topic":"news"}})");
  topics.unsubscribe("news");
  EXPECT_TRUE(topics.publish("news", 3));
  EXPECT_EQ(one.sent(), one_got);
  EXPECT_EQ(heard, (Lines{"1"}));
  receive(one, R"({"jsonrpc":"2.0","method":"cohort.subscribe","params":{"topic":"news"}})");
  calls->peer_gone(*one);
  topics.publish("news", 4);
  EXPECT_EQ(one.sent(), one_got) << "it is gone";
}

TEST_F(TopicsTest, AWorkerSubscribesOnceAndPublishesThroughItsPrimary) {
  Topics topics{*calls, &*one};
  int heard = 0;
  topics.subscribe("news", [&](const Value&) { ++heard; });
  topics.subscribe("news", [&](const Value&) { heard += 10; });
  topics.publish("news", 5);
  EXPECT_EQ(heard, 0) << "it comes back from the primary, in its order";
  receive(one,
          R"({"jsonrpc":"2.0","method":"cohort.published","params":{"topic":"news","data":5}})");
  receive(two,
          R"({"jsonrpc":"2.0","method":"cohort.published","params":{"topic":"news","data":5}})");
  EXPECT_EQ(heard, 11);
  topics.unsubscribe("news");
  EXPECT_EQ(
      one.sent(),
      (Lines{R"({"jsonrpc":"2.0","method":"cohort.subscribe","params":{"topic":"news"}})",
             R"({"jsonrpc":"2.0","method":"cohort.publish","params":{"topic":"news","data":5}})",
             R"({"jsonrpc":"2.0","method":"cohort.unsubscribe","params":{"topic":"news"}})"}));
}

}  // namespace
}  // namespace cohort::cluster
