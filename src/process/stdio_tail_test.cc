#include "process/stdio_tail.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <csignal>

#include "base/sys.h"
#include "process/helpers_test.h"

namespace cohort::process {
namespace {

using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

TEST(LineTail, KeepsTheLastLines) {
  LineTail tail;
  EXPECT_EQ(tail.last_lines(5), Lines{});
  tail.append("one\ntwo\nth");
  EXPECT_EQ(tail.last_lines(5), (Lines{"one", "two", "th"}));
  tail.append("ree\n");
  EXPECT_EQ(tail.last_lines(2), (Lines{"two", "three"}));
  EXPECT_EQ(tail.last_lines(0), Lines{});
  tail.append("\n");
  EXPECT_EQ(tail.last_lines(2), (Lines{"three", ""}));
}

TEST(LineTail, KeepsWholeLinesOnly) {
  LineTail tail{10};
  tail.append("first\nsecond\nthird\n");
  EXPECT_EQ(tail.last_lines(9), Lines{"third"});
  tail.append("12345\n7890");  // ten bytes: a line may begin exactly where the text is cut
  EXPECT_EQ(tail.last_lines(9), (Lines{"12345", "7890"}));
}

TEST(LineTail, KeepsTheEndOfALineThatIsTooLong) {
  LineTail tail{10};
  tail.append("abcdefghijklmno");
  EXPECT_EQ(tail.last_lines(9), Lines{"fghijklmno"});
  tail.append("\n");
  EXPECT_EQ(tail.last_lines(9), Lines{"ghijklmno"});
}

TEST(LineTail, IsTheSameHoweverTheBytesArrive) {
  const std::string text = "alpha\nbeta\n\ngamma delta epsilon\nz\n";
  for (std::size_t size_max = 1; size_max < 40; ++size_max) {
    LineTail whole{size_max}, bytes{size_max};
    whole.append(text);
    for (const char byte : text) bytes.append({&byte, 1});
    EXPECT_EQ(whole.last_lines(99), bytes.last_lines(99)) << size_max;
  }
}

class StderrTailTest : public ::testing::Test {
 protected:
  StderrTailTest() {
    sys::pipe(from_child_);
    sys::pipe(to_terminal_);
  }
  std::unique_ptr<StderrTail> make() {
    return std::make_unique<StderrTail>(loop_, std::move(from_child_[0]), to_terminal_[1].get());
  }
  void child_writes(const std::string& text) {
    EXPECT_EQ(sys::write(from_child_[1].get(), text.data(), text.size()),
              static_cast<ssize_t>(text.size()));
  }
  std::string terminal_reads(std::size_t size) {
    std::string text(size, '\0');
    const ssize_t result = sys::read(to_terminal_[0].get(), text.data(), size);
    text.resize(result > 0 ? static_cast<std::size_t>(result) : 0);
    return text;
  }
  // Until everything that is ready has been done; the tail does not keep the loop running.
  void turn() {
    io_.restart();
    const auto work = boost::asio::make_work_guard(io_);
    while (io_.poll() > 0) {
    }
  }

  OwnFd from_child_[2];
  OwnFd to_terminal_[2];
  boost::asio::io_context io_{1};
  Loop loop_{io_, io_.get_executor()};
};

TEST_F(StderrTailTest, CopiesVerbatimAndKeepsTheLastLines) {
  const auto tail = make();
  const std::string text("warn\x1b[0m\0\xff\nlast words", 21);
  child_writes(text);
  turn();
  EXPECT_EQ(terminal_reads(100), text);
  EXPECT_EQ(tail->last_lines(1), Lines{"last words"});
  EXPECT_EQ(tail->dropped(), 0U);
}

TEST_F(StderrTailTest, DoesNotKeepTheLoopRunning) {
  const auto tail = make();
  io_.run_for(30s);
  EXPECT_TRUE(io_.stopped());
}

TEST_F(StderrTailTest, DrainsWithoutTheLoopAndWithoutTheEndOfTheStream) {
  const auto tail = make();
  child_writes(std::string(40'000, 'x') + "\nlast words\n");
  tail->drain_now();
  EXPECT_EQ(tail->last_lines(1), Lines{"last words"});
  tail->drain_now();  // nothing there, and the writer still open
  from_child_[1].reset();
  turn();
  tail->drain_now();
  EXPECT_EQ(tail->last_lines(1), Lines{"last words"});
}

TEST_F(StderrTailTest, KeepsLinesAlsoWithoutACopy) {
  StderrTail tail{loop_, std::move(from_child_[0]), -1};
  child_writes("quiet\n");
  turn();
  EXPECT_EQ(tail.last_lines(9), Lines{"quiet"});
}

TEST_F(StderrTailTest, DropsWhatASlowTerminalDoesNotTakeAndCountsIt) {
  const auto tail = make();
  constexpr std::size_t kTurns = 100, kSize = 10'000;
  for (std::size_t i = 0; i < kTurns; ++i) {
    child_writes(std::string(kSize, 'x'));
    turn();
  }
  const std::size_t kept = kTurns * kSize - tail->dropped();
  EXPECT_GE(kept, StderrTail::kBacklogSizeMax);
  EXPECT_LE(kept, StderrTail::kBacklogSizeMax + 64 * 1024)
      << "the limit, and the terminal's own buffer";
  std::size_t read = 0;
  while (read < kept) {
    read += terminal_reads(64 * 1024).size();
    turn();
  }
  child_writes("again\n");
  turn();
  EXPECT_EQ(terminal_reads(100), "again\n");
}

TEST_F(StderrTailTest, SurvivesATerminalThatGoesAway) {
  const auto tail = make();
  to_terminal_[0].reset();
  child_writes("lost\n");
  turn();  // SIGPIPE would end this program
  EXPECT_EQ(tail->last_lines(1), Lines{"lost"});
  EXPECT_EQ(tail->dropped(), 5U);
}

TEST_F(StderrTailTest, LeavesTheFlagsOfTheTerminalAlone) {
  const auto tail = make();
  child_writes("x");
  turn();
  EXPECT_EQ(::fcntl(to_terminal_[1].get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(StderrTailTest, CopiesIntoAFile) {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/log";
  const OwnFd file = sys::open(path.c_str(), O_RDWR | O_CREAT, 0600);
  {
    StderrTail tail{loop_, std::move(from_child_[0]), file.get()};
    child_writes("one\n");
    turn();
    // The position in the file is shared with whoever else writes into it.
    EXPECT_EQ(sys::write(file.get(), "two\n", 4), 4);
    child_writes("three\n");
    tail.drain_now();
  }
  const OwnFd again = sys::open(path.c_str(), O_RDONLY);
  EXPECT_EQ(read_all(again.get()), "one\ntwo\nthree\n");
}

TEST_F(StderrTailTest, CopiesIntoATerminal) {
  const OwnFd screen{::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
  ASSERT_EQ(::grantpt(screen.get()), 0);
  ASSERT_EQ(::unlockpt(screen.get()), 0);
  const OwnFd terminal = sys::open(::ptsname(screen.get()), O_RDWR | O_NOCTTY);
  StderrTail tail{loop_, std::move(from_child_[0]), terminal.get()};
  child_writes("hello\n");
  turn();
  EXPECT_EQ(read_line(screen.get()), "hello\r");
}

}  // namespace
}  // namespace cohort::process
