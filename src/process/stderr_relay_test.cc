#include "process/stderr_relay.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>

#include "base/notices.h"
#include "base/sys_output.h"
#include "process/helpers_test.h"

namespace cohort::process {
namespace {

using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

class StderrRelayTest : public ::testing::Test {
 protected:
  StderrRelayTest() {
    sys::pipe(from_child_);
    sys::pipe(to_reader_);
    sys::set_nonblocking(from_child_[1].get(), true);
    sys::set_nonblocking(to_reader_[0].get(), true);
  }
  std::shared_ptr<StderrRelay> start() {
    return StderrRelay::start(loop_, std::move(from_child_[0]), to_reader_[1].get());
  }
  /// How much its pipe took.
  std::size_t child_writes(std::string_view text) {
    const ssize_t size = sys::write(from_child_[1].get(), text.data(), text.size());
    return size > 0 ? static_cast<std::size_t>(size) : 0;
  }
  std::string reader_reads(std::size_t size = 1 << 20) {
    std::string text(size, '\0');
    const ssize_t result = sys::read(to_reader_[0].get(), text.data(), size);
    text.resize(result > 0 ? static_cast<std::size_t>(result) : 0);
    return text;
  }
  std::string reader_reads_all() {
    std::string all;
    for (std::string text; !(text = reader_reads()).empty(); turn()) all += text;
    return all;
  }
  // Until everything that is ready has been done; a relay does not keep the loop running.
  void turn() {
    io_.restart();
    const auto work = boost::asio::make_work_guard(io_);
    while (io_.poll() > 0) {
    }
  }

  OwnFd from_child_[2];
  OwnFd to_reader_[2];
  boost::asio::io_context io_{1};
  Loop loop_{io_, io_.get_executor()};
};

TEST_F(StderrRelayTest, PassesOnVerbatimAndKeepsTheLastLines) {
  const auto relay = start();
  const std::string text("warn\x1b[0m\0\xff\nlast words", 21);
  child_writes(text);
  turn();
  EXPECT_EQ(reader_reads(), text);
  EXPECT_EQ(relay->last_lines(1), Lines{"last words"});
}

TEST_F(StderrRelayTest, DoesNotKeepTheLoopRunning) {
  const auto relay = start();
  io_.run_for(60s);
  EXPECT_TRUE(io_.stopped());
}

TEST_F(StderrRelayTest, ASlowReaderSlowsTheChildAndLosesNothing) {
  const auto relay = start();
  std::string sent, got;
  for (int i = 0; sent.size() < 3'000'000; ++i) sent += "line " + std::to_string(i) + '\n';
  std::size_t written = 0;
  for (bool stuck = false; !stuck;) {
    const std::size_t size = child_writes(std::string_view{sent}.substr(written, 10'000));
    written += size;
    stuck = size == 0;
    turn();
  }
  EXPECT_LE(written, 300'000U) << "two pipes and one piece: the child waits";
  EXPECT_EQ(::fcntl(to_reader_[1].get(), F_GETFL) & O_NONBLOCK, 0) << "others have it too";
  while (got.size() < sent.size()) {
    got += reader_reads(7'000);
    turn();
    written += child_writes(std::string_view{sent}.substr(written, 10'000));
    turn();
  }
  EXPECT_TRUE(got == sent);
}

TEST_F(StderrRelayTest, WhatAChildLeftIsPassedOnAfterItsEndAsTheReaderTakesIt) {
  auto relay = start();
  sys::set_pipe_size(from_child_[1].get(), 1 << 20);
  std::string left(900'000, 'x');
  left += "\nlast words\n";
  for (std::size_t at = 0; at < left.size(); turn())
    at += child_writes(std::string_view{left}.substr(at));
  relay->child_ended();
  EXPECT_EQ(relay->last_lines(1), Lines{"last words"}) << "known at once";
  from_child_[1].reset();
  relay.reset();
  turn();
  EXPECT_TRUE(reader_reads_all() == left);
}

TEST_F(StderrRelayTest, WhoeverHoldsThePipeAfterTheChildGoesOnBeingRead) {
  auto relay = start();
  child_writes("child\n");
  relay->child_ended();
  relay->child_ended();  // nothing there, and the writer still open
  relay.reset();
  child_writes("grandchild\n");
  turn();
  EXPECT_EQ(reader_reads(), "child\ngrandchild\n");
}

TEST_F(StderrRelayTest, WhatIsThereAtTheEndOfTheProcessIsStillPassedOn) {
  start();
  std::string left;
  while (child_writes("last words\n") > 0) left += "last words\n";
  finish_relays(io_);
  EXPECT_TRUE(reader_reads_all() == left);
}

TEST_F(StderrRelayTest, ItsEndIsThatOfTheStream) {
  const std::weak_ptr<StderrRelay> relay = start();
  turn();
  EXPECT_FALSE(relay.expired());
  from_child_[1].reset();
  turn();
  EXPECT_TRUE(relay.expired());
}

TEST_F(StderrRelayTest, KeepsLinesAlsoWithoutACopy) {
  const auto relay = StderrRelay::start(loop_, std::move(from_child_[0]), -1);
  child_writes("quiet\n");
  turn();
  EXPECT_EQ(relay->last_lines(9), Lines{"quiet"});
}

TEST_F(StderrRelayTest, AReaderThatGoesAwayStopsNobody) {
  const auto relay = start();
  to_reader_[0].reset();
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(child_writes(std::string(10'000, 'x')), 10'000U);
    turn();  // SIGPIPE would end this program
  }
  child_writes("\nlast\n");
  relay->child_ended();
  EXPECT_EQ(relay->last_lines(1), Lines{"last"});
}

TEST_F(StderrRelayTest, CrashesForAReaderThatNeverReadsAreBoundedAndSaid) {
  std::vector<std::string> notices;
  Notices::of(io_).on([&](const Remark& remark) { notices.push_back(remark.code); });
  const std::string left(1 << 20, 'x');
  std::vector<std::shared_ptr<StderrRelay>> relays;
  std::size_t waiting = 0;
  for (std::size_t i = 0; i < 20; ++i) {
    OwnFd pipe[2];
    sys::pipe(pipe);
    sys::set_pipe_size(pipe[1].get(), 1 << 20);
    sys::set_nonblocking(pipe[1].get(), true);
    sys::write(pipe[1].get(), left.data(), left.size());
    pipe[1].reset();
    relays.push_back(StderrRelay::start(loop_, std::move(pipe[0]), to_reader_[1].get()));
    relays.back()->child_ended();
    waiting += relays.back()->waiting();
  }
  turn();
  EXPECT_LE(waiting, StderrRelay::kLeftMax);
  EXPECT_GT(waiting, StderrRelay::kLeftMax / 2);
  EXPECT_GT(notices.size(), 0U);
  EXPECT_EQ(notices[0], "stderr_dropped");
}

}  // namespace
}  // namespace cohort::process
