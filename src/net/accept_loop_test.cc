#include "net/accept_loop.h"

#include <sys/resource.h>

#include <iostream>
#include <sstream>
#include <vector>

#include "net/bind.h"
#include "net/test_world.h"

namespace cohort::net {
namespace {

using namespace std::chrono_literals;
using Sharing = AcceptLoop::Sharing;

class Collector : public ListenerUser {
 public:
  void listening(const Address&) override {}
  void listen_failed(const Error&) override {}
  bool connection(OwnFd& fd) override {
    ++offered;
    if (on_connection) on_connection();
    if (refuse) return false;
    connections.push_back(std::move(fd));
    return true;
  }
  bool full() const override { return connections.size() >= limit; }
  void drain(std::function<void()> done) override { done(); }
  void abandon() override {}

  std::vector<OwnFd> connections;
  std::size_t limit = 1000;
  int offered = 0;
  bool refuse = false;
  std::function<void()> on_connection;
};

class AcceptLoopTest : public testing::Test {
 protected:
  std::shared_ptr<AcceptLoop> start(Sharing sharing) {
    ListenRequest request;
    request.address = {"127.0.0.1", 0};
    OwnFd fd = bind_socket(request).value();
    EXPECT_TRUE(listen_on(fd.get(), 0));
    address = local_address(fd.get()).value();
    return AcceptLoop::start(world.loop, std::move(fd), user, sharing);
  }
  std::vector<std::unique_ptr<test::Client>> connect(int count) {
    std::vector<std::unique_ptr<test::Client>> clients;
    for (int i = 0; i < count; ++i)
      clients.push_back(std::make_unique<test::Client>(world, address));
    return clients;
  }
  bool arrived(std::size_t count) {
    return world.run_until([&] { return user->connections.size() == count; });
  }

  test::World world;
  std::shared_ptr<Collector> user = std::make_shared<Collector>();
  Address address;
};

TEST_F(AcceptLoopTest, DeliversEveryConnection) {
  for (const Sharing sharing : {Sharing::Alone, Sharing::WithOthers}) {
    user->connections.clear();
    const auto listener = start(sharing);
    const auto clients = connect(100);
    EXPECT_TRUE(arrived(100));
  }
}

TEST_F(AcceptLoopTest, TakesMorePerWakeUpWhileMoreComeWhenAlone) {
  const auto listener = start(Sharing::Alone);
  const auto clients = connect(100);
  int wakeups = 0;
  for (; user->connections.size() < 100; ++wakeups) {
    const std::size_t before = user->connections.size();
    ASSERT_TRUE(world.run_until([&] { return user->connections.size() > before; }));
  }
  EXPECT_LT(wakeups, 25);
}

TEST_F(AcceptLoopTest, AcceptsOnceForAConnectionThatComesAlone) {
  const auto listener = start(Sharing::Alone);
  const auto earlier = connect(10);
  ASSERT_TRUE(arrived(10));
  int calls = 0;
  for (std::size_t count = 11; count <= 50; ++count) {
    const auto client = connect(1);
    const sys::FailNth counter{1000, EIO};
    ASSERT_TRUE(arrived(count));
    calls += counter.calls();
  }
  EXPECT_LE(calls, 40 + 12) << "and one for nothing, now and then";
}

TEST_F(AcceptLoopTest, TakesOnePerWakeUpWhenShared) {
  const auto listener = start(Sharing::WithOthers);
  const auto clients = connect(10);
  for (std::size_t count = 1; count <= 10; ++count) {
    ASSERT_TRUE(world.run_until([&] { return user->connections.size() >= count; }));
    EXPECT_EQ(user->connections.size(), count);
  }
}

TEST_F(AcceptLoopTest, TwoOnOneSocketServeEverythingOnce) {
  auto other_user = std::make_shared<Collector>();
  const auto first = start(Sharing::WithOthers);
  const auto second =
      AcceptLoop::start(world.loop, sys::duplicate(first->fd()), other_user, Sharing::WithOthers);
  const auto clients = connect(50);
  EXPECT_TRUE(world.run_until(
      [&] { return user->connections.size() + other_user->connections.size() == 50; }));
  EXPECT_GT(user->connections.size(), 0u);
  EXPECT_GT(other_user->connections.size(), 0u);
}

TEST_F(AcceptLoopTest, LeavesConnectionsInTheKernelWhileTheUserIsFull) {
  user->limit = 2;
  const auto listener = start(Sharing::Alone);
  const auto clients = connect(5);
  ASSERT_TRUE(arrived(2));
  EXPECT_EQ(world.io.poll(), 0u) << "waits for nothing";
  EXPECT_EQ(user->offered, 2);
  user->limit = 5;
  listener->resume();
  EXPECT_TRUE(arrived(5));
}

TEST_F(AcceptLoopTest, ResumeWithoutRoomChangesNothing) {
  user->limit = 1;
  const auto listener = start(Sharing::Alone);
  const auto clients = connect(2);
  ASSERT_TRUE(arrived(1));
  listener->resume();
  world.turn();
  EXPECT_EQ(user->connections.size(), 1u);
}

TEST_F(AcceptLoopTest, ARefusedConnectionIsClosed) {
  user->refuse = true;
  const auto listener = start(Sharing::Alone);
  test::Client client{world, address};
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(user->offered, 1);
}

TEST_F(AcceptLoopTest, DeliversNothingAfterClose) {
  const auto listener = start(Sharing::Alone);
  const auto clients = connect(1);
  listener->close();
  listener->close();
  listener->resume();
  world.turn();
  EXPECT_EQ(user->offered, 0);
  EXPECT_EQ(listener->fd(), -1);
  EXPECT_FALSE(test::Client(world, address).connected());
}

TEST_F(AcceptLoopTest, MayBeClosedAndDroppedByTheConnectionItDelivers) {
  auto listener = start(Sharing::Alone);
  user->on_connection = [&] {
    listener->close();
    listener.reset();
  };
  const auto clients = connect(3);
  ASSERT_TRUE(arrived(1));
  world.turn();
  EXPECT_EQ(user->offered, 1);
}

TEST_F(AcceptLoopTest, StopsWhenItsUserIsGone) {
  const auto listener = start(Sharing::Alone);
  user.reset();
  const auto clients = connect(1);
  world.run_for(1s);
  EXPECT_TRUE(world.io.stopped()) << "nothing left to wait for";
}

TEST_F(AcceptLoopTest, KeepsTheLoopRunningUntilClosed) {
  const auto listener = start(Sharing::Alone);
  world.run_for(20ms);
  EXPECT_FALSE(world.io.stopped());
  listener->close();
  world.run_for(1s);
  EXPECT_TRUE(world.io.stopped());
}

// Lets the soft limit of descriptors be what is open now.
class NoMoreDescriptors {
 public:
  NoMoreDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const OwnFd next = sys::duplicate(0, 0);
    rlimit now = before_;
    now.rlim_cur = static_cast<rlim_t>(next.get());
    ::setrlimit(RLIMIT_NOFILE, &now);
  }
  ~NoMoreDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  NoMoreDescriptors(const NoMoreDescriptors&) = delete;
  NoMoreDescriptors& operator=(const NoMoreDescriptors&) = delete;

