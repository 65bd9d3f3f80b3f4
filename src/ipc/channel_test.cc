#include "ipc/channel.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <cerrno>
#include <stdexcept>

#include "base/sys.h"

namespace cohort::ipc {
namespace {

using namespace std::chrono_literals;

auto in(std::chrono::milliseconds time) { return std::chrono::steady_clock::now() + time; }

/// One end with a Channel, the other a bare socket that the test reads and writes.
class ChannelTest : public testing::Test, protected ChannelUser {
 protected:
  explicit ChannelTest(std::size_t message_size_max = kMessageSizeMax) {
    OwnFd ends[2];
    EXPECT_EQ(sys::socketpair(AF_UNIX, SOCK_STREAM, true, ends), 0);
    peer_ = std::move(ends[1]);
    channel_ = std::make_shared<Channel>(loop_, std::move(ends[0]), Serialization::Json,
                                         ChannelLimits{.message_size_max = message_size_max},
                                         static_cast<ChannelUser&>(*this));
    channel_->start();
  }
  ~ChannelTest() override {
    if (channel_) channel_->abandon();
  }

  /// Runs what is ready now, and what that makes ready.
  void turn() {
    io_.restart();
    while (io_.poll() > 0) {
    }
  }
  void peer_writes(std::string_view bytes) {
    ASSERT_EQ(sys::send(peer_.get(), bytes.data(), bytes.size()),
              static_cast<ssize_t>(bytes.size()));
  }
  /// One read of what has arrived at the peer.
  std::string peer_reads(std::size_t size_max = 1 << 20) {
    std::string bytes(size_max, '\0');
    const ssize_t size = sys::recv(peer_.get(), bytes.data(), bytes.size(), 0);
    bytes.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return bytes;
  }

  void message(Incoming incoming) override {
    received_.push_back(to_json(incoming.value));
    if (incoming.fd) fds_.push_back(std::move(incoming.fd));
    if (on_message_) on_message_();
  }
  void channel_closed(std::optional<Error> why) override {
    ++closed_;
    why_ = std::move(why);
  }

