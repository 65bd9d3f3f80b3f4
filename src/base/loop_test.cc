#include "base/loop.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <optional>
#include <string>
#include <thread>
#include <tuple>

#include "base/sys.h"

namespace cohort {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) != -1; }

struct Pair {
  Pair() { EXPECT_EQ(sys::socketpair(AF_UNIX, SOCK_STREAM, true, ends), 0); }
  OwnFd ends[2];
  void write_to(int end) const { EXPECT_EQ(sys::send(ends[end].get(), "x", 1), 1); }
};

class LoopTest : public testing::Test {
 protected:
  asio::io_context io_;
  Loop loop_{io_, io_.get_executor()};
  Pair pair_;
};

using WatchTest = LoopTest;

TEST_F(LoopTest, PostRunsAfterWhatIsReadyNow) {
  std::string order;
  loop_.post([&] {
    loop_.post([&] { order += 'c'; });
    order += 'a';
  });
  loop_.post([&] { order += 'b'; });
  io_.run();
  EXPECT_EQ(order, "abc");
}

TEST_F(WatchTest, CallsBackOnceWhenReadable) {
  Watch watch{loop_, std::move(pair_.ends[0])};
  int calls = 0;
  watch.wait_readable([&] { ++calls; });
  EXPECT_TRUE(watch.waiting_readable());
  pair_.write_to(1);
  io_.run();
  EXPECT_EQ(calls, 1);
  EXPECT_FALSE(watch.waiting_readable());
}

TEST_F(WatchTest, ABytePresentBeforeTheWaitIsSeenAgainByEveryWaitUntilItIsRead) {
  pair_.write_to(1);
  Watch watch{loop_, std::move(pair_.ends[0])};
  int calls = 0;
  watch.wait_readable([&] {
    ++calls;
    watch.wait_readable([&] {
      ++calls;
      char byte;
      EXPECT_EQ(sys::recv(watch.fd(), &byte, 1, 0), 1);
    });
  });
  io_.run();
  EXPECT_EQ(calls, 2);
}

TEST_F(WatchTest, TheEndOfTheStreamIsReadable) {
  Watch watch{loop_, std::move(pair_.ends[0])};
  std::optional<ssize_t> size;
  watch.wait_readable([&] {
    char byte;
    size = sys::recv(watch.fd(), &byte, 1, 0);
  });
  pair_.ends[1].reset();
  io_.run();
  EXPECT_EQ(size, 0);
}

TEST_F(WatchTest, AFailedDescriptorIsReadableAndWritable) {
  OwnFd ends[2];
  ASSERT_EQ(sys::pipe(ends), 0);
  char data[4096] = {};
  ASSERT_EQ(sys::set_nonblocking(ends[1].get(), true), 0);
  while (sys::write(ends[1].get(), data, sizeof data) > 0) {
  }
  Watch watch{loop_, std::move(ends[1])};
  std::string calls;
  watch.wait_readable([&] { calls += 'r'; });
  watch.wait_writable([&] { calls += 'w'; });
  ends[0].reset();
  io_.run();
  std::sort(calls.begin(), calls.end());
  EXPECT_EQ(calls, "rw");
}

TEST_F(WatchTest, ADescriptorThatCannotBeWaitedForIsAlwaysReady) {
  Watch watch{loop_, sys::open("/proc/self/exe", O_RDONLY)};
  int calls = 0;
  watch.wait_readable([&] { ++calls; });
  io_.run();
  EXPECT_EQ(calls, 1);
}

TEST_F(WatchTest, ReadingAndWritingAreWaitedForIndependently) {
  Watch watch{loop_, std::move(pair_.ends[0])};
  std::string order;
  watch.wait_readable([&] { order += 'r'; });
  watch.wait_writable([&] {
    order += 'w';
    pair_.write_to(1);
  });
  io_.run();
  EXPECT_EQ(order, "wr");
}

TEST_F(WatchTest, AWaitKeepsTheLoopRunningUnlessUnrefd) {
  Watch watch{loop_, std::move(pair_.ends[0])};
  bool called = false;
  watch.wait_readable([&] { called = true; });
  EXPECT_EQ(io_.run_for(10ms), 0U);
  EXPECT_FALSE(io_.stopped()) << "it waits still";
  watch.set_ref(false);
  io_.run_for(10s);
  EXPECT_TRUE(io_.stopped()) << "nothing is left to do";
  EXPECT_FALSE(called);
}

TEST_F(WatchTest, AnUnrefdWaitIsServedWhileSomethingElseKeepsTheLoopRunning) {
  Watch watch{loop_, std::move(pair_.ends[0])};
  watch.set_ref(false);
  asio::steady_timer timer{io_, 1h};
  timer.async_wait([](auto) {});
  watch.wait_readable([&] { timer.cancel(); });
  pair_.write_to(1);
  EXPECT_GE(io_.run(), 2U);
}

