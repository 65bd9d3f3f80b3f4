// The order in which a process gets what its peer sends.
#include "ipc/peer.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <stdexcept>

#include "ipc/calls.h"
#include "ipc/peer_fixture_test.h"

namespace cohort::ipc {
namespace {

using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

constexpr const char* kRequest = R"({"jsonrpc":"2.0","method":"add","id":1})";

class PeerTest : public testing::Test {
 protected:
  ~PeerTest() override { calls_->abandon(); }

  void listen() {
    peer_->on_message([this](const Value& message) { heard_.push_back(to_json(message)); });
  }
  static auto in(std::chrono::milliseconds time) { return Peer::Clock::now() + time; }

  boost::asio::io_context io_;
  Loop loop_{io_, io_.get_executor()};
  std::shared_ptr<Calls> calls_ = std::make_shared<Calls>(loop_);
  TestPeer peer_{io_, loop_, calls_, 3};
  Lines heard_;
};

TEST_F(PeerTest, WhatComesBeforeTheFirstHandlerWaitsForIt) {
  peer_->start();
  peer_.says("1");
  peer_.says("2");
  peer_.turn();
  EXPECT_TRUE(heard_.empty());
  listen();
  EXPECT_TRUE(heard_.empty()) << "not inside the call that adds it";
  peer_.says("3");
  peer_.turn();
  EXPECT_EQ(heard_, (Lines{"1", "2", "3"}));
  EXPECT_EQ(peer_.user_messages, heard_);
}

TEST_F(PeerTest, WhereNothingWaitsAnEarlyMessageGoesToNobody) {
  TestPeer other{io_, loop_, calls_, 4, Peer::Early::GoesToNobody};
  other->start();
  other.says("1");
  other.turn();
  EXPECT_EQ(other.user_messages, Lines{"1"}) << "but its user has seen it";
  other->on_message([this](const Value& message) { heard_.push_back(to_json(message)); });
  other.turn();
  EXPECT_TRUE(heard_.empty());
}

TEST_F(PeerTest, OneOfTheMessagesThatWaitEndsOneAwait) {
  peer_->start();
  for (const char* line : {"1", "2"}) peer_.says(line);
  peer_.turn();
  peer_->wait_message([&](auto, const Value& message) { heard_.push_back(to_json(message)); });
  peer_.turn();
  EXPECT_EQ(heard_, Lines{"1"});
  listen();
  peer_.turn();
  EXPECT_EQ(heard_, (Lines{"1", "2"}));
}

TEST_F(PeerTest, ACallThatCameEarlyIsServedWhenItsMethodIsThere) {
  peer_->start();
  peer_.says("1");
  peer_.says(kRequest);
  peer_.says("2");
  peer_.turn();
  calls_->handle("add", [](const Value&, const Reply& reply) { reply(reply.caller()); });
  peer_->look_again();
  EXPECT_EQ(peer_.sent(), Lines{R"({"jsonrpc":"2.0","id":1,"result":3})"});
  listen();
  peer_.turn();
  EXPECT_EQ(heard_, (Lines{"1", "2"})) << "what nobody wanted yet kept its place";
}

TEST_F(PeerTest, TheOthersComeThoughAHandlerThrows) {
  peer_->start();
  for (const char* line : {"1", "2"}) peer_.says(line);
  peer_.turn();
  peer_->on_message([this](const Value& message) {
    heard_.push_back(to_json(message));
    if (heard_.size() == 1) throw std::runtime_error{"oh"};
  });
  EXPECT_THROW(peer_.turn(), std::runtime_error);
  peer_.turn();
  EXPECT_EQ(heard_, (Lines{"1", "2"}));
}

TEST_F(PeerTest, WhoBlocksGetsWhatItBlocksForAndTheRestComesInItsOrder) {
  listen();
  peer_->start();
  peer_.says("1");
  peer_.says(R"({"cmd":"NODE_CLUSTER","ack":7})");
  peer_.says(R"({"cmd":"NODE_CLUSTER","ack":8})");
  peer_.says("2");
  const bool came = peer_->receive_until(
      [](const Incoming& incoming) { return incoming.value["ack"].int64_or(0) == 7; }, in(1s));
  EXPECT_TRUE(came);
  EXPECT_EQ(peer_.cluster_messages, Lines{R"({"cmd":"NODE_CLUSTER","ack":7})"});
  EXPECT_TRUE(heard_.empty()) << "no handler runs within";
  peer_.says("3");
  peer_.turn();
  EXPECT_EQ(heard_, (Lines{"1", "2", "3"}));
  EXPECT_EQ(peer_.cluster_messages.size(), 2u);
}

TEST_F(PeerTest, WhoBlocksInVainIsToldSo) {
  const auto nothing = [](const Incoming&) { return false; };
  EXPECT_FALSE(peer_->receive_until(nothing, in(5ms)));
  peer_.hangs_up();
  EXPECT_FALSE(peer_->receive_until(nothing, in(1s)));
}

TEST_F(PeerTest, EndsOnceWithTheChannelAndFailsWhatWaits) {
  int failed = 0;
  peer_->start();
  calls_->call(*peer_, "add", 1, {}, [&](const Result<Value>& result) { failed += !result; });
  peer_->wait_message([&](auto error, const Value&) { failed += error.failed(); });
  peer_->wait_drain([](auto) {});
  peer_.hangs_up();
  peer_.turn();
  EXPECT_EQ(peer_.closed, 1);
  EXPECT_EQ(failed, 2);
  EXPECT_FALSE(peer_->connected());
  EXPECT_FALSE(peer_->has_channel());
  EXPECT_EQ(peer_->send(1).error().code, Errc::ChannelClosed);
  peer_->wait_message([&](auto error, const Value&) { failed += error.failed(); });
  peer_.turn();
  EXPECT_EQ(failed, 3) << "it can come no more";
}

TEST_F(PeerTest, WhatWasSentBeforeCloseArrives) {
  peer_->start();
  EXPECT_TRUE(peer_->send(1));
  peer_->close();
  EXPECT_FALSE(peer_->send(2));
  EXPECT_EQ(peer_.sent(), Lines{"1"});
  EXPECT_EQ(peer_.closed, 1);
}

TEST_F(PeerTest, AProcessThatEndedIsHeardToItsLastMessageAndNothingIsCalled) {
  listen();
  peer_->start();
  peer_.says("1");
  peer_->read_available();
  peer_->has_ended();
  EXPECT_EQ(heard_, Lines{"1"});
  peer_.turn();
  EXPECT_EQ(peer_.closed, 0);
}

TEST_F(PeerTest, HandlersThatHoldTheirPeerLetGoOfItAtTheEnd) {
  const auto held = std::make_shared<int>();
  peer_->on_message([held](const Value&) {});
  peer_->on_message([held](const Value&, Handle&) {});
  peer_->on_drain([held] {});
  peer_->end_events();
  EXPECT_EQ(held.use_count(), 1);
}

}  // namespace
}  // namespace cohort::ipc