  boost::asio::io_context io_;
  Loop loop_{io_, io_.get_executor()};
  OwnFd peer_;
  std::shared_ptr<Channel> channel_;
  std::vector<std::string> received_;
  std::vector<OwnFd> fds_;
  std::vector<Channel::Delivery> answers_;
  std::function<void()> on_message_;
  int closed_ = 0;
  std::optional<Error> why_;
};

TEST_F(ChannelTest, TheFirstMessageOfATurnLeavesAtOnceAndTheOthersTogetherAtItsEnd) {
  EXPECT_TRUE(channel_->send(1).has_value());
  EXPECT_EQ(peer_reads(), "1\n");
  channel_->send(2).value();
  channel_->send(3).value();
  EXPECT_EQ(peer_reads(), "");
  turn();
  EXPECT_EQ(peer_reads(), "2\n3\n");
  channel_->send(4).value();
  EXPECT_EQ(peer_reads(), "4\n") << "a new turn";
}

TEST_F(ChannelTest, MessagesThatArriveTogetherAreDeliveredInOrder) {
  peer_writes("1\n{\"a\":2}\n[3");
  turn();
  EXPECT_EQ(received_, (std::vector<std::string>{"1", "{\"a\":2}"}));
  peer_writes("]\n");
  turn();
  EXPECT_EQ(received_.back(), "[3]");
}

TEST_F(ChannelTest, AnswersToOneReadLeaveInOneWrite) {
  on_message_ = [this] { channel_->send("answer").value(); };
  peer_writes("1\n2\n3\n");
  turn();
  EXPECT_EQ(peer_reads(), "\"answer\"\n\"answer\"\n\"answer\"\n");
}

TEST_F(ChannelTest, WhatTheSocketDoesNotTakeWaitsAndSendSaysSo) {
  const std::string large(1 << 20, 'x');
  bool done = false;
  auto sent = channel_->send(large, [&](std::optional<Error> error) { done = !error; });
  ASSERT_TRUE(sent.has_value());
  EXPECT_FALSE(*sent) << "more than the high-water mark waits";
  channel_->send("end").value();
  turn();
  EXPECT_FALSE(done);
  std::string all;
  while (all.size() < large.size() + 9) {
    all += peer_reads();
    turn();
  }
  EXPECT_EQ(all, '"' + large + "\"\n\"end\"\n");
  EXPECT_TRUE(done);
  EXPECT_TRUE(channel_->send(1).value());
}

TEST_F(ChannelTest, ADescriptorArrivesWithItsMessageAndStaysTheSenders) {
  OwnFd pipe[2];
  ASSERT_EQ(sys::pipe(pipe), 0);
  ASSERT_TRUE(channel_->send_descriptor(wrap_handle("net.Native", "take it"), pipe[1].get(),
                                        [&](auto delivery) { answers_.push_back(delivery); }));
  EXPECT_TRUE(pipe[1]);

  OwnFd second_ends[2];
  ASSERT_EQ(sys::socketpair(AF_UNIX, SOCK_STREAM, true, second_ends), 0);
  const auto other = std::make_shared<Channel>(loop_, std::move(peer_), Serialization::Json,
                                               ChannelLimits{}, static_cast<ChannelUser&>(*this));
  other->start();
  turn();
  ASSERT_EQ(fds_.size(), 1u);
  EXPECT_EQ(received_, std::vector<std::string>{"\"take it\""});
  EXPECT_EQ(answers_, std::vector<Channel::Delivery>{Channel::Delivery::Received});
  ASSERT_EQ(sys::write(fds_[0].get(), "x", 1), 1);
  char byte;
  EXPECT_EQ(sys::read(pipe[0].get(), &byte, 1), 1);
  other->abandon();
}

TEST_F(ChannelTest, ADescriptorThatCannotBeSentAtOnceIsKeptOpenUntilItIs) {
  channel_->send(std::string(1 << 20, 'x')).value();  // blocks what follows
  {
    OwnFd pipe[2];
    ASSERT_EQ(sys::pipe(pipe), 0);
    ASSERT_TRUE(channel_->send_descriptor(wrap_handle("net.Native", 1), pipe[1].get()));
  }  // the caller's copy is closed
  const auto other = std::make_shared<Channel>(loop_, std::move(peer_), Serialization::Json,
                                               ChannelLimits{}, static_cast<ChannelUser&>(*this));
  other->start();
  turn();
  EXPECT_EQ(fds_.size(), 1u);
  other->abandon();
}

TEST_F(ChannelTest, ADescriptorWaitsUntilTheOneBeforeIsAnsweredButAnswersDoNot) {
  OwnFd pipe[2];
  ASSERT_EQ(sys::pipe(pipe), 0);
  std::vector<std::pair<int, Delivery>> answers;
  for (int i = 0; i < 4; ++i)
    ASSERT_TRUE(
        channel_->send_descriptor(wrap_handle("net.Native", i), pipe[1].get(),
                                  [&, i](auto delivery) { answers.push_back({i, delivery}); }));
  channel_->send("behind").value();
  EXPECT_EQ(peer_reads(), "{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":0}\n");
  peer_writes("{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":9}\n");
  turn();
  EXPECT_EQ(peer_reads(), "{\"cmd\":\"NODE_HANDLE_NACK\"}\n") << "or both would wait for ever";
  peer_writes("{\"cmd\":\"NODE_HANDLE_NACK\"}\n");
  turn();
  EXPECT_EQ(peer_reads(), "{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":1}\n");
  peer_writes("{\"cmd\":\"NODE_HANDLE_ACK\"}\n");
  turn();
  EXPECT_EQ(peer_reads(), "{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":2}\n");
  peer_.reset();
  turn();
  const std::vector<std::pair<int, Delivery>> expected = {{0, Delivery::Refused},
                                                          {1, Delivery::Received},
                                                          {2, Delivery::PeerGone},
                                                          {3, Delivery::PeerGone}};
  EXPECT_EQ(answers, expected);
  EXPECT_EQ(closed_, 1);
}

TEST_F(ChannelTest, AHandlerThatThrowsLosesNoLaterMessage) {
  on_message_ = [this] {
    if (received_.size() == 1) throw std::runtime_error{"on purpose"};
  };
  peer_writes("1\n2\n");
  EXPECT_THROW(turn(), std::runtime_error);
  turn();
  EXPECT_EQ(received_, (std::vector<std::string>{"1", "2"}));
  ASSERT_TRUE(channel_->send(3));
  turn();
  EXPECT_EQ(peer_reads(), "3\n");
}

TEST_F(ChannelTest, AnAnswerToNothingIsIgnored) {
  peer_writes("{\"cmd\":\"NODE_HANDLE_ACK\"}\n1\n");
  turn();
  EXPECT_EQ(received_, std::vector<std::string>{"1"});
}

TEST_F(ChannelTest, AHandleWithoutItsDescriptorIsRefusedAndDropped) {
  peer_writes("{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":1}\n2\n");
  turn();
  EXPECT_EQ(peer_reads(), "{\"cmd\":\"NODE_HANDLE_NACK\"}\n");
  EXPECT_EQ(received_, std::vector<std::string>{"2"});
}

TEST_F(ChannelTest, TheEndOfThePeerComesAfterItsLastMessage) {
  peer_writes("1\n2\n");
  peer_.reset();
  turn();
  EXPECT_EQ(received_.size(), 2u);
  EXPECT_EQ(closed_, 1);
  EXPECT_FALSE(why_);
  EXPECT_FALSE(channel_->is_open());
}

TEST_F(ChannelTest, AMalformedLineEndsTheChannelWithTheReason) {
  peer_writes("1\nnot json\n2\n");
  turn();
  EXPECT_EQ(received_, std::vector<std::string>{"1"});
  EXPECT_EQ(closed_, 1);
  ASSERT_TRUE(why_);
  EXPECT_EQ(why_->code, Errc::MalformedMessage);
}

TEST_F(ChannelTest, SendingToAPeerThatIsGoneIsAnErrorAndNoSignal) {
  peer_.reset();
  std::optional<Error> failed;
  channel_->send(1, [&](std::optional<Error> error) { failed = error; }).value();
  turn();
  EXPECT_TRUE(failed) << "its done says so";
  const auto sent = channel_->send(2);
  ASSERT_FALSE(sent.has_value());
  EXPECT_EQ(sent.error().code, Errc::ChannelClosed);
}

TEST_F(ChannelTest, CloseWritesWhatWaitsBeforeItEnds) {
  const std::string large(1 << 20, 'x');
  channel_->send(large).value();
  channel_->close();
  EXPECT_FALSE(channel_->send(1).has_value()) << "nothing more is taken";
  turn();
  EXPECT_EQ(closed_, 0);
  std::size_t size = 0;
  for (int i = 0; i < 1000 && closed_ == 0; ++i) {
    size += peer_reads().size();
    turn();
  }
  size += peer_reads(2 << 20).size();
  EXPECT_EQ(size, large.size() + 3);
  EXPECT_EQ(closed_, 1);
}

TEST_F(ChannelTest, FlushWritesEverythingBlockingOrGivesUpAtItsDeadline) {
  channel_->send(std::string(1 << 20, 'x')).value();
  EXPECT_FALSE(channel_->flush(in(20ms))) << "nobody reads";
  while (!peer_reads().empty()) {
    EXPECT_GE(channel_->flush(in(20ms)), 0);
  }
  EXPECT_TRUE(channel_->flush(in(20ms)));
}

TEST_F(ChannelTest, ReadAvailableDeliversEverythingNow) {
  std::string many;  // more than one read, less than a socket's buffer
  for (int i = 0; i < 5000; ++i) many += "{\"cmd\":\"notifyRequest\"}\n";
  peer_writes(many);
  channel_->read_available();
  EXPECT_EQ(received_.size(), 5000u);
  EXPECT_EQ(closed_, 0) << "the end is not there yet";
}

TEST_F(ChannelTest, ReadBlockingWaitsForOneRead) {
  EXPECT_FALSE(channel_->read_blocking(in(10ms)));
  peer_writes("1\n");
  EXPECT_TRUE(channel_->read_blocking(in(1s)));
  EXPECT_EQ(received_.size(), 1u);
}

TEST_F(ChannelTest, AHandlerMayDropTheChannelInTheMiddleOfARead) {
  on_message_ = [this] {
    channel_->abandon();
    channel_.reset();
  };
  peer_writes("1\n2\n3\n");
  turn();
  EXPECT_EQ(received_.size(), 1u);
  EXPECT_EQ(closed_, 0);
}

TEST_F(ChannelTest, EveryFailingSystemCallEndsItOrChangesNothing) {
  for (int n = 0; n < 6; ++n) {
    OwnFd ends[2];
    ASSERT_EQ(sys::socketpair(AF_UNIX, SOCK_STREAM, true, ends), 0);
    const auto channel =
        std::make_shared<Channel>(loop_, std::move(ends[0]), Serialization::Json, ChannelLimits{},
                                  static_cast<ChannelUser&>(*this));
    channel->start();
    {
      sys::FailNth fail{n, ECONNRESET};
      std::ignore = channel->send("one");
      std::ignore = channel->send("two");
      sys::send(ends[1].get(), "1\n", 2);
      turn();
    }
    turn();
    channel->abandon();
  }
}

class SmallChannelTest : public ChannelTest {
 protected:
  SmallChannelTest() : ChannelTest{100} {}
};

TEST_F(SmallChannelTest, AMessageOverTheLimitIsTheSendersErrorAndTheChannelGoesOn) {
  const auto sent = channel_->send(std::string(200, 'x'));
  ASSERT_FALSE(sent.has_value());
  EXPECT_EQ(sent.error().code, Errc::MessageTooLarge);
  channel_->send("small").value();
  turn();
  EXPECT_EQ(peer_reads(), "\"small\"\n");
}

TEST_F(SmallChannelTest, APeerThatExceedsTheLimitIsDroppedBeforeItsLineEnds) {
  peer_writes(std::string(200, '1'));
  turn();
  ASSERT_TRUE(why_);
  EXPECT_EQ(why_->code, Errc::MessageTooLarge);
}

}  // namespace
}  // namespace cohort::ipc
