#include <gtest/gtest.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <limits>
#include <tuple>

#include "process/child_fixture_test.h"

namespace cohort {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

class Exec : public ChildTest {
 protected:
  Output output_of_exec(const std::string& command, const SpawnOptions& options = {}) {
    return wait([&](OnOutput done) { exec(io(), command, options, std::move(done)); });
  }
  Output output_of_file(const std::string& file, const Strings& args,
                        const SpawnOptions& options = {}) {
    return wait([&](OnOutput done) { exec_file(io(), file, args, options, std::move(done)); });
  }

 private:
  Output wait(const std::function<void(OnOutput)>& start) {
    int calls = 0;
    Output result;
    start([&](const Output& output) {
      ++calls;
      result = output;
    });
    EXPECT_EQ(calls, 0) << "never from inside the call";
    run();
    EXPECT_EQ(calls, 1);
    return result;
  }
};
class ExecFile : public Exec {};
class AsyncExec : public ChildTest {};

// test-child-process-exec-cwd
TEST_F(Exec, RunsInTheDirectory) {
  const Output output = output_of_exec("pwd", {.cwd = "/dev"});
  EXPECT_FALSE(output.error);
  EXPECT_EQ(output.stdout_, "/dev\n");
  EXPECT_EQ(output.stderr_, "");
  EXPECT_TRUE(output.exit.success());
  EXPECT_GT(output.pid, 0);
}

// test-child-process-exec-env
TEST_F(Exec, ReplacesTheEnvironment) {
  const Output output = output_of_exec("/usr/bin/env", {.env = Environment{{"HELLO", "WORLD"}}});
  EXPECT_NE(output.stdout_.find("HELLO=WORLD"), std::string::npos);
  EXPECT_EQ(output.stdout_.find("HOME="), std::string::npos);
}

// test-child-process-exec-error
TEST_F(Exec, OfACommandThatDoesNotExistIsTheShells127) {
  const Output output = output_of_exec("does-not-exist-at-all");
  EXPECT_EQ(output.exit.code(), 127);
  EXPECT_GT(output.pid, 0);
  ASSERT_TRUE(output.error);
  EXPECT_EQ(output.error->code, Errc::CommandFailed);
  EXPECT_EQ(output.error->message().find("exec does-not-exist-at-all: the command failed (exited "
                                         "with code 127; "),
            0U)
      << *output.error;
  const Output file = output_of_file("does-not-exist-at-all", {});
  EXPECT_EQ(file.pid, 0);
  EXPECT_EQ(file.error->code.value(), ENOENT);
}

// test-child-process-exec-maxbuf
TEST_F(Exec, EndsACommandThatSaysMoreThanMaxBuffer) {
  Output output = output_of_exec("yes | head -c 1048577; exec sleep 600");
  EXPECT_EQ(output.error->code, Errc::OutputTooLarge);
  EXPECT_EQ(output.stdout_.size(), 1024U * 1024);
  EXPECT_EQ(output.exit.cause(), ExitCause::MaxBuffer);
  EXPECT_EQ(output.exit.signal(), SIGTERM);
  output = output_of_exec("yes | head -c 1048576");
  EXPECT_FALSE(output.error) << "exactly as much";
  EXPECT_EQ(output.stdout_.size(), 1024U * 1024);
  output = output_of_exec("yes | head -c 2000000",
                          {.max_buffer = std::numeric_limits<std::size_t>::max()});
  EXPECT_FALSE(output.error);
  EXPECT_EQ(output.stdout_.size(), 2'000'000U);
  // Bytes, not characters; and stderr on its own.
  output = output_of_exec("printf '\\344\\270\\255\\346\\226\\207' >&2; printf abc; exec sleep 600",
                          {.max_buffer = 3});
  EXPECT_EQ(
      output.error->message(),
      "exec printf '\\344\\270\\255\\346\\226\\207' >&2; printf abc; exec sleep 600: more output "
      "than max_buffer (stderr has more than 3 bytes)");
  EXPECT_EQ(output.stderr_, "\xE4\xB8\xAD");
  end_orphans();
}

// test-child-process-exec-timeout-expire
TEST_F(Exec, EndsACommandThatTakesTooLong) {
  const Output output = output_of_exec("exec sleep 600", {.timeout = 20ms});
  EXPECT_EQ(output.error->code.value(), ETIMEDOUT);
  EXPECT_EQ(output.error->message(),
            "exec exec sleep 600: timed out (after 20 ms, killed with SIGTERM)");
  EXPECT_EQ(output.exit.signal(), SIGTERM);
  EXPECT_EQ(output.exit.cause(), ExitCause::Timeout);
  EXPECT_EQ(output.stdout_ + output.stderr_, "");
}

// test-child-process-exec-timeout-kill
TEST_F(Exec, EndsItWithTheKillSignalAndWaitsForNobodyElse) {
  // The shell's child lives on and holds the pipe.
  const Output output =
      output_of_exec("echo first; sleep 5 & wait", {.timeout = 200ms, .kill_signal = SIGKILL});
  EXPECT_EQ(output.exit.signal(), SIGKILL);
  EXPECT_EQ(output.stdout_, "first\n");
  end_orphans();
}

TEST_F(Exec, SaysHowAChildEndedThatCatchesTheSignalOfItsTimeout) {
  const Output output = output_of_exec("trap 'exit 7' TERM; sleep 5 & wait", {.timeout = 200ms});
  EXPECT_EQ(output.error->message(),
            "exec trap 'exit 7' TERM; sleep 5 & wait: timed out (after 200 ms, ended with code 7)");
  end_orphans();
}

// test-child-process-exec-timeout-not-expired
TEST_F(Exec, WithATimeoutThatIsNotReachedEndsAsItWould) {
  const Output output = output_of_exec("echo hello", {.timeout = std::chrono::hours{500}});
  EXPECT_FALSE(output.error);
  EXPECT_EQ(output.stdout_, "hello\n");
}

TEST_F(Exec, NeedsNoCallback) {
  const ChildProcess child = exec(io(), "echo hello; exit 3");
  run();
  EXPECT_EQ(child.exit_code(), 3);
  exec(io(), "yes");  // ended by max_buffer
  exec_file(io(), "no-such-program");
  run();
  end_orphans();
}

// test-child-process-exec-kill-throws
TEST_F(Exec, KilledByItsHandleIsACommandThatFailed) {
  std::optional<Error> error;
  ExitCause cause{};
  const ChildProcess child = exec(io(), "exec sleep 600", {}, [&](const Output& output) {
    error = output.error;
    cause = output.exit.cause();
  });
  child.kill(SIGKILL);
  run();
  EXPECT_EQ(error->message(), "exec exec sleep 600: the command failed (killed by SIGKILL)");
  EXPECT_EQ(cause, ExitCause::Killed);
}

// test-child-process-execfile
TEST_F(ExecFile, SaysWhatFailed) {
  Output output = output_of_file("sh", {"-c", "echo why >&2; exit 42"});
  EXPECT_EQ(output.error->message(),
            "exec sh -c echo why >&2; exit 42: the command failed (exited with code 42; why)");
  EXPECT_EQ(output.exit.code(), 42);
  output = output_of_file("echo $HELLO", {}, {.add_env = {{"HELLO", "WORLD"}}, .shell = true});
  EXPECT_EQ(output.stdout_, "WORLD\n");
  std::stop_source source;
  source.request_stop();
  output = output_of_file("sleep", {"600"}, {.stop = source.get_token()});
  EXPECT_EQ(output.error->code.value(), ECANCELED);
  EXPECT_EQ(output.exit.cause(), ExitCause::Cancelled);
}

// test-child-process-execfile-maxbuf
TEST_F(ExecFile, EndsAProgramThatSaysMoreThanMaxBuffer) {
  Output output = output_of_file("head", {"-c", "1048577", "/dev/zero"});
  EXPECT_EQ(output.error->code, Errc::OutputTooLarge);
  EXPECT_EQ(output.stdout_.size(), 1024U * 1024);
  output = output_of_file("head", {"-c", "1048576", "/dev/zero"});
  EXPECT_FALSE(output.error);
  EXPECT_EQ(output_of_file("printf", {"12345"}, {.max_buffer = 4}).stdout_, "1234");
}

// test-child-process-exec-encoding
TEST_F(ExecFile, GivesBytesAsTheyCome) {
  EXPECT_EQ(output_of_file("printf", {"\\377\\000\\012"}).stdout_, std::string("\377\0\n", 3));
}

// test-child-process-promisified
TEST_F(AsyncExec, IsAwaited) {
  Output good, bad;
  int caught = 0;
  const Strings args{"-c", "echo out; exit 1"};  // GCC 12 takes no list within co_await
  const Strings none;
  const auto test = [&]() -> asio::awaitable<void> {
    good = co_await async_exec(io(), "echo 42", asio::use_awaitable);
    bad = co_await async_exec_file(io(), "sh", args, asio::use_awaitable);
    try {
      co_await async_exec_file(io(), "no-such-program", none, asio::use_awaitable);
    } catch (const boost::system::system_error& error) {
      caught = error.code().value();
    }
  };
  asio::co_spawn(io(), test, asio::detached);
  run();
  EXPECT_EQ(good.stdout_, "42\n");
  EXPECT_FALSE(good.error);
  EXPECT_EQ(bad.exit.code(), 1);
  EXPECT_EQ(bad.stdout_, "out\n");
  EXPECT_EQ(bad.error->code, Errc::CommandFailed);
  EXPECT_EQ(caught, ENOENT);
}

// test-child-process-exec-abortcontroller-promisified
TEST_F(AsyncExec, IsEndedByAStopRequest) {
  std::stop_source source;
  boost::system::error_code error;
  async_exec(io(), "exec sleep 600", {.stop = source.get_token()},
             [&](boost::system::error_code result, const Output&) { error = result; });
  asio::post(io(), [&] { source.request_stop(); });
  run();
  EXPECT_EQ(error, asio::error::operation_aborted);
}

// test-child-process-execFile-promisified-abortController
TEST_F(AsyncExec, IsEndedByCancellation) {
  asio::cancellation_signal cancel;
  boost::system::error_code error;
  async_exec_file(
      io(), "sleep", {"600"},
      asio::bind_cancellation_slot(
          cancel.slot(), [&](boost::system::error_code result, const Output&) { error = result; }));
  asio::steady_timer timer{io(), 10ms};
  timer.async_wait([&](auto) { cancel.emit(asio::cancellation_type::terminal); });
  run();  // ends: the process was killed
  EXPECT_EQ(error, asio::error::operation_aborted);
}

}  // namespace
}  // namespace cohort
