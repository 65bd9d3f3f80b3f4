#include "base/write_queue.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <string>
#include <vector>

#include "base/sys.h"
#include "cohort/fd.h"

namespace cohort {
namespace {

class WriteQueueTest : public testing::Test {
 protected:
  WriteQueueTest() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()), 0);
    ours_ = OwnFd{ends[0]};
    peers_ = OwnFd{ends[1]};
  }
  Result<std::size_t> write(std::string_view data, const std::string& name) {
    return queue_.write(loop_, ours_.get(), data, [this, name](const std::optional<Error>& error) {
      seen_.push_back(error ? name + ": " + error->message() : name);
    });
  }
  // Everything that is there.
  std::string read() {
    std::string bytes;
    std::array<char, 65536> buffer{};
    for (;;) {
      const ssize_t size = ::read(peers_.get(), buffer.data(), buffer.size());
      if (size <= 0) return bytes;
      bytes.append(buffer.data(), static_cast<std::size_t>(size));
    }
  }
  std::vector<std::string> seen() {
    io_.poll();
    io_.restart();
    return std::exchange(seen_, {});
  }
  using Seen = std::vector<std::string>;

  boost::asio::io_context io_;
  Loop loop_{io_, io_.get_executor()};
  OwnFd ours_, peers_;
  WriteQueue queue_;
  Seen seen_;
};

TEST_F(WriteQueueTest, WhatIsTakenAtOnceIsDoneInALaterTurn) {
  EXPECT_EQ(write("hello", "a").value(), 5U);
  EXPECT_TRUE(queue_.empty());
  EXPECT_TRUE(queue_.keeps_up());
  EXPECT_EQ(seen_, Seen{});
  EXPECT_EQ(seen(), Seen{"a"});
  EXPECT_EQ(read(), "hello");
  EXPECT_FALSE(queue_.drained()) << "nobody was told to wait";
}

TEST_F(WriteQueueTest, TheRestGoesInOrderAndEachIsToldWhenItsLastByteIsGone) {
  const std::string big(4u << 20, 'x');
  const std::size_t sent = write(big, "big").value();
  EXPECT_GT(sent, 0U);
  EXPECT_LT(sent, big.size());
  EXPECT_EQ(queue_.size(), big.size() - sent);
  EXPECT_FALSE(queue_.keeps_up());
  EXPECT_EQ(write("y", "small").value(), 0U) << "behind it";
  EXPECT_EQ(write("", "empty").value(), 0U);
  std::string all;
  bool small_before_big = false;
  while (!queue_.empty()) {
    all += read();
    while (!queue_.empty() && queue_.send_some(ours_.get()).value() > 0) continue;
    if (seen_.size() == 1) small_before_big = seen_.front() != "big";
  }
  all += read();
  EXPECT_EQ(all, big + "y");
  EXPECT_FALSE(small_before_big);
  EXPECT_EQ(seen(), (Seen{"big", "small", "empty"}));
  EXPECT_EQ(queue_.size(), 0U);
  EXPECT_TRUE(queue_.drained());
  EXPECT_FALSE(queue_.drained()) << "once";
}

TEST_F(WriteQueueTest, AfterAnErrorWhatWaitsFailsWithIt) {
  write(std::string(4u << 20, 'x'), "big").value();
  peers_.reset();
  const auto sent = queue_.send_some(ours_.get());
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code.value(), EPIPE);
  EXPECT_EQ(seen(), Seen{}) << "the owner says when";
  write("y", "small").value();
  queue_.fail(sent.error());
  EXPECT_EQ(seen(), (Seen{"big: write: broken pipe", "small: write: broken pipe"}));
  EXPECT_TRUE(queue_.empty());
}

TEST_F(WriteQueueTest, AWriteThatFailsAtOnceIsToldByFailToo) {
  peers_.reset();
  EXPECT_FALSE(write("x", "a"));
  EXPECT_EQ(seen(), Seen{});
  queue_.fail(system_error(ECANCELED, "write"));
  EXPECT_EQ(seen(), Seen{"a: write: operation canceled"});
}

TEST_F(WriteQueueTest, ABlockingDescriptorIsNotWaitedFor) {
  const int flags = ::fcntl(ours_.get(), F_GETFL);
  ::fcntl(ours_.get(), F_SETFL, flags & ~O_NONBLOCK);
  EXPECT_LT(write(std::string(4u << 20, 'x'), "big").value(), 4u << 20);
}

TEST_F(WriteQueueTest, WhatIsClearedIsToldToNobody) {
  write(std::string(4u << 20, 'x'), "big").value();
  queue_.clear();
  EXPECT_TRUE(queue_.empty());
  EXPECT_EQ(seen(), Seen{});
}

}  // namespace
}  // namespace cohort
