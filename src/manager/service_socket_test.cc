#include "manager/service_socket.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <cerrno>
#include <filesystem>
#include <vector>

#include "base/notices.h"
#include "base/sys.h"
#include "net/sockaddr.h"

namespace cohort::manager {
namespace {

using Texts = std::vector<std::string>;

class ServiceSocketTest : public testing::Test {
 protected:
  ServiceSocketTest() {
    EXPECT_NE(::mkdtemp(folder_.data()), nullptr);
    Notices::of(io_).run_on(loop_);
    Notices::of(io_).on([this](const Remark& remark) { notices_.push_back(remark.code); });
  }
  ~ServiceSocketTest() override { std::filesystem::remove_all(folder_); }

  void listen(const std::string& path) {
    const auto address = net::to_sockaddr(Address::from_path(path)).value();
    systemd_ = sys::socket(AF_UNIX, SOCK_DGRAM, 0);
    ASSERT_EQ(sys::bind(systemd_.get(), address.get(), address.size), 0);
  }
  // Until no more is there.
  Texts read(std::size_t most = 10'000) const {
    Texts all;
    char buffer[4096];
    for (ssize_t size = 0;
         all.size() < most && (size = sys::recv(systemd_.get(), buffer, sizeof buffer, 0)) != -1;)
      all.emplace_back(buffer, static_cast<std::size_t>(size));
    return all;
  }
  std::size_t fill() {
    std::size_t count = 0;
    const auto address = net::to_sockaddr(Address::from_path(path())).value();
    const OwnFd fd = sys::socket(AF_UNIX, SOCK_DGRAM, 0);
    EXPECT_EQ(sys::connect(fd.get(), address.get(), address.size), 0);
    while (sys::send(fd.get(), "x", 1) == 1) ++count;
    EXPECT_EQ(errno, EAGAIN);
    return count;
  }
  void turn() {
    const auto others = boost::asio::make_work_guard(io_);  // As workers are.
    io_.restart();
    io_.poll();
  }
  std::string path() const { return folder_ + "/notify"; }

  std::string folder_ = "/tmp/cohort-test-XXXXXX";
  boost::asio::io_context io_;
  const Loop loop_{io_, io_.get_executor()};
  OwnFd systemd_;
  Texts notices_;
};

TEST_F(ServiceSocketTest, SendsToAPath) {
  listen(path());
  ServiceSocket socket{loop_, path()};
  socket.send({"READY=1", true});
  socket.send({"WATCHDOG=1"});
  EXPECT_EQ(read(), (Texts{"READY=1", "WATCHDOG=1"}));
}

TEST_F(ServiceSocketTest, SendsToAnAbstractName) {
  const std::string name = "cohort-service-test-" + std::to_string(::getpid());
  listen('\0' + name);
  ServiceSocket socket{loop_, '@' + name};
  socket.send({"READY=1", true});
  EXPECT_EQ(read(), Texts{"READY=1"});
}

TEST_F(ServiceSocketTest, WhatIsAwaitedArrivesInOrderWhenThereIsRoomAgain) {
  listen(path());
  const std::size_t others = fill();
  ServiceSocket socket{loop_, path()};
  socket.send({"WATCHDOG=1"});
  socket.send({"READY=1", true});
  socket.send({"STATUS=1 worker serves"});
  socket.send({"STOPPING=1", true});
  turn();
  EXPECT_EQ(read(others).size(), others);
  turn();
  EXPECT_EQ(read(), (Texts{"READY=1", "STOPPING=1"}));
  socket.send({"WATCHDOG=1"});
  EXPECT_EQ(read(), Texts{"WATCHDOG=1"});
  EXPECT_EQ(notices_, Texts{});
}

TEST_F(ServiceSocketTest, KeepsTheLastStatesOnly) {
  listen(path());
  const std::size_t others = fill();
  ServiceSocket socket{loop_, path()};
  for (int i = 0; i < 1000; ++i) socket.send({std::to_string(i), true});
  EXPECT_EQ(read(others).size(), others);
  Texts kept;
  for (int i = 0; i < 16; ++i) {  // Not all at once: there is room for some.
    turn();
    for (std::string& text : read()) kept.push_back(std::move(text));
  }
  ASSERT_EQ(kept.size(), 16U);
  EXPECT_EQ(kept.back(), "999");
}

TEST_F(ServiceSocketTest, AFullSocketKeepsNoLoopRunning) {
  listen(path());
  fill();
  ServiceSocket socket{loop_, path()};
  socket.send({"READY=1", true});
  io_.restart();
  io_.run();  // Returns.
}

TEST_F(ServiceSocketTest, AFailureIsSaidOnceAndALaterSystemdIsFound) {
  ServiceSocket socket{loop_, path()};
  for (int i = 0; i < 3; ++i) socket.send({"READY=1", true});
  turn();
  EXPECT_EQ(notices_, Texts{"not_notified"});
  listen(path());
  socket.send({"READY=1", true});
  EXPECT_EQ(read(), Texts{"READY=1"});
}

TEST_F(ServiceSocketTest, NamesThatAreNoSocketsFail) {
  for (const std::string& name : {std::string{"vsock:2:1234"}, std::string{"relative"},
                                  '/' + std::string(200, 'x'), '@' + std::string(200, 'x')}) {
    notices_.clear();
    ServiceSocket{loop_, name}.send({"READY=1", true});
    turn();
    EXPECT_EQ(notices_, Texts{"not_notified"}) << name;
  }
}

TEST_F(ServiceSocketTest, EachSystemCallMayFail) {
  listen(path());
  for (int n = 0; n < 3; ++n) {
    notices_.clear();
    ServiceSocket socket{loop_, path()};
    sys::FailNth failing{n, ENOMEM};
    socket.send({"READY=1", true});
    EXPECT_TRUE(failing.fired());
    turn();
    EXPECT_EQ(notices_, Texts{"not_notified"}) << n;
  }
  EXPECT_EQ(read(), Texts{});
}

}  // namespace
}  // namespace cohort::manager