TEST_F(WatchTest, AnUnrefdWaitThatIsStartedBeforeTheLoopRunsDoesNotStopIt) {
  Watch watch{loop_, std::move(pair_.ends[0])};
  watch.set_ref(false);
  watch.wait_readable([] {});
  bool ran = false;
  loop_.post([&] { ran = true; });
  io_.run();
  EXPECT_TRUE(ran) << "a server that is created after an unref'ed channel still serves";
}

TEST_F(WatchTest, UnrefBeforeTheLoopRunsDoesNotStopIt) {
  Watch watch{loop_, std::move(pair_.ends[0])};
  watch.wait_readable([] {});
  watch.set_ref(false);
  bool ran = false;
  loop_.post([&] { ran = true; });
  io_.run();
  EXPECT_TRUE(ran);
}

// Whether the count of work is right: a timer is still waited for, and nothing else is.
void expect_balanced(asio::io_context& io) {
  if (io.stopped()) io.restart();
  bool fired = false;
  asio::steady_timer timer{io, 1ms};
  timer.async_wait([&](auto) { fired = true; });
  const auto start = std::chrono::steady_clock::now();
  io.run_for(10s);
  EXPECT_TRUE(fired) << "the loop ended too early";
  EXPECT_LT(std::chrono::steady_clock::now() - start, 5s) << "the loop ended too late";
}

TEST_F(WatchTest, RefAndUnrefWhilePendingLeaveTheCountOfWorkRight) {
  {
    Watch watch{loop_, std::move(pair_.ends[0])};
    watch.wait_readable([] {});
    watch.wait_writable([] {});
    for (int i = 0; i < 5; ++i) {
      watch.set_ref(false);
      watch.set_ref(false);
      watch.set_ref(true);
    }
    watch.set_ref(false);
    expect_balanced(io_);  // the wait for writing is over by then
    watch.set_ref(true);
    watch.set_ref(false);
    expect_balanced(io_);
  }
  expect_balanced(io_);
}

TEST_F(WatchTest, UnrefdWaitsThatAreServedLeaveTheCountOfWorkRight) {
  Watch watch{loop_, std::move(pair_.ends[0])};
  watch.set_ref(false);
  int calls = 0;
  std::function<void()> again = [&] {
    if (++calls < 50) watch.wait_readable(again);
  };
  watch.wait_readable(again);
  pair_.write_to(1);
  expect_balanced(io_);
  while (calls < 50) expect_balanced(io_);
  expect_balanced(io_);
}

TEST_F(WatchTest, DestroyingItDropsTheCallbacksAndClosesTheDescriptor) {
  for (const bool ref : {true, false}) {
    Pair pair;
    bool called = false;
    const auto held = std::make_shared<int>();
    const int fd = pair.ends[0].get();
    {
      Watch watch{loop_, std::move(pair.ends[0])};
      watch.set_ref(ref);
      watch.wait_readable([&called, held] { called = true; });
      pair.write_to(1);
    }
    EXPECT_FALSE(is_open(fd));
    EXPECT_EQ(held.use_count(), 1) << "what a callback held is free at once";
    expect_balanced(io_);
    EXPECT_FALSE(called);
  }
}

TEST_F(WatchTest, DestroyingItFromAnotherCallbackOfTheSameTurnDropsItsOwn) {
  Pair other;
  std::optional<Watch> first;
  std::optional<Watch> second;
  first.emplace(loop_, std::move(pair_.ends[0]));
  second.emplace(loop_, std::move(other.ends[0]));
  int calls = 0;
  // Both are ready in the same turn: whoever comes first destroys the other.
  first->wait_readable([&] { ++calls, second.reset(); });
  second->wait_readable([&] { ++calls, first.reset(); });
  pair_.write_to(1);
  other.write_to(1);
  expect_balanced(io_);
  EXPECT_EQ(calls, 1);
}

TEST_F(WatchTest, ItMayBeDestroyedByItsOwnCallback) {
  for (const bool ref : {true, false}) {
    Pair pair;
    auto watch = std::make_unique<Watch>(loop_, std::move(pair.ends[0]));
    watch->set_ref(ref);
    int calls = 0;
    // Both are ready in one turn.
    watch->wait_readable([&] { ++calls, watch.reset(); });
    watch->wait_writable([&] { ++calls, watch.reset(); });
    pair.write_to(1);
    expect_balanced(io_);
    EXPECT_EQ(calls, 1);
    expect_balanced(io_);
  }
}

