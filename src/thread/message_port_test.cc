#include "cohort/message_port.h"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <numeric>
#include <thread>
#include <vector>

namespace cohort {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;

// Counts how often it is copied; it never is.
struct OnlyMoved {
  explicit OnlyMoved(int number) : value{std::make_unique<int>(number)} {}
  std::unique_ptr<int> value;
};

TEST(MessagePort, OfATypeThatIsAlignedArrivesAligned) {
  struct alignas(64) Wide {
    int number = 0;
  };
  const MessageChannel<Wide> channel;
  int wrong = 0;
  asio::io_context io;
  channel.port2.on_message(io, [&](Wide& wide) {
    if (reinterpret_cast<std::uintptr_t>(&wide) % alignof(Wide) != 0) ++wrong;
    if (wide.number == 99) channel.port2.close();
  });
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(channel.port1.post_message(Wide{i}));
  io.run();
  EXPECT_EQ(wrong, 0);
}

TEST(MessagePort, WhatIsPostedArrivesAtTheOtherEndInOrder) {
  asio::io_context io;
  const MessageChannel<int> channel;
  std::vector<int> seen;
  channel.port2.on_message(io, [&](int& number) {
    seen.push_back(number);
    if (number == 99) channel.port2.close();
  });
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(channel.port1.post_message(i));
  io.run();
  std::vector<int> expected(100);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(seen, expected);
}

TEST(MessagePort, AMessageIsMovedNeverCopied) {
  const MessageChannel<OnlyMoved> channel;
  channel.port1.post_message(OnlyMoved{7});
  const auto got = channel.port2.receive();
  ASSERT_TRUE(got);
  EXPECT_EQ(*got->value, 7);
  EXPECT_FALSE(channel.port2.receive());
}

TEST(MessagePort, BothDirectionsAreIndependent) {
  const MessageChannel<int> channel;
  channel.port1.post_message(1);
  channel.port2.post_message(2);
  EXPECT_EQ(receive_message_on_port(channel.port1), 2);
  EXPECT_EQ(receive_message_on_port(channel.port2), 1);
}

TEST(MessagePort, AHandlerKeepsTheLoopRunningUntilItIsClosedOrUnrefed) {
  asio::io_context io;
  const MessageChannel<int> channel;
  channel.port1.on_message(io, [](int&) {});
  io.run_for(20ms);
  EXPECT_FALSE(io.stopped());
  channel.port1.unref();
  io.run();  // returns
  SUCCEED();
}

TEST(MessagePort, AClosedOneSaysSo) {
  const MessageChannel<int> channel;
  channel.port2.close();
  EXPECT_FALSE(channel.port1.is_open());
  const SendResult sent = channel.port1.post_message(1);
  ASSERT_TRUE(sent.error());
  EXPECT_EQ(sent.error()->code, Errc::ChannelClosed);
  EXPECT_EQ(MessagePort<int>{}.post_message(1).error()->code, Errc::ChannelClosed);
}

TEST(MessagePort, OneWhosePeerIsGoneSaysSo) {
  MessagePort<int> left;
  {
    const MessageChannel<int> channel;
    left = channel.port1;
    channel.port2.post_message(5);
  }
  EXPECT_FALSE(left.is_open());
  EXPECT_EQ(left.receive(), 5) << "what was posted before arrives";
  EXPECT_EQ(left.post_message(1).error()->code, Errc::ChannelClosed);
}

TEST(MessagePort, CloseComesOnBothSidesAfterTheMessages) {
  asio::io_context io;
  const MessageChannel<int> channel;
  std::vector<std::string> seen;
  channel.port2.on_message(io, [&](int& number) { seen.push_back(std::to_string(number)); });
  channel.port2.on_close(io, [&] { seen.push_back("close 2"); });
  channel.port1.on_close(io, [&] { seen.push_back("close 1"); });
  channel.port1.post_message(1);
  channel.port1.post_message(2);
  channel.port1.close();
  io.run();
  ASSERT_EQ(seen.size(), 4u);
  EXPECT_EQ(std::count(seen.begin(), seen.end(), "close 1"), 1);
  seen.erase(std::remove(seen.begin(), seen.end(), "close 1"), seen.end());
  EXPECT_EQ(seen, (std::vector<std::string>{"1", "2", "close 2"}));
}

TEST(MessagePort, AFullOneRefusesAndTakesAgainLater) {
  const MessageChannel<int> channel{{.queue_max = 2}};
  EXPECT_TRUE(channel.port1.post_message(1));
  EXPECT_TRUE(channel.port1.post_message(2));
  EXPECT_EQ(channel.port1.post_message(3).error()->code, Errc::ChannelFull);
  EXPECT_EQ(channel.port2.waiting(), 2u);
  EXPECT_EQ(channel.port2.receive(), 1);
  EXPECT_EQ(channel.port2.receive(), 2);
  EXPECT_FALSE(channel.port2.receive());
  EXPECT_TRUE(channel.port1.post_message(4));
  EXPECT_EQ(channel.port2.receive(), 4);
}

TEST(MessagePort, MessagesThatCameBeforeAnybodyListenedArrive) {
  asio::io_context io;
  const MessageChannel<int> channel;
  channel.port1.post_message(1);
  int seen = 0;
  channel.port2.on_message(io, [&](int& number) {
    seen = number;
    channel.port2.close();
  });
  io.run();
  EXPECT_EQ(seen, 1);
}

TEST(MessagePort, AnExceptionOfAHandlerLeavesRunAndLosesNoOtherMessage) {
  asio::io_context io;
  const MessageChannel<int> channel;
  std::vector<int> seen;
  channel.port2.on_message(io, [&](int& number) {
    if (number == 2) throw std::runtime_error{"two"};
    seen.push_back(number);
    if (number == 4) channel.port2.close();
  });
  for (int i = 1; i <= 4; ++i) channel.port1.post_message(i);
  EXPECT_THROW(io.run(), std::runtime_error);
  io.restart();
  io.run();
  EXPECT_EQ(seen, (std::vector<int>{1, 3, 4}));
}

TEST(MessagePort, MovesToAnotherLoopWithWhatWaitsInIt) {
  asio::io_context first, second;
  const MessageChannel<int> channel;
  std::vector<int> seen;
  channel.port2.on_message(first, [&](int& number) { seen.push_back(-number); });
  channel.port1.post_message(1);
  first.poll();
  channel.port1.post_message(2);  // rings the first loop, which no longer takes it
  channel.port2.untyped().detach();
  channel.port2.on_message(second, [&](int& number) {
    seen.push_back(number);
    if (number == 3) channel.port2.close();
  });
  channel.port1.post_message(3);
  first.restart();
  first.run();
  second.run();
  EXPECT_EQ(seen, (std::vector<int>{-1, 2, 3}));
}

TEST(MessagePort, ItsEndOfTheIoContextIsAClose) {
  const MessageChannel<int> channel;
  {
    asio::io_context io;
    channel.port2.on_message(io, [](int&) {});
    io.poll();
  }
  EXPECT_EQ(channel.port1.post_message(1).error()->code, Errc::ChannelClosed);
}

TEST(MessagePort, ReceiveForWaitsForAMessageTheEndOrTheTime) {
  const MessageChannel<int> channel;
  EXPECT_FALSE(channel.port2.receive_for(1ms));
  std::thread later{[port = channel.port1] { port.post_message(9); }};
  EXPECT_EQ(channel.port2.receive_for(60s), 9);
  later.join();
  std::thread closer{[port = channel.port1] { port.close(); }};
  EXPECT_FALSE(channel.port2.receive_for(60s));
  closer.join();
}

TEST(MessagePort, ManyThreadsPostAndNothingIsLostOrTwice) {
  constexpr int kThreads = 4, kEach = 50'000;
  asio::io_context io;
  const MessageChannel<std::pair<int, int>> channel;
  std::vector<int> last(kThreads, -1);
  int count = 0;
  channel.port2.on_message(io, [&](std::pair<int, int>& message) {
    EXPECT_EQ(message.second, last[static_cast<std::size_t>(message.first)] + 1);
    last[static_cast<std::size_t>(message.first)] = message.second;
    if (++count == kThreads * kEach) channel.port2.close();
  });
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i)
    threads.emplace_back([i, port = channel.port1] {
      for (int k = 0; k < kEach; ++k)
        while (!port.post_message({i, k})) std::this_thread::yield();
    });
  io.run();
  for (std::thread& each : threads) each.join();
  EXPECT_EQ(count, kThreads * kEach);
}