 private:
  rlimit before_{};
};

TEST_F(AcceptLoopTest, PausesWithoutDescriptorsInsteadOfSpinning) {
  const auto listener = start(Sharing::Alone);
  const auto clients = connect(3);
  testing::internal::CaptureStderr();
  {
    const NoMoreDescriptors none;
    EXPECT_LT(world.run_for(450ms), 20u) << "handlers that ran in 450 ms";
    EXPECT_EQ(user->offered, 0);
  }
  EXPECT_TRUE(arrived(3)) << "they waited in the kernel";
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "cohort: accept " + to_string(address) +
                ": too many open files (raise the limit of open files: ulimit -n); connections "
                "wait\n")
      << "once";
}

TEST_F(AcceptLoopTest, MayBeDroppedWhileItPauses) {
  auto listener = start(Sharing::Alone);
  const auto clients = connect(1);
  testing::internal::CaptureStderr();
  {
    const sys::FailNth fail{0, ENOBUFS};
    world.run_until([&] { return fail.fired(); });
  }
  testing::internal::GetCapturedStderr();
  listener->close();
  listener.reset();
  world.run_for(1s);
  EXPECT_TRUE(world.io.stopped());
  EXPECT_EQ(user->offered, 0);
}

TEST_F(AcceptLoopTest, AConnectionThatFailedIsSkipped) {
  const auto listener = start(Sharing::Alone);
  for (const int failure : {ECONNABORTED, EPROTO, EPERM, ENETDOWN, EHOSTUNREACH}) {
    user->connections.clear();
    const auto clients = connect(1);
    const sys::FailNth fail{0, failure};
    testing::internal::CaptureStderr();
    EXPECT_TRUE(arrived(1)) << failure;
    EXPECT_TRUE(fail.fired());
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "") << "without a pause";
  }
}

}  // namespace
}  // namespace cohort::net