TEST_F(WatchTest, ReleaseTakesTheDescriptorOutOpenAndDropsTheCallbacks) {
  for (const bool ref : {true, false}) {
    Pair pair;
    bool called = false;
    const int fd = pair.ends[0].get();
    Watch watch{loop_, std::move(pair.ends[0])};
    watch.set_ref(ref);
    watch.wait_readable([&] { called = true; });
    const OwnFd released = watch.release();
    EXPECT_EQ(released.get(), fd);
    EXPECT_EQ(watch.fd(), -1);
    EXPECT_FALSE(watch.waiting_readable());
    pair.write_to(1);
    expect_balanced(io_);
    EXPECT_FALSE(called);
    EXPECT_TRUE(is_open(fd));
  }
}

TEST_F(WatchTest, AReleasedDescriptorCanBeWatchedAgain) {
  Watch watch{loop_, std::move(pair_.ends[0])};
  watch.wait_readable([] { FAIL(); });
  Watch again{loop_, watch.release()};
  bool called = false;
  again.wait_readable([&] { called = true; });
  pair_.write_to(1);
  io_.run();
  EXPECT_TRUE(called);
}

TEST_F(WatchTest, ReleaseMayDropTheLastOwnerOfTheWatch) {
  auto watch = std::make_shared<Watch>(loop_, std::move(pair_.ends[0]));
  Watch& bare = *watch;
  bare.wait_readable([owner = std::move(watch)] {});
  const OwnFd released = bare.release();
  EXPECT_TRUE(is_open(released.get()));
  expect_balanced(io_);
}

// A loop on a user's io_context: callbacks go through a strand, which may be busy.
class StrandTest : public testing::Test {
 protected:
  asio::io_context io_;
  asio::strand<asio::io_context::executor_type> strand_{io_.get_executor()};
  Loop loop_{io_, strand_};
  Pair pair_;
};

TEST_F(StrandTest, CallbacksRunOnTheStrand) {
  Watch watch{loop_, std::move(pair_.ends[0])};
  bool called = false;
  watch.wait_readable([&] {
    EXPECT_TRUE(strand_.running_in_this_thread());
    called = true;
  });
  pair_.write_to(1);
  io_.run();
  EXPECT_TRUE(called);
}

// Runs `task` on the strand as its `turn`-th turn after the descriptor became ready. For some turn
// that is after the operation completed and before its callback ran, which waits behind `task`.
void at_turn(const Loop& loop, int turn, std::function<void()> task) {
  loop.post([&loop, turn, task = std::move(task)] {
    if (turn == 0)
      task();
    else
      at_turn(loop, turn - 1, task);
  });
}

TEST_F(StrandTest, UnrefBetweenReadinessAndTheCallbackLeavesTheCountOfWorkRight) {
  for (int turn = 0; turn < 8; ++turn) {
    Pair pair;
    Watch watch{loop_, std::move(pair.ends[0])};
    bool called = false;
    watch.wait_readable([&] { called = true; });
    pair.write_to(1);
    at_turn(loop_, turn, [&] { watch.set_ref(false); });
    expect_balanced(io_);
    EXPECT_TRUE(called);
    expect_balanced(io_);
  }
}

TEST_F(StrandTest, DestroyingItBetweenReadinessAndTheCallbackDropsTheCallback) {
  for (const bool ref : {true, false}) {
    for (int turn = 0; turn < 8; ++turn) {
      Pair pair;
      std::optional<Watch> watch;
      watch.emplace(loop_, std::move(pair.ends[0]));
      watch->set_ref(ref);
      bool destroyed = false;
      watch->wait_readable([&] { EXPECT_FALSE(destroyed); });
      pair.write_to(1);
      at_turn(loop_, turn, [&] {
        watch.reset();
        destroyed = true;
      });
      expect_balanced(io_);
      EXPECT_TRUE(destroyed);
      expect_balanced(io_);
    }
  }
}

TEST_F(StrandTest, SeveralThreadsLeaveTheCountOfWorkRight) {
  Watch watch{loop_, std::move(pair_.ends[0])};
  int calls = 0;
  int toggles = 0;
  std::function<void()> read = [&] {
    char byte;
    while (sys::recv(watch.fd(), &byte, 1, 0) == 1) {
    }
    if (++calls < 500) watch.wait_readable(read);
  };
  std::function<void()> toggle = [&] {
    watch.set_ref(toggles % 2 == 0);
    std::ignore = sys::send(pair_.ends[1].get(), "x", 1);  // the buffer may be full
    if (++toggles < 5000 && calls < 500) loop_.post(toggle);
  };
  watch.wait_readable(read);
  loop_.post(toggle);
  std::thread second{[&] { io_.run(); }};
  io_.run();
  second.join();
  expect_balanced(io_);
}

}  // namespace
}  // namespace cohort
