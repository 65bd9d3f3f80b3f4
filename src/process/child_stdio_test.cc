#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <numeric>

#include "base/sys.h"
#include "process/child_fixture_test.h"
#include "process/helpers_test.h"

namespace cohort {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

class ChildStdioKind : public ChildTest {};
class ChildStdin : public ChildTest {};
class ChildStdout : public ChildTest {};
class ChildAsio : public ChildTest {};

std::string contents(int fd) {
  std::string text;
  char buffer[4096];
  ::lseek(fd, 0, SEEK_SET);
  for (ssize_t size = 0; (size = ::read(fd, buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(size));
  return text;
}

// --- what the descriptors are

// test-child-process-stdio
TEST_F(ChildStdioKind, PipesUnlessToldOtherwise) {
  const ChildProcess pipes = spawn(io(), "true");
  EXPECT_TRUE(pipes.stdin_() && pipes.stdout_() && pipes.stderr_());
  EXPECT_TRUE(pipes.stdin_().writable() && !pipes.stdin_().readable());
  EXPECT_TRUE(!pipes.stdout_().writable() && pipes.stdout_().readable());
  const ChildProcess ignored = spawn(io(), "true", {}, {.stdio = Stdio::Ignore});
  EXPECT_FALSE(ignored.stdin_() || ignored.stdout_() || ignored.stderr_() || ignored.stdio(3));
  const ChildProcess padded = spawn(io(), "true", {}, {.stdio = {Stdio::Ignore}});
  EXPECT_TRUE(!padded.stdin_() && padded.stdout_() && padded.stderr_());

  // Output waits for its reader.
  std::string text;
  const ChildProcess late = spawn(io(), "echo", {"waits"});
  late.on_exit([&](const Exit&) { collect(late.stdout_(), text); });
  run();
  EXPECT_EQ(text, "waits\n");
}

// test-child-process-validate-stdio
TEST_F(ChildStdioKind, HasExactlyTheDescriptorsOfTheList) {
  const std::string list =
      "for fd in /proc/self/fd/*; do fd=${fd##*/}; [ -e /proc/$$/fd/$fd ] && "
      "[ $(readlink /proc/$$/fd/$fd | cut -c1-5) != pipe: -o $fd -lt 3 ] && echo $fd; done";
  const OwnFd file{::memfd_create("extra", MFD_CLOEXEC)};
  // The lifeline, a pipe, is the last one; dash keeps none of its own below 10.
  EXPECT_EQ(output_of(list, {.stdio = {Stdio::Ignore, Stdio::Pipe, 2, Stdio::Ignore, file.get()}}),
            "0\n1\n2\n4\n");
  EXPECT_EQ(output_of(list, {.stdio = {Stdio::Inherit, Stdio::Pipe, Stdio::Inherit, Stdio::Pipe}}),
            "0\n1\n2\n3\n");
}

// test-child-process-stdio-overlapped
TEST_F(ChildStdioKind, OverlappedIsAPipe) {
  std::string text;
  const ChildProcess child =
      spawn(io(), "cat", {}, {.stdio = {Stdio::Overlapped, Stdio::Overlapped, Stdio::Overlapped}});
  collect(child.stdout_(), text);
  child.stdin_().end("hello\n");
  run();
  EXPECT_EQ(text, "hello\n");
}

// test-child-process-stdio-inherit
TEST_F(ChildStdioKind, InheritIsOurs) {
  const OwnFd file{::memfd_create("stdout", MFD_CLOEXEC)};
  const OwnFd ours{::fcntl(1, F_DUPFD_CLOEXEC, 3)};
  ::dup2(file.get(), 1);
  const ChildProcess child =
      spawn(io(), "sh", {"-c", "sh -c 'echo grandchild'"}, {.stdio = Stdio::Inherit});
  ::dup2(ours.get(), 1);
  run();
  EXPECT_EQ(contents(file.get()), "grandchild\n");
}

// test-child-process-set-blocking
TEST_F(ChildStdioKind, AnInheritedDescriptorIsBlockingForTheChild) {
  OwnFd ends[2];
  ASSERT_EQ(sys::pipe(ends), 0);
  sys::set_nonblocking(ends[1].get(), true);
  const ChildProcess child =
      spawn(io(), "sh", {"-c", "head -c 300000 /dev/zero"}, {.stdio = {0, ends[1].get(), 2}});
  ends[1].reset();
  std::size_t size = 0;
  char buffer[65536];
  for (ssize_t count = 0; (count = ::read(ends[0].get(), buffer, sizeof buffer)) > 0;)
    size += static_cast<std::size_t>(count);
  run();
  EXPECT_EQ(size, 300'000U);
  EXPECT_TRUE(child.exit()->success());
}

// test-child-process-can-write-to-stdout
TEST_F(ChildStdioKind, StdoutCanBeOpenedAnew) {
  EXPECT_EQ(output_of("echo there > /dev/stdout"), "there\n") << "with Node's sockets it cannot";
}

// test-child-process-server-close
TEST_F(ChildStdioKind, ASocketCanBeStdout) {
  OwnFd pair[2];
  ASSERT_EQ(sys::socketpair(AF_UNIX, SOCK_STREAM, true, pair), 0);
  spawn(io(), "sh", {"-c", "head -c 400000 /dev/zero | tr '\\0' x"},
        {.stdio = {Stdio::Ignore, pair[1].get(), Stdio::Inherit}});
  pair[1].reset();
  sys::set_nonblocking(pair[0].get(), false);
  std::string text;
  char buffer[65536];
  for (ssize_t size = 0; (size = sys::read(pair[0].get(), buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(size));
  EXPECT_EQ(text, std::string(400'000, 'x'));
  run();
}

TEST_F(ChildStdioKind, AnExtraPipeGoesBothWays) {
  std::string text;
  bool ended = false;
  const ChildProcess child =
      spawn(io(), "sh", {"-c", "read line <&4; echo \"got $line\" >&4"},
            {.stdio = {Stdio::Ignore, Stdio::Ignore, Stdio::Inherit, Stdio::Ignore, Stdio::Pipe}});
  collect(child.stdio(4), text);
  child.stdio(4).on_end([&] { ended = true; });
  child.stdio(4).write("a line\nand more that nobody reads\n");
  run();
  EXPECT_EQ(text, "got a line\n");
  EXPECT_TRUE(ended);
  EXPECT_EQ(child.stdio(4).bytes_read(), 11U);
}

// --- streams of other children

// test-child-process-pipe-dataflow
TEST_F(ChildStdioKind, AStreamIsGivenToTheNextChild) {
  const process::TemporaryDirectory directory;
  std::string lines;
  for (int i = 0; i < 100'000; ++i) lines += i % 2 == 0 ? "even line\n" : "odd line\n";
  const std::string file = directory.write("lines", lines);
  const ChildProcess cat = spawn(io(), "cat", {file});
  const ChildProcess grep =
      spawn(io(), "grep", {"odd"}, {.stdio = {cat.stdout_(), Stdio::Pipe, Stdio::Inherit}});
  const ChildProcess wc =
      spawn(io(), "wc", {"-c"}, {.stdio = {grep.stdout_(), Stdio::Pipe, Stdio::Inherit}});
  std::string text;
  collect(wc.stdout_(), text);
  record(cat);
  record(grep);
  run();
  EXPECT_EQ(std::stoi(text), 50'000 * 9);
  EXPECT_EQ(cat.stdout_().bytes_read(), 0U);
  EXPECT_EQ(std::count(events.begin(), events.end(), "close"), 2);
  EXPECT_FALSE(cat.stdout_().readable());
}

// test-child-process-double-pipe
TEST_F(ChildStdioKind, ThePipesOfOneChildAreNotInherited) {
  const ChildProcess grep = spawn(io(), "grep", {"o"});
  const ChildProcess sed = spawn(io(), "sed", {"s/o/O/"});
  const ChildProcess echo = spawn(io(), "printf", {"hello\\nnode\\nand\\nworld\\n"});
  std::string text;
  echo.stdout_().on_data([&](std::string_view data) { grep.stdin_().write(data); });
  echo.stdout_().on_end([&] { grep.stdin_().end(); });
  grep.stdout_().on_data([&](std::string_view data) { sed.stdin_().write(data); });
  grep.stdout_().on_end([&] { sed.stdin_().end(); });
  collect(sed.stdout_(), text);
  run();  // if sed held grep's stdin, neither would end
  EXPECT_EQ(text, "hellO\nnOde\nwOrld\n");
}

// test-child-process-stdio-merge-stdouts-into-cat
TEST_F(ChildStdioKind, TwoChildrenShareTheStdinOfAThird) {
  const ChildProcess third = spawn(io(), "cat");
  const SpawnOptions into_third{.stdio = {Stdio::Pipe, third.stdin_(), Stdio::Inherit}};
  const ChildProcess first = spawn(io(), "cat", {}, into_third);
  const ChildProcess second = spawn(io(), "cat", {}, into_third);
  std::string text;
  third.stdout_().on_data([&](std::string_view data) {
    text += data;
    if (text == "hello\n") second.stdin_().end("world\n");
    if (text == "hello\nworld\n") third.stdin_().end("foobar\n");
  });
  first.stdin_().end("hello\n");
  run();
  EXPECT_EQ(text, "hello\nworld\nfoobar\n");
}

// --- stdin

// test-child-process-stdin
TEST_F(ChildStdin, CatGivesBackWhatItWasGiven) {
  const ChildProcess cat = spawn(io(), "cat");
  record(cat);
  std::string text;
  collect(cat.stdout_(), text);
  bool ended = false;
  cat.stdout_().on_end([&] { ended = true; });
  EXPECT_TRUE(cat.stdin_().writable());
  cat.stdin_().write("hello");
  cat.stdin_().write(" ");
  cat.stdin_().write("world");
  cat.stdin_().end();
  EXPECT_FALSE(cat.stdin_().writable());
  EXPECT_FALSE(cat.stdin_().write("too late"));
  run();
  EXPECT_EQ(text, "hello world");
  EXPECT_TRUE(ended);
  EXPECT_EQ(events, (Strings{"spawn", "exit", "close"}));
}

// test-child-process-ipc
TEST_F(ChildStdin, AndStdoutTakeTurns) {
  const ChildProcess echo = spawn(io(), "sh", {"-c", "while read x; do echo \"$x back\"; done"});
  Strings answers;
  echo.stdout_().on_data([&](std::string_view data) {
    answers.emplace_back(data);
    if (answers.size() < 3)
      echo.stdin_().write("more\n");
    else
      echo.stdin_().end();
  });
  echo.stdin_().write("first\n");
  run();
  EXPECT_EQ(answers, (Strings{"first back\n", "more back\n", "more back\n"}));
}

// test-child-process-stdio-big-write-end
TEST_F(ChildStdin, EndDeliversWhatWasWrittenBefore) {
  const ChildProcess child = spawn(io(), "wc", {"-c"});
  std::string text;
  collect(child.stdout_(), text);
  const std::string block(1024, '-');
  std::size_t written = 0;
  bool drained = false;
  child.stdin_().on_drain([&] { drained = true; });
  while (child.stdin_().write(block)) written += block.size();
  written += block.size();
  for (int i = 0; i < 1000; ++i) {
    EXPECT_FALSE(child.stdin_().write(block));
    written += block.size();
  }
  child.stdin_().end();
  EXPECT_EQ(child.stdin_().bytes_written(), written);
  run();
  EXPECT_EQ(std::stoul(text), written);
  EXPECT_TRUE(drained);
}

TEST_F(ChildStdin, ThatNobodyReadsAnyMoreIsAnError) {
  const ChildProcess child = spawn(io(), "sh", {"-c", "exec <&-; echo closed; exec sleep 600"});
  std::optional<Error> event, result;
  child.stdin_().on_error([&](const Error& error) { event = error; });
  child.stdout_().on_data([&](std::string_view) {
    child.stdin_().write("x", [&](const auto& error) {
      result = error;
      child.kill();
    });
  });
  run();
  ASSERT_TRUE(event && result);
  EXPECT_EQ(event->code.value(), EPIPE);
  EXPECT_EQ(result->code.value(), EPIPE);
}

TEST_F(ChildStdin, WhatWaitsWhenTheChildExitsIsReported) {
  const ChildProcess child = spawn(io(), "sleep", {"600"});
  std::optional<Error> result;
  bool called = false;
  child.stdin_().write(std::string(1'000'000, 'x'), [&](const auto& error) {
    called = true;
    result = error;
  });
  child.on_spawn([&] { child.kill(); });
  run();
  EXPECT_TRUE(called);
  EXPECT_TRUE(result);
}

// --- stdout and stderr

// test-child-process-stdout-flush
TEST_F(ChildStdout, IsCompleteAtClose) {
  std::string text;
  const ChildProcess child = spawn(io(), "sh", {"-c", "head -c 500000 /dev/zero | tr '\\0' a"});
  collect(child.stdout_(), text);
  std::size_t at_close = 0;
  child.on_close([&](const Exit&) { at_close = text.size(); });
  run();
  EXPECT_EQ(at_close, 500'000U);
}

// test-child-process-stdout-flush-exit
TEST_F(ChildStdout, OfAChildThatExitsAtOnceIsComplete) {
  std::string text;
  const ChildProcess child = spawn(io(), "sh",
                                   {"-c",
                                    "i=0; while [ $i -lt 2000 ]; do echo goodnight moon; "
                                    "i=$((i+1)); done; exit 0"});
  collect(child.stdout_(), text);
  std::size_t at_close = 0;
  child.on_close([&](const Exit&) { at_close = text.size(); });
  run();
  EXPECT_EQ(at_close, 2000U * 15);
}

// test-child-process-spawn-loop
TEST_F(ChildStdout, OfFortyChildrenInTurnIsComplete) {
  for (int i = 0; i < 40; ++i) {
    std::size_t size = 0;
    const ChildProcess child = spawn(io(), "head", {"-c", "1048576", "/dev/zero"});
    child.stdout_().on_data([&](std::string_view data) { size += data.size(); });
    run();
    ASSERT_EQ(size, 1'048'576U);
  }
}

// test-child-process-flush-stdio
TEST_F(ChildStdout, ThatIsReadInPartOrNotAtAllDoesNotDelayClose) {
  const ChildProcess unread = spawn(io(), "echo", {"123"});
  record(unread);
  const ChildProcess partly = spawn(io(), "sh", {"-c", "echo 123456"});
  record(partly);
  char start[3];
  partly.stdout_().async_read_some(asio::buffer(start), [](auto, std::size_t) {});
  const ChildProcess paused = spawn(io(), "echo", {"123"});
  record(paused);
  std::string text;
  paused.stdout_().pause();
  collect(paused.stdout_(), text);
  run();
  EXPECT_EQ(std::count(events.begin(), events.end(), "close"), 3);
  EXPECT_EQ(text, "");
  // What was left is still there.
  paused.stdout_().resume();
  std::string rest(4, ' ');
  std::size_t size = 0;
  asio::async_read(partly.stdout_(), asio::buffer(rest), [&](auto error, std::size_t count) {
    EXPECT_FALSE(error);
    size = count;
  });
  run();
  EXPECT_EQ(text, "123\n");
  EXPECT_EQ(std::string(start, 3) + rest, "123456\n");
  EXPECT_EQ(size, 4U);
}

TEST_F(ChildStdout, ThatIsPausedHoldsTheChildBack) {
  const ChildProcess child = spawn(io(), "head", {"-c", "4000000", "/dev/zero"});
  std::size_t size = 0;
  asio::steady_timer timer{io()};
  child.stdout_().on_data([&](std::string_view data) {
    if (size == 0) {
      child.stdout_().pause();
      timer.expires_after(50ms);
      timer.async_wait([&](auto) {
        EXPECT_LT(size, 200'000U);
        EXPECT_FALSE(child.exit());
        child.stdout_().resume();
      });
    }
    size += data.size();
  });
  run();
  EXPECT_EQ(size, 4'000'000U);
}

TEST_F(ChildStdout, HeldOpenByAGrandchildDelaysCloseAndNotExit) {
  const ChildProcess child = spawn(io(), "sh", {"-c", "(read x; echo late) & exit 7"},
                                   {.stdio = {Stdio::Ignore, Stdio::Pipe, Stdio::Ignore}});
  record(child);
  run();
  EXPECT_EQ(events, (Strings{"spawn", "exit", "close"}));
  const ChildProcess held = spawn(io(), "sh", {"-c", "sh -c 'sleep 0.2; echo late' & exit 7"});
  std::string text;
  std::string at_exit = "none";
  collect(held.stdout_(), text);
  held.on_exit([&](const Exit&) { at_exit = text; });
  std::string at_close;
  held.on_close([&](const Exit&) { at_close = text; });
  run();
  EXPECT_EQ(at_exit, "");
  EXPECT_EQ(at_close, "late\n");
  end_orphans();
}

TEST_F(ChildStdout, DestroyEndsTheChildThatWritesToIt) {
  const ChildProcess child = spawn(io(), "yes");
  child.stdout_().on_data([&](std::string_view) { child.stdout_().destroy(); });
  run();
  EXPECT_EQ(child.signal_code(), "SIGPIPE");
}

// --- Asio

TEST_F(ChildAsio, ComposedOperationsWorkOnTheStreams) {
  std::string line, rest;
  const auto test = [&]() -> asio::awaitable<void> {
    const ChildProcess child = spawn(io(), "cat");
    asio::streambuf buffer;
    const std::string big(1'000'000, 'x');
    co_await asio::async_write(child.stdin_(), asio::buffer("a line\n", 7), asio::use_awaitable);
    co_await asio::async_read_until(child.stdout_(), buffer, '\n', asio::use_awaitable);
    std::getline(std::istream{&buffer} >> std::ws, line);
    asio::co_spawn(
        io(),
        [](ChildStream to, const std::string& text) -> asio::awaitable<void> {
          co_await asio::async_write(to, asio::buffer(text), asio::use_awaitable);
          to.end();
        }(child.stdin_(), big),
        asio::detached);
    boost::system::error_code error;
    co_await asio::async_read(child.stdout_(), asio::dynamic_buffer(rest),
                              asio::redirect_error(asio::use_awaitable, error));
    EXPECT_EQ(error, asio::error::eof);
    EXPECT_TRUE((co_await child.async_close(asio::use_awaitable)).success());
  };
  asio::co_spawn(io(), test, asio::detached);
  run();
  EXPECT_EQ(line, "a line");
  EXPECT_EQ(rest, std::string(1'000'000, 'x'));
}

TEST_F(ChildAsio, AReadCanBeCancelled) {
  const ChildProcess child = spawn(io(), "cat");
  asio::cancellation_signal cancel;
  char byte;
  boost::system::error_code result;
  child.stdout_().async_read_some(
      asio::buffer(&byte, 1), asio::bind_cancellation_slot(
                                  cancel.slot(), [&](boost::system::error_code error, std::size_t) {
                                    result = error;
                                    child.stdin_().end("x");
                                    child.stdout_().async_read_some(asio::buffer(&byte, 1),
                                                                    [](auto, std::size_t) {});
                                  }));
  asio::steady_timer timer{io(), 10ms};
  timer.async_wait([&](auto) { cancel.emit(asio::cancellation_type::terminal); });
  run();
  EXPECT_EQ(result, asio::error::operation_aborted);
  EXPECT_EQ(byte, 'x');
}

TEST_F(ChildAsio, AWriteThatNobodyReadsWaitsAndThenFails) {
  const ChildProcess child = spawn(io(), "sleep", {"600"});
  const std::string big(1'000'000, 'x');
  boost::system::error_code result;
  asio::async_write(child.stdin_(), asio::buffer(big),
                    [&](boost::system::error_code error, std::size_t) { result = error; });
  child.on_spawn([&] { child.kill(); });
  run();
  EXPECT_TRUE(result);
}

TEST_F(ChildAsio, AnOperationThatIsPendingWhenTheLoopEndsIsDropped) {
  auto child = std::make_shared<ChildProcess>(spawn(io(), "sleep", {"600"}));
  char byte;
  child->stdout_().async_read_some(asio::buffer(&byte, 1),
                                   [child](auto, std::size_t) { ADD_FAILURE() << "called"; });
  child->on_close([child](const Exit&) {});
  io().poll();
  child.reset();
  end_loop();
}

}  // namespace
}  // namespace cohort
