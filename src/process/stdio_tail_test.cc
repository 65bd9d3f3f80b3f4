#include "process/stdio_tail.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/sys.h"
#include "process/helpers_test.h"

namespace cohort::process {
namespace {

using Lines = std::vector<std::string>;

struct Terminal {
  Terminal() {
    ::grantpt(screen.get());
    ::unlockpt(screen.get());
    fd = sys::open(::ptsname(screen.get()), O_RDWR | O_NOCTTY);
  }
  int get() const { return fd.get(); }

  const OwnFd screen{::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
  OwnFd fd;
};

bool goes_through_us(int fd, StderrWish wish) {
  const auto plan = plan_stderr(fd, wish);
  EXPECT_TRUE(plan);
  return plan && plan->child_end;
}

TEST(StderrPlan, APipeIsPassedOnAndEverythingElseIsTheChildsAsItIs) {
  OwnFd pipe[2], sockets[2];
  sys::pipe(pipe);
  sys::socketpair(AF_UNIX, SOCK_STREAM, false, sockets);
  const TemporaryDirectory directory;
  const OwnFd file = sys::open((directory.path() + "/log").c_str(), O_WRONLY | O_CREAT, 0600);
  const OwnFd null = sys::open("/dev/null", O_WRONLY);
  const Terminal tty;
  EXPECT_TRUE(goes_through_us(pipe[1].get(), StderrWish::AsItIs));
  for (const int fd : {sockets[0].get(), file.get(), null.get(), tty.get()})
    EXPECT_FALSE(goes_through_us(fd, StderrWish::AsItIs)) << fd;
}

TEST(StderrPlan, WhereTheLastLinesAreAskedForOnlyAFileHasThemByItself) {
  const Terminal tty;
  EXPECT_TRUE(goes_through_us(tty.get(), StderrWish::LastLines));
  EXPECT_TRUE(goes_through_us(-1, StderrWish::LastLines)) << "ignored";
  const TemporaryDirectory directory;
  const OwnFd file = sys::open((directory.path() + "/log").c_str(), O_WRONLY | O_CREAT, 0600);
  EXPECT_FALSE(goes_through_us(file.get(), StderrWish::LastLines));
}

class FileTailTest : public ::testing::TestWithParam<int> {
 protected:
  void write(std::string_view text) {
    EXPECT_EQ(sys::write(file_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  std::unique_ptr<StderrTail> start() {
    auto plan = plan_stderr(file_.get(), StderrWish::AsItIs);
    EXPECT_TRUE(plan);
    return StderrTail::start(loop_, std::move(*plan));
  }

  const TemporaryDirectory directory_;
  const OwnFd file_ =
      sys::open((directory_.path() + "/log").c_str(), O_WRONLY | O_CREAT | GetParam(), 0600);
  boost::asio::io_context io_{1};
  Loop loop_{io_, io_.get_executor()};
};

INSTANTIATE_TEST_SUITE_P(All, FileTailTest, ::testing::Values(0, O_APPEND),
                         [](const auto& test) { return test.param == 0 ? "Plain" : "Appending"; });

TEST_P(FileTailTest, ReadsBackWhatWasWrittenSinceTheChildStarted) {
  write("before\n");
  const auto tail = start();
  EXPECT_EQ(tail->last_lines(9), Lines{});
  write("one\ntwo\n");
  tail->drain_now();
  EXPECT_EQ(tail->last_lines(9), (Lines{"one", "two"}));
  EXPECT_EQ(tail->last_lines(1), Lines{"two"});
}

TEST_P(FileTailTest, NothingWrittenIsNoLine) {
  write("before\n");
  const auto tail = start();
  tail->drain_now();
  EXPECT_EQ(tail->last_lines(9), Lines{});
}

TEST_P(FileTailTest, ReadsTheEndOfALongFile) {
  const auto tail = start();
  for (int i = 0; i < 2'000; ++i) write("line " + std::to_string(i) + '\n');
  tail->drain_now();
  EXPECT_EQ(tail->last_lines(2), (Lines{"line 1998", "line 1999"}));
  EXPECT_EQ(tail->last_lines(9'999).front().substr(0, 5), "line ") << "whole lines only";
}

TEST_P(FileTailTest, ALogThatWasCutMeanwhileIsReadFromItsBeginning) {
  write("a long line before the child was started\n");
  const auto tail = start();
  ASSERT_EQ(sys::ftruncate(file_.get(), 0), 0);
  const OwnFd other = sys::open((directory_.path() + "/log").c_str(), O_WRONLY | O_APPEND);
  EXPECT_EQ(sys::write(other.get(), "new\n", 4), 4);
  tail->drain_now();
  EXPECT_EQ(tail->last_lines(9), Lines{"new"});
}

}  // namespace
}  // namespace cohort::process
