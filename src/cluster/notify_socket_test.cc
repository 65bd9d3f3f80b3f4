// The socket of sd_notify(3), as a program uses it. What strangers say is in ready_test.
#include "cluster/notify_socket.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/sys.h"

namespace cohort::cluster {
namespace {

class NotifySocketTest : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = NotifySocket::open(loop_, std::nullopt,
                                     [this](std::string_view line) { said_.emplace_back(line); });
    ASSERT_TRUE(opened);
    socket_ = *std::move(opened);
  }
  void say(const std::string& text) const {
    const std::string& name = socket_->name();
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    name.copy(address.sun_path, sizeof address.sun_path);
    address.sun_path[0] = '\0';
    const OwnFd fd{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    EXPECT_EQ(::sendto(fd.get(), text.data(), text.size(), 0,
                       reinterpret_cast<const sockaddr*>(&address), size),
              static_cast<ssize_t>(text.size()));
  }
  std::vector<std::string> heard() {
    io_.restart();
    const auto work = boost::asio::make_work_guard(io_);
    while (io_.poll() > 0) {
    }
    return std::exchange(said_, {});
  }

  boost::asio::io_context io_;
  const Loop loop_{io_, io_.get_executor()};
  std::vector<std::string> said_;
  std::unique_ptr<NotifySocket> socket_;
};

TEST_F(NotifySocketTest, HasAnAbstractNameOfItsOwn) {
  EXPECT_EQ(socket_->name().front(), '@');
  const auto other = NotifySocket::open(loop_, std::nullopt, [](std::string_view) {});
  ASSERT_TRUE(other);
  EXPECT_NE((*other)->name(), socket_->name());
}

TEST_F(NotifySocketTest, HearsEachLine) {
  say("READY=1");
  say("STATUS=works\nWATCHDOG=1\n");
  EXPECT_EQ(heard(), (std::vector<std::string>{"READY=1", "STATUS=works", "WATCHDOG=1"}));
  say("READY=1");
  EXPECT_EQ(heard(), std::vector<std::string>{"READY=1"});
}

TEST_F(NotifySocketTest, EmptyAndLongAndBinaryMessagesAreNoHarm) {
  say("");
  say("\n\n");
  say(std::string(100'000, 'x'));
  say(std::string{"\0\xff", 2});
  const auto all = heard();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all.front().size(), 4096U) << "the rest of a long one is dropped";
  EXPECT_EQ(all.back(), (std::string{"\0\xff", 2}));
}

TEST_F(NotifySocketTest, WhoHearsMayCloseIt) {
  auto opened = NotifySocket::open(loop_, std::nullopt, [this](std::string_view line) {
    said_.emplace_back(line);
    socket_.reset();
  });
  socket_ = *std::move(opened);
  say("READY=1\nSTATUS=works");
  EXPECT_EQ(heard(), (std::vector<std::string>{"READY=1", "STATUS=works"}));
}

TEST_F(NotifySocketTest, EachCallThatFailsIsSaid) {
  for (int nth = 0; nth < 4; ++nth) {
    const sys::FailNth failing{nth, EMFILE};
    EXPECT_FALSE(NotifySocket::open(loop_, std::nullopt, [](std::string_view) {})) << nth;
  }
}

}  // namespace
}  // namespace cohort::cluster