TEST(MessagePort, ALoopAndAThreadPlayPingPongManyTimes) {
  constexpr int kRounds = 20'000;
  asio::io_context io;
  const MessageChannel<int> channel;
  std::thread other{[port = channel.port2] {
    while (auto ball = port.receive_for(60s)) port.post_message(*ball + 1);
  }};
  channel.port1.on_message(io, [&](int& ball) {
    if (ball >= kRounds) return channel.port1.close();
    channel.port1.post_message(ball);
  });
  channel.port1.post_message(0);
  io.run();
  other.join();
  SUCCEED();
}

// --- of Values

TEST(ValuePort, BothSidesMayChangeTheirs) {
  const MessageChannel<> channel;
  Value original{{"n", 1}, {"list", {1, 2}}};
  channel.port1.post_message(original);
  original["n"] = 2;
  const auto got = channel.port2.receive();
  ASSERT_TRUE(got);
  EXPECT_EQ(*got, (Value{{"n", 1}, {"list", {1, 2}}}));
}

TEST(ValuePort, ALargeBufferIsNotCopied) {
  const MessageChannel<> channel;
  const Value sent{{"pixels", Value::buffer(std::vector<std::byte>(1 << 20))}};
  channel.port1.post_message(sent);
  const auto got = channel.port2.receive();
  EXPECT_EQ((*got)["pixels"].bytes().data(), sent["pixels"].bytes().data());
}

