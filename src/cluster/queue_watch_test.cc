#include "cluster/queue_watch.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <functional>
#include <vector>

#include "base/sys.h"
#include "net/sockaddr.h"

namespace cohort::cluster {
namespace {

using namespace std::chrono_literals;

class QueueWatchTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(group.add()); }
  OwnFd connect() {
    const auto name = net::to_sockaddr(net::local_address(group.fd(0)).value()).value();
    OwnFd fd = sys::socket(AF_INET, SOCK_STREAM, 0);
    sys::set_nonblocking(fd.get(), false);
    EXPECT_EQ(sys::connect(fd.get(), name.get(), name.size), 0);
    return fd;
  }
  // What a look does: nothing but to say how it goes on.
  void look() {
    ++looks;
    if (paused)
      watch.pause();
    else
      watch.go_on(happens, false);
  }
  void run_for(std::chrono::milliseconds time) {
    io.restart();
    io.run_for(time);
  }
  bool run_until(const std::function<bool()>& done) {
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (!done() && std::chrono::steady_clock::now() < deadline) {
      io.restart();
      io.run_one_for(10ms);
    }
    return done();
  }
  // Until nothing but a connection wakes it.
  bool fall_asleep() {
    watch.wake();
    io.restart();
    io.run_for(10s);  // asleep it does not keep the loop running
    return io.stopped();
  }

  boost::asio::io_context io{1};
  Loop loop{io, io.get_executor()};
  net::SlotGroup group = net::SlotGroup::open({.address = {"127.0.0.1", 0}}).value();
  int looks = 0;
  bool paused = false;
  bool happens = false;
  QueueWatch watch{loop, group, 2ms, [this] { look(); }};
};

TEST_F(QueueWatchTest, SeesHowLongEveryQueueIs) {
  const OwnFd clients[] = {connect(), connect(), connect()};
  ASSERT_TRUE(group.add());  // since the last look
  const auto lengths = watch.lengths();
  ASSERT_EQ(lengths.size(), 3U);
  EXPECT_EQ(lengths[0] + lengths[1] + lengths[2], 3U);
}

TEST_F(QueueWatchTest, SeesItWithoutDescriptorsToo) {
  const OwnFd client = connect();
  ASSERT_TRUE(group.add());
  sys::FailNth failing{0, EMFILE};
  const auto lengths = watch.lengths();
  EXPECT_TRUE(failing.fired());
  EXPECT_EQ(lengths[0] + lengths[1] + lengths[2], 1U);
}

TEST_F(QueueWatchTest, LooksAtNothingBeforeItIsWoken) {
  const OwnFd client = connect();
  run_for(20ms);
  EXPECT_EQ(looks, 0);
}

TEST_F(QueueWatchTest, SleepsWhenNothingHappensUntilAConnectionComes) {
  ASSERT_TRUE(fall_asleep());
  const int before = looks;
  EXPECT_GT(before, 1);
  const OwnFd client = connect();
  auto keeps_running = boost::asio::make_work_guard(io);
  EXPECT_TRUE(run_until([&] { return looks > before; }));
}

TEST_F(QueueWatchTest, LooksLessOftenWhileNothingHappens) {
  watch.wake();
  run_for(500ms);
  const int idle = looks;
  happens = true;
  watch.wake_up_fully();
  run_for(500ms);
  EXPECT_GT(looks - idle, idle);
}

TEST_F(QueueWatchTest, IsWokenByNothingElseWhenItPaused) {
  paused = true;
  watch.wake();
  run_for(50ms);
  EXPECT_EQ(looks, 1);
  const OwnFd client = connect();
  run_for(50ms);
  EXPECT_EQ(looks, 1);
  watch.wake();
  EXPECT_TRUE(run_until([&] { return looks == 2; }));
}

}  // namespace
}  // namespace cohort::cluster
