// fork with a child that speaks the channel by hand, in shell: the wire is lines on a descriptor.
#include <gtest/gtest.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "base/sys.h"
#include "process/child_fixture_test.h"
#include "process/helpers_test.h"

namespace cohort {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

class ChildFork : public ChildTest {
 protected:
  // `fork` of a program with this text.
  ChildProcess fork_script(const std::string& text, const SpawnOptions& options = {}) {
    const std::string file =
        directory_.write("script" + std::to_string(++count_), "#!/bin/sh\n" + text, 0755);
    return fork(io(), file, {}, options);
  }
  // Sends back each line that it gets, until the channel ends.
  static constexpr const char* kEcho = "while read -r line <&3; do echo \"$line\" >&3; done\n";

 private:
  const process::TemporaryDirectory directory_;
  int count_ = 0;
};
class ChildMessages : public ChildFork {};
class ChildDisconnect : public ChildFork {};

// --- how it is started

// test-child-process-fork-args
TEST_F(ChildFork, GivesTheArguments) {
  const process::TemporaryDirectory directory;
  const std::string file =
      directory.write("args", "#!/bin/sh\necho \"\\\"$*\\\"\" >&$NODE_CHANNEL_FD\n", 0755);
  std::vector<Value> messages;
  const ChildProcess child = fork(io(), file, {"foo", "bar"});
  child.on_message([&](const Value& message) { messages.push_back(message); });
  record(child);
  record(fork(io(), "/no/such/module.js"));
  run();
  ASSERT_EQ(messages.size(), 1U);
  EXPECT_EQ(messages[0], "foo bar");
  EXPECT_EQ(errors.at(0).code.value(), ENOENT);
}

// test-child-process-fork-no-shell
TEST_F(ChildFork, IgnoresTheShell) {
  const ChildProcess child = fork_script("exit 4", {.shell = true});
  run();
  EXPECT_EQ(child.exit_code(), 4);
  EXPECT_NE(child.spawnfile(), "/bin/sh");
}

// test-child-process-fork-exec-path
TEST_F(ChildFork, RunsTheModuleUnderAnotherProgram) {
  const process::TemporaryDirectory directory;
  const std::string module = directory.write("module", "echo \"\\\"$0 $1 $-\\\"\" >&3\n", 0644);
  std::vector<Value> messages;
  const ChildProcess child =
      fork(io(), module, {"arg"}, {.exec_path = "/bin/sh", .exec_args = {"-u"}});
  child.on_message([&](const Value& message) { messages.push_back(message); });
  run();
  // A module that may not be executed is still the interpreter's.
  EXPECT_EQ(child.spawnargs(), (Strings{"/bin/sh", "-u", module, "arg"}));
  ASSERT_EQ(messages.size(), 1U);
  EXPECT_EQ(messages[0], module + " arg u");
}

// test-child-process-fork-stdio-string-variant
TEST_F(ChildFork, OneWordOfStdioIsForTheFirstThree) {
  const ChildProcess pipes = fork_script("echo out", {.stdio = Stdio::Pipe});
  std::string text;
  collect(pipes.stdout_(), text);
  EXPECT_TRUE(pipes.connected());
  const ChildProcess ignore = fork_script("echo out", {.stdio = Stdio::Ignore});
  EXPECT_FALSE(ignore.stdout_());
  EXPECT_TRUE(ignore.connected());
  const ChildProcess inherit = fork_script("true");
  EXPECT_FALSE(inherit.stdout_());
  run();
  EXPECT_EQ(text, "out\n");
}

// test-child-process-fork-stdio
TEST_F(ChildFork, AListOfStdioNeedsAChannel) {
  record(fork_script("true", {.stdio = {Stdio::Pipe, Stdio::Pipe, Stdio::Pipe, Stdio::Pipe}}));
  std::string text;
  const ChildProcess child = fork_script("read -r x <&4; echo \"<$x>\" >&4; echo '1' >&3",
                                         {.stdio = {0, 1, 2, Ipc{}, Stdio::Pipe}});
  std::vector<Value> messages;
  child.on_message([&](const Value& message) { messages.push_back(message); });
  collect(child.stdio(4), text);
  child.stdio(4).write("ping\n");
  run();
  EXPECT_EQ(errors.at(0).message().find("fork needs a channel") != std::string::npos, true);
  EXPECT_EQ(text, "<ping>\n");
  EXPECT_EQ(messages, std::vector<Value>{Value(1)});
}

// test-child-process-silent
TEST_F(ChildFork, SilentIsPipes) {
  std::string text;
  const ChildProcess child = fork_script("echo quiet; echo '\"hi\"' >&3", {.silent = true});
  collect(child.stdout_(), text);
  int messages = 0;
  child.on_message([&](const Value& message) { messages += message == "hi"; });
  run();
  EXPECT_EQ(text, "quiet\n");
  EXPECT_EQ(messages, 1);
}

// test-child-process-stdin-ipc
// test-child-process-stdout-ipc
TEST_F(ChildFork, TheChannelCanBeAnyDescriptor) {
  for (const int index : {0, 1}) {
    std::vector<ChildStdio> stdio(3, Stdio::Ignore);
    stdio[static_cast<std::size_t>(index)] = Ipc{};
    const std::string fd = std::to_string(index);
    int messages = 0;
    const ChildProcess child = fork_script("echo $NODE_CHANNEL_FD >&" + fd, {.stdio = stdio});
    child.on_message([&](const Value& message) { messages += message == Value(index); });
    run();
    EXPECT_EQ(messages, 1);
  }
}

// test-child-process-fork-timeout-kill-signal
// test-child-process-fork-abort-signal
TEST_F(ChildFork, TimeoutAndStopSendTheKillSignal) {
  const ChildProcess slow =
      fork_script("exec sleep 600", {.timeout = 20ms, .kill_signal = SIGKILL});
  std::stop_source source;
  source.request_stop();
  const ChildProcess stopped =
      fork_script("exec sleep 600", {.kill_signal = SIGKILL, .stop = source.get_token()});
  run();
  EXPECT_EQ(slow.signal_code(), "SIGKILL");
  EXPECT_EQ(slow.exit()->cause(), ExitCause::Timeout);
  EXPECT_EQ(stopped.signal_code(), "SIGKILL");
}

// test-child-process-fork-detached
TEST_F(ChildFork, DetachedLeadsASession) {
  const ChildProcess child = fork_script(kEcho, {.detached = true});
  EXPECT_EQ(::getsid(child.pid()), child.pid());
  EXPECT_TRUE(child.disconnect());
  run();
  EXPECT_EQ(child.exit_code(), 0);
}

// --- messages

// test-child-process-fork-close
TEST_F(ChildMessages, ComeBeforeDisconnectExitAndClose) {
  const ChildProcess child = fork_script("echo '{\"a\":1}' >&3\necho '2' >&3\nexit 0");
  record(child);
  run();
  EXPECT_EQ(events, (Strings{"spawn", "message", "message", "disconnect", "exit", "close"}));
  EXPECT_FALSE(child.connected());
}

TEST_F(ChildMessages, BeforeTheFirstHandlerWaitForIt) {
  const ChildProcess child = fork_script("echo 1 >&3; echo 2 >&3");
  std::vector<Value> messages;
  child.on_exit([&](const Exit&) {
    child.on_message([&](const Value& message) { messages.push_back(message); });
  });
  run();
  EXPECT_EQ(messages, (std::vector<Value>{Value(1), Value(2)}));

  const ChildProcess after = fork_script("echo 1 >&3; echo 2 >&3");
  run();
  messages.clear();
  after.on_message([&](const Value& message) { messages.push_back(message); });
  run();
  EXPECT_EQ(messages, (std::vector<Value>{Value(1), Value(2)})) << "after close, too";
}

// test-child-process-send-cb
TEST_F(ChildMessages, TheCallbackHasNothingWhenTheSystemHasIt) {
  const ChildProcess child = fork_script(kEcho);
  std::vector<Value> answers;
  child.on_message([&](const Value& message) {
    answers.push_back(message);
    std::ignore = child.disconnect();
  });
  std::optional<std::optional<Error>> result;
  EXPECT_TRUE(child.send({{"x", 1}}, [&](std::optional<Error> error) { result = error; }));
  EXPECT_FALSE(result) << "later";
  run();
  ASSERT_TRUE(result);
  EXPECT_FALSE(*result);
  EXPECT_EQ(answers, (std::vector<Value>{Value{{"x", 1}}}));
}

// test-child-process-send-after-close
TEST_F(ChildMessages, AfterTheEndAreErrors) {
  const ChildProcess child = fork_script("true");
  run();
  std::optional<Error> result;
  const SendResult sent = child.send("ping", [&](std::optional<Error> error) { result = error; });
  EXPECT_FALSE(sent);
  EXPECT_EQ(sent.error()->code, Errc::ChannelClosed);
  EXPECT_FALSE(result) << "later";
  run();
  EXPECT_EQ(result->code, Errc::ChannelClosed);
  EXPECT_EQ(spawn(io(), "true").send(1).error()->code, Errc::ChannelClosed) << "no channel at all";
  run();
}

TEST_F(ChildMessages, ThatWaitWhenTheChildEndsFailThoughAGrandchildHoldsTheChannel) {
  const ChildProcess child = fork_script("sleep 600 &\nread -r go <&3\nexit 0\n");
  constexpr int kMessages = 100;
  int taken = 0, failed = 0;
  for (int i = 0; i < kMessages; ++i)
    child.send(std::string(64 * 1024, 'x'), [&](const std::optional<Error>& error) {
      ++(error ? failed : taken);
      EXPECT_TRUE(!error || error->code == Errc::ChannelClosed);
    });
  run();
  EXPECT_EQ(child.exit_code(), 0);
  EXPECT_GT(failed, 0);
  EXPECT_EQ(taken + failed, kMessages);
  end_orphans();
}

// test-child-process-send-type-error
TEST_F(ChildMessages, ThatAreNoneAreErrors) {
  const ChildProcess child = fork_script(kEcho, {.message_size_max = 1000});
  EXPECT_EQ(child.send(Value{}).error()->code, Errc::InvalidArgument);
  Value circle = Value::object();
  circle["self"] = circle;
  EXPECT_EQ(child.send(circle).error()->code, Errc::InvalidArgument);
  circle.erase("self");
  EXPECT_EQ(child.send(std::string(2000, 'x')).error()->code, Errc::MessageTooLarge);
  EXPECT_TRUE(child.disconnect());
  run();
}

TEST_F(ChildMessages, FromAnotherThreadArrive) {
  const ChildProcess child = fork_script(kEcho);
  int answers = 0;
  child.on_message([&](const Value&) {
    if (++answers == 100) std::ignore = child.disconnect();
  });
  io().poll();
  std::thread thread{[&] {
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(child.send({{"i", i}}));
  }};
  run();
  thread.join();
  EXPECT_EQ(answers, 100);
}

// test-child-process-ipc-next-tick
TEST_F(ChildMessages, AHandlerThatThrowsLosesNoLaterMessage) {
  const ChildProcess child = fork_script("echo 1 >&3; read -r go <&3; echo 2 >&3");
  std::vector<Value> messages;
  child.on_message([&](const Value& message) {
    messages.push_back(message);
    if (messages.size() == 1) throw std::runtime_error("thrown");
  });
  EXPECT_THROW(run(), std::runtime_error);
  child.send("go");
  run();
  EXPECT_EQ(messages, (std::vector<Value>{Value(1), Value(2)}));
}

TEST_F(ChildMessages, ThatAreNoMessagesEndTheChildAndNotUs) {
  const ChildProcess child = fork_script("echo 'no json' >&3; exec sleep 600");
  record(child);
  run();
  EXPECT_EQ(events, (Strings{"spawn", "error", "disconnect", "exit", "close"}));
  EXPECT_EQ(errors.at(0).code, Errc::MalformedMessage);
  EXPECT_EQ(exits.at(0).signal(), SIGKILL);
}

TEST_F(ChildMessages, AreAwaited) {
  std::vector<Value> messages;
  bool ended = false;
  const auto test = [&]() -> asio::awaitable<void> {
    const ChildProcess child = fork_script("echo 1 >&3; echo 2 >&3; exit 6");
    messages.push_back(co_await child.async_message(asio::use_awaitable));
    messages.push_back(co_await child.async_message(asio::use_awaitable));
    const auto [error, none] = co_await child.async_message(asio::as_tuple(asio::use_awaitable));
    EXPECT_EQ(error, asio::error::operation_aborted);
    EXPECT_EQ((co_await child.async_exit(asio::use_awaitable)).code(), 6);
    ended = true;
  };
  asio::co_spawn(io(), test, asio::detached);
  run();
  EXPECT_EQ(messages, (std::vector<Value>{Value(1), Value(2)}));
  EXPECT_TRUE(ended);
}

// --- disconnect

// test-child-process-disconnect
TEST_F(ChildDisconnect, IsAnEventOfBothSidesAndAnErrorTheSecondTime) {
  const ChildProcess child = fork_script("echo '\"ready\"' >&3; read -r x <&3; exit 5");
  record(child);
  child.on_message([&](const Value&) {
    EXPECT_TRUE(child.connected());
    EXPECT_TRUE(child.disconnect());
    EXPECT_FALSE(child.connected());
    events.emplace_back("asked");
    EXPECT_EQ(child.disconnect().error().code, Errc::ChannelClosed);
  });
  run();
  // With Node's hole `close` would not come.
  EXPECT_EQ(events, (Strings{"spawn", "message", "asked", "disconnect", "exit", "close"}));
  EXPECT_EQ(exits.at(0).code(), 5) << "it saw the end of the channel";
  EXPECT_EQ(exits.at(0).cause(), ExitCause::Requested);
}

TEST_F(ChildDisconnect, DeliversWhatWasSentBefore) {
  const ChildProcess child =
      fork_script("sleep 0.1; wc -l <&3 >&4", {.stdio = {0, 1, 2, Ipc{}, Stdio::Pipe}});
  std::string text;
  collect(child.stdio(4), text);
  const std::string padding(1000, 'x');
  for (int i = 0; i < 5000; ++i) std::ignore = child.send({{"i", i}, {"padding", padding}});
  EXPECT_TRUE(child.disconnect());
  run();
  EXPECT_EQ(std::stoi(text), 5000);
}

TEST_F(ChildDisconnect, ComesAtTheExitAlthoughAGrandchildHoldsTheChannel) {
  const ChildProcess child = fork_script("sleep 600 & echo $! >&3");
  record(child);
  pid_t grandchild = 0;
  child.on_message([&](const Value& pid) { grandchild = static_cast<pid_t>(pid.int64_or(0)); });
  run();
  EXPECT_EQ(events, (Strings{"spawn", "message", "disconnect", "exit", "close"}));
  EXPECT_EQ(harness::children(), std::set<int>{grandchild});
  end_orphans();
}

}  // namespace
}  // namespace cohort