TEST(ValuePort, ABufferThatMovesIsEmptyWhereItWas) {
  const MessageChannel<> channel;
  std::vector<std::byte> pixels(1 << 20);
  const auto* const where = pixels.data();
  channel.port1.post_message("here", {.buffers = {}, .shared = {}});
  Transfer given;
  given.buffers.push_back(std::move(pixels));
  channel.port1.post_message("there", std::move(given));
  EXPECT_TRUE(pixels.empty());
  Transfer got;
  EXPECT_EQ(channel.port2.receive(&got), Value("here"));
  EXPECT_EQ(channel.port2.receive(&got), Value("there"));
  ASSERT_EQ(got.buffers.size(), 1u);
  EXPECT_EQ(got.buffers[0].data(), where);
}

TEST(ValuePort, APortGoesThroughAPort) {
  asio::io_context io;
  const MessageChannel<> carrier;
  const MessageChannel<> carried;
  std::vector<Value> seen;
  carried.port2.on_message(io, [&](const Value&) { FAIL() << "it was given away"; });
  carrier.port1.post_message("take it", {.ports = {carried.port2}});
  carried.port1.post_message("before");
  carrier.port2.on_message(io, [&](const Value&, Transfer& transfer) {
    const MessagePort<> port = transfer.ports.at(0);
    port.on_message(io, [&, port](const Value& message) {
      seen.push_back(message);
      if (seen.size() < 2) return;
      port.close();
      carrier.port2.close();
    });
    carried.port1.post_message("after");
  });
  io.run();
  EXPECT_EQ(seen, (std::vector<Value>{"before", "after"}));
}

TEST(ValuePort, APortDoesNotGoThroughItself) {
  const MessageChannel<> channel;
  const SendResult sent = channel.port1.post_message(1, {.ports = {channel.port1}});
  ASSERT_TRUE(sent.error());
  EXPECT_EQ(sent.error()->code, Errc::InvalidArgument);
}

TEST(SharedBuffer, IsTheSameMemoryForAllCopies) {
  const auto made = SharedBuffer::create(4096);
  ASSERT_TRUE(made);
  const MessageChannel<> channel;
  channel.port1.post_message("memory", {.shared = {*made}});
  std::thread other{[port = channel.port2] {
    Transfer transfer;
    ASSERT_TRUE(port.receive_for(60s, &transfer));
    transfer.shared.at(0).bytes()[17] = std::byte{42};
  }};
  other.join();
  EXPECT_EQ(made->bytes()[17], std::byte{42});
  EXPECT_EQ(made->bytes()[18], std::byte{0});
}

// --- to all of a name

TEST(BroadcastChannel, ReachesAllOthersOfItsName) {
  asio::io_context io;
  const BroadcastChannel here{"news"}, there{"news"}, elsewhere{"other news"};
  int count = 0;
  there.on_message(io, [&](const Value& message) {
    EXPECT_EQ(message, Value("hello"));
    ++count;
    there.close();
  });
  here.on_message(io, [](const Value&) { FAIL() << "its own"; });
  elsewhere.on_message(io, [](const Value&) { FAIL() << "another name"; });
  here.unref();
  elsewhere.unref();
  EXPECT_EQ(here.post_message("hello"), 1u);
  io.run();
  EXPECT_EQ(count, 1);
  EXPECT_EQ(here.post_message("nobody"), 0u);
}

TEST(BroadcastChannel, OneThatListensIsAMemberWithoutAHandle) {
  asio::io_context io;
  const BroadcastChannel here{"later"};
  int count = 0;
  {
    const BroadcastChannel there{"later"};
    there.on_message(io, [&count, name = there.name()](const Value&) { ++count; });
  }
  EXPECT_EQ(here.post_message(1), 1u);
  io.run_for(50ms);
  EXPECT_EQ(count, 1);
}

}  // namespace
}  // namespace cohort
