#include "process/shared_stdio.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pty.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <optional>
#include <string>

#include "base/sys.h"
#include "process/child_fixture_test.h"
#include "process/helpers_test.h"

namespace cohort {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

class SharedStdio : public ChildTest {
 protected:
  // Whether descriptor 0 of a child that gets `fd` there blocks.
  std::optional<bool> blocks_in_child(int fd) {
    std::string text;
    const ChildProcess child = spawn(io(), "cat", {"/proc/self/fdinfo/0"}, {.stdio = {fd}});
    collect(child.stdout_(), text);
    record(child);
    child.on_close([&](const Exit&) { io().stop(); });
    io().restart();
    io().run_for(30s);
    io().restart();
    io().poll();
    const auto at = text.find("flags:");
    if (at == std::string::npos) return std::nullopt;
    return (std::stoul(text.substr(at + 6), nullptr, 8) & O_NONBLOCK) == 0;
  }
  static bool blocks_here(int fd) { return (::fcntl(fd, F_GETFL) & O_NONBLOCK) == 0; }
};

// A reader of a program's own, as Asio has it: of the same open file.
struct Reader {
  Reader(asio::io_context& io, int fd) : descriptor{io, sys::duplicate(fd).release()} {
    descriptor.async_read_some(asio::buffer(&byte, 1), [](auto, std::size_t) {});
    io.poll();
  }
  char byte = 0;
  asio::posix::stream_descriptor descriptor;
};

TEST_F(SharedStdio, WhatThisProcessWasStartedWithoutIsNothingOfItsOwnInAChild) {
  const process::Output output = process::run(process::role_request("closed_standard"));
  EXPECT_EQ(output.text, "/dev/null\n/dev/null\n/dev/null\n");
}

TEST_F(SharedStdio, AReaderOfOursGoesOnAndTheChildsBlocks) {
  OwnFd pipe[2];
  ASSERT_EQ(sys::pipe(pipe), 0);
  int terminal[2];
  ASSERT_EQ(::openpty(&terminal[0], &terminal[1], nullptr, nullptr, nullptr), 0);
  const OwnFd ends[] = {OwnFd{terminal[0]}, OwnFd{terminal[1]}};
  for (const int fd : {pipe[0].get(), terminal[1]}) {
    const Reader reader{io(), fd};
    ASSERT_FALSE(blocks_here(fd));
    EXPECT_EQ(blocks_in_child(fd), true);
    EXPECT_FALSE(blocks_here(fd)) << "as it was";
  }
  io().poll();
  EXPECT_TRUE(errors.empty());
}

TEST_F(SharedStdio, ASocketIsRefusedIfALoopWaitsForWhatIsInherited) {
  OwnFd pair[2];
  ASSERT_EQ(sys::socketpair(AF_UNIX, SOCK_STREAM, true, pair), 0);
  const OwnFd standard = sys::duplicate(STDIN_FILENO);
  ::dup2(pair[0].get(), STDIN_FILENO);
  {
    const Reader reader{io(), STDIN_FILENO};
    EXPECT_EQ(blocks_in_child(STDIN_FILENO), std::nullopt);
    EXPECT_FALSE(blocks_here(STDIN_FILENO));
  }
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_EQ(errors[0].code, Errc::InvalidArgument);
  EXPECT_NE(errors[0].message().find("a loop of this process waits for it"), std::string::npos)
      << errors[0];
  io().poll();
  EXPECT_EQ(blocks_in_child(STDIN_FILENO), true) << "nobody waits any more";
  ::dup2(standard.get(), STDIN_FILENO);
}

// As inetd does.
TEST_F(SharedStdio, ASocketThatIsGivenIsMadeBlocking) {
  OwnFd pair[2];
  ASSERT_EQ(sys::socketpair(AF_UNIX, SOCK_STREAM, true, pair), 0);
  const Reader reader{io(), pair[0].get()};
  EXPECT_EQ(blocks_in_child(pair[0].get()), true);
  pair[1].reset();
  io().poll();
}

}  // namespace
}  // namespace cohort
