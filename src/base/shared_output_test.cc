#include "base/shared_output.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <string>
#include <thread>

#include "base/sys_output.h"

namespace cohort {
namespace {

using namespace std::chrono_literals;

// Both ends of something that can be written to until it is full.
struct Channel {
  OwnFd reader, writer;
};

Channel make_pipe() {
  OwnFd ends[2];
  sys::pipe(ends);
  return {std::move(ends[0]), std::move(ends[1])};
}

Channel make_sockets() {
  OwnFd ends[2];
  sys::socketpair(AF_UNIX, SOCK_STREAM, false, ends);
  return {std::move(ends[0]), std::move(ends[1])};
}

Channel make_terminal() {
  OwnFd screen{::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
  ::grantpt(screen.get());
  ::unlockpt(screen.get());
  OwnFd terminal = sys::open(::ptsname(screen.get()), O_RDWR | O_NOCTTY);
  termios settings{};
  ::tcgetattr(terminal.get(), &settings);
  ::cfmakeraw(&settings);
  ::tcsetattr(terminal.get(), TCSANOW, &settings);
  return {std::move(screen), std::move(terminal)};
}

struct Way {
  const char* name;
  Channel (*make)();
};

// The test itself would hang for ever where a write waits for a reader.
class SharedOutputTest : public ::testing::TestWithParam<Way> {
 protected:
  std::string read_some(std::size_t size) {
    std::string text(size, '\0');
    if (sys::poll(channel_.reader.get(), POLLIN, 0) <= 0) return "";
    const ssize_t result = sys::read(channel_.reader.get(), text.data(), size);
    text.resize(result > 0 ? static_cast<std::size_t>(result) : 0);
    return text;
  }
  /// Until it takes nothing more; how much that was.
  std::size_t fill(SharedOutput& output) {
    std::size_t filled = 0;
    const std::string bytes(10'000, 'x');
    for (ssize_t taken; (taken = output.write_some(bytes)) > 0;)
      filled += static_cast<std::size_t>(taken);
    EXPECT_EQ(errno, EAGAIN);
    return filled;
  }

  Channel channel_ = GetParam().make();
};

INSTANTIATE_TEST_SUITE_P(All, SharedOutputTest,
                         ::testing::Values(Way{"Pipe", make_pipe}, Way{"Socket", make_sockets},
                                           Way{"Terminal", make_terminal}),
                         [](const auto& test) { return std::string{test.param.name}; });

TEST_P(SharedOutputTest, WritesVerbatim) {
  SharedOutput output{channel_.writer.get()};
  const std::string text("warn\x1b[0m\0\xff\nlast words\n", 22);
  EXPECT_EQ(output.write_some(text), 22);
  EXPECT_EQ(output.write_some(""), 0);
  EXPECT_EQ(read_some(100), text);
}

TEST_P(SharedOutputTest, NeverWaitsAndLosesNothingAndRepeatsNothing) {
  SharedOutput output{channel_.writer.get()};
  std::string sent;
  for (int i = 0; sent.size() < 700'000; ++i) sent += "line " + std::to_string(i) + '\n';
  std::string got;
  for (std::size_t at = 0; got.size() < sent.size();) {
    // As a caller with a buffer does it: what was not taken comes again, with more behind it.
    const ssize_t taken = output.write_some(std::string_view{sent}.substr(at, 9'999));
    if (taken > 0)
      at += static_cast<std::size_t>(taken);
    else
      got += read_some(5'000);
    if (at == sent.size()) got += read_some(sent.size());
  }
  EXPECT_TRUE(got == sent);
}

TEST_P(SharedOutputTest, LeavesTheFlagsOfTheFileAlone) {
  SharedOutput output{channel_.writer.get()};
  fill(output);
  EXPECT_EQ(::fcntl(channel_.writer.get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST_P(SharedOutputTest, PollsAsWritableWhenItsReaderReads) {
  SharedOutput output{channel_.writer.get()};
  std::size_t filled = fill(output);
  // What a terminal has taken the kernel passes on a moment later: then it takes more.
  for (int i = 0; i < 100 && LastPatience{20ms}.wait(output); ++i) filled += fill(output);
  EXPECT_FALSE(LastPatience{0ms}.wait(output));
  for (std::size_t read = 0; read < filled;) read += read_some(filled).size();
  LastPatience some{60s};
  EXPECT_TRUE(some.wait(output));
  EXPECT_GT(output.write_some("more"), 0);
}

TEST_P(SharedOutputTest, SurvivesThatItsReaderGoesAway) {
  SharedOutput output{channel_.writer.get()};
  channel_.reader.reset();
  EXPECT_EQ(output.write_some("lost\n"), -1);  // SIGPIPE would end this program
  EXPECT_NE(errno, EAGAIN);
}

TEST(SharedOutput, WritesOutAsLongAsTheReaderReads) {
  Channel channel = make_pipe();
  const std::string text(3 << 20, 'x');
  std::size_t read = 0;
  std::thread reader{[&] {
    std::string buffer(64 * 1024, '\0');
    for (ssize_t n; (n = sys::read(channel.reader.get(), buffer.data(), buffer.size())) > 0;)
      read += static_cast<std::size_t>(n);
  }};
  {
    SharedOutput output{channel.writer.get()};
    LastPatience patience{60s, 60s};
    EXPECT_EQ(write_out(output, text, patience), text.size());
  }
  channel.writer.reset();
  reader.join();
  EXPECT_EQ(read, text.size());
}

TEST(SharedOutput, LeavesAsMuchAsPossibleForAReaderThatComesLate) {
  Channel channel = make_pipe();
  SharedOutput output{channel.writer.get()};
  LastPatience patience{0ms};
  const std::string text(300'000, 'x');
  EXPECT_EQ(write_out(output, text, patience), text.size()) << "an ordinary pipe has 64 KiB";
}

TEST(SharedOutput, AStoppedTerminalIsWaitedForNotOnBehalfOfItsOutput) {
  Channel channel = make_terminal();
  SharedOutput output{channel.writer.get()};
  ASSERT_EQ(::tcflow(channel.writer.get(), TCOOFF), 0);  // as Ctrl-S does
  EXPECT_EQ(output.write_some("stopped"), -1);
  EXPECT_EQ(errno, EAGAIN);
  ASSERT_EQ(::tcflow(channel.writer.get(), TCOON), 0);
  EXPECT_EQ(output.write_some("goes on"), 7);
}

TEST(SharedOutput, WritesWhereNoDescriptorIsLeft) {
  Channel channel = make_pipe();
  SharedOutput output{channel.writer.get()};
  sys::FailNth fail{0, EMFILE};
  EXPECT_EQ(output.write_some("too many open files\n"), 20);
  EXPECT_TRUE(fail.fired());
}

TEST(SharedOutput, SharesThePositionInAFile) {
  const OwnFd file{::memfd_create("log", MFD_CLOEXEC)};
  SharedOutput output{file.get()};
  EXPECT_EQ(output.write_some("one\n"), 4);
  EXPECT_EQ(sys::write(file.get(), "two\n", 4), 4);
  EXPECT_EQ(output.write_some("three\n"), 6);
  char text[100];
  EXPECT_EQ(std::string(text, static_cast<std::size_t>(sys::pread(file.get(), text, 100, 0))),
            "one\ntwo\nthree\n");
}

TEST(SharedOutput, FailsWhereNothingIsOpen) {
  SharedOutput output{-1};
  EXPECT_EQ(output.write_some("lost"), -1);
  EXPECT_NE(errno, EAGAIN);
}

}  // namespace
}  // namespace cohort
