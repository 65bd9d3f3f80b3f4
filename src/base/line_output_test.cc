#include "base/line_output.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/sys.h"

namespace cohort {
namespace {

using namespace std::chrono_literals;

// While it lives, no descriptor can be had.
class NoDescriptors {
 public:
  NoDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit none = before_;
    none.rlim_cur = 0;
    ::setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

class LineOutputTest : public ::testing::Test {
 protected:
  void turn() {
    io_.restart();
    const auto work = boost::asio::make_work_guard(io_);
    while (io_.poll() > 0) {
    }
  }
  std::string read_all_now() {
    std::string all, text(64 * 1024, '\0');
    while (sys::poll(pipe_[0].get(), POLLIN, 0) > 0) {
      const ssize_t size = sys::read(pipe_[0].get(), text.data(), text.size());
      if (size <= 0) break;
      all.append(text, 0, static_cast<std::size_t>(size));
      turn();
    }
    return all;
  }

  OwnFd pipe_[2];
  const int made_ = sys::pipe(pipe_);  // before what writes there
  boost::asio::io_context io_{1};
  Loop loop_{io_, io_.get_executor()};
  LineOutput output_{loop_, pipe_[1].get(),
                     [](std::uint64_t lines) { return "(" + gap_text(lines) + ")\n"; }};
};

TEST_F(LineOutputTest, AFullDiskIsTriedAgainWithTheNextLine) {
  OwnFd file = sys::open("/dev/full", O_WRONLY);
  ASSERT_TRUE(file);
  LineOutput output{loop_, file.get(),
                    [](std::uint64_t lines) { return "(" + gap_text(lines) + ")\n"; }};
  output.write("one\n");
  output.write("two\n");
  turn();
  ASSERT_NE(::dup2(pipe_[1].get(), file.get()), -1);  // Now there is room.
  EXPECT_EQ(read_all_now(), "");
  output.write("three\n");
  EXPECT_EQ(read_all_now(), "one\ntwo\nthree\n");
}

TEST_F(LineOutputTest, OfAFullDiskThereIsAnEnd) {
  const OwnFd file = sys::open("/dev/full", O_WRONLY);
  LineOutput output{loop_, file.get(), [](std::uint64_t) { return std::string{}; }};
  for (int i = 0; i < 3; ++i) output.write(std::string(200 * 1024, 'x') + '\n');
  output.finish();
}

TEST_F(LineOutputTest, WritesAtOnceWhereThereIsRoom) {
  output_.write("one\n");
  EXPECT_EQ(read_all_now(), "one\n");
}

TEST_F(LineOutputTest, SaysInTheirPlaceHowManyLinesWereDropped) {
  const std::string line = std::string(99, 'x') + '\n';
  constexpr int kLines = 10'000;
  for (int i = 0; i < kLines; ++i) output_.write(std::to_string(i) + ' ' + line);
  const std::string early = read_all_now();
  output_.write("later\n");
  const std::string text = early + read_all_now();
  // In order: the first lines, whole, then the gap, then what came later.
  int next = 0;
  std::size_t at = 0;
  for (; text.substr(at, 1) != "("; ++next) {
    const std::string expected = std::to_string(next) + ' ' + line;
    ASSERT_EQ(text.substr(at, expected.size()), expected);
    at += expected.size();
  }
  EXPECT_GE(at, LineOutput::kWaitingMax);
  EXPECT_EQ(text.substr(at), "(" + std::to_string(kLines - next) +
                                 " lines were dropped: stderr did not take them in time)\nlater\n");
}

TEST_F(LineOutputTest, LeavesTheFlagsOfTheFileAloneWhileItWaits) {
  const std::string line = std::string(99'999, 'x') + '\n';
  output_.write(line);
  output_.write(line);
  turn();
  EXPECT_EQ(::fcntl(pipe_[1].get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_EQ(read_all_now(), line + line);
}

TEST_F(LineOutputTest, GoesOnWhenThereAreDescriptorsAgain) {
  const std::string line = std::string(99'999, 'x') + '\n';
  {
    const NoDescriptors none;
    for (int i = 0; i < 9; ++i) output_.write(line);
  }
  read_all_now();
  output_.write("later\n");
  const std::string text = read_all_now();
  EXPECT_NE(text.find("lines were dropped"), std::string::npos);
  output_.write("at last\n");
  EXPECT_EQ(read_all_now(), "at last\n");
}

TEST_F(LineOutputTest, DoesNotKeepTheLoopRunning) {
  for (int i = 0; i < 100; ++i) output_.write(std::string(4'000, 'x') + '\n');
  io_.run_for(60s);
  EXPECT_TRUE(io_.stopped());
}

TEST_F(LineOutputTest, FollowsWhatItsDescriptorIsOpenOn) {
  output_.write("to the first\n");
  OwnFd other[2];
  sys::pipe(other);
  ASSERT_NE(::dup2(other[1].get(), pipe_[1].get()), -1);
  output_.write("to the second\n");
  EXPECT_EQ(read_all_now(), "to the first\n");
  pipe_[0] = std::move(other[0]);
  EXPECT_EQ(read_all_now(), "to the second\n");
}

TEST_F(LineOutputTest, AtItsEndWritesWhatAReaderTakes) {
  OwnFd other[2];
  sys::pipe(other);
  {
    LineOutput output{loop_, other[1].get(), gap_text};
    for (int i = 0; i < 50; ++i) output.write(std::string(3'999, 'x') + '\n');
  }
  int waiting = 0;
  EXPECT_EQ(sys::bytes_readable(other[0].get(), waiting), 0);
  EXPECT_EQ(waiting, 50 * 4'000) << "also one that comes late";
}

TEST_F(LineOutputTest, SurvivesThatNobodyReads) {
  pipe_[0].reset();
  output_.write("lost\n");
  output_.finish();
}

TEST(LineOutput, NamesOneLineAndMore) {
  EXPECT_EQ(gap_text(1), "1 line was dropped: stderr did not take them in time");
  EXPECT_EQ(gap_text(12), "12 lines were dropped: stderr did not take them in time");
}

}  // namespace
}  // namespace cohort
