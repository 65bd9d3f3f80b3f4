#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <limits>

#include "cohort/fd.h"
#include "process/child_fixture_test.h"

namespace cohort {
namespace {

using namespace std::chrono_literals;

class SpawnSync : public ChildTest {};
class ExecSync : public ChildTest {};

// Runs `task` with our stderr going to a file; what was written there.
std::string stderr_of(const std::function<void()>& task) {
  const OwnFd file{::memfd_create("stderr", MFD_CLOEXEC)};
  const OwnFd ours{::fcntl(2, F_DUPFD_CLOEXEC, 3)};
  ::dup2(file.get(), 2);
  task();
  ::dup2(ours.get(), 2);
  char text[4096];
  const ssize_t size = ::pread(file.get(), text, sizeof text, 0);
  return {text, static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
}

// test-child-process-spawnsync
TEST_F(SpawnSync, ReportsWhatHappened) {
  Output output = spawn_sync("sh", {"-c", "echo out; echo err >&2; exit 3"});
  EXPECT_EQ(output.stdout_, "out\n");
  EXPECT_EQ(output.stderr_, "err\n");
  EXPECT_EQ(output.exit.code(), 3);
  EXPECT_FALSE(output.error) << "a code other than 0 is none";
  EXPECT_GT(output.pid, 0);
  output = spawn_sync("command_does_not_exist", {"x"});
  EXPECT_EQ(output.pid, 0);
  EXPECT_EQ(output.error->message(), "spawn command_does_not_exist: no such file or directory");
  EXPECT_EQ(spawn_sync("pwd", {}, {.cwd = "/dev"}).stdout_, "/dev\n");
}

// test-child-process-spawnsync-args
TEST_F(SpawnSync, NeedsNoArguments) {
  EXPECT_EQ(spawn_sync("pwd", {}, {.cwd = "/"}).stdout_, "/\n");
}

// test-child-process-spawnsync-env
TEST_F(SpawnSync, ReplacesTheEnvironment) {
  const Output output = spawn_sync("/usr/bin/env", {}, {.env = Environment{{"foo", "bar"}}});
  EXPECT_EQ(output.stdout_, "foo=bar\n");
}

// test-child-process-spawnsync-input
TEST_F(SpawnSync, GivesTheChildItsInput) {
  const std::string big(1'000'000, 'x');
  EXPECT_EQ(spawn_sync("cat", {}, {.input = "hello"}).stdout_, "hello");
  EXPECT_EQ(spawn_sync("cat", {}, {.input = big}).stdout_, big);
  EXPECT_EQ(spawn_sync("cat", {}, {.stdio = {Stdio::Ignore}, .input = "anyway"}).stdout_, "anyway");
  EXPECT_EQ(spawn_sync("cat").stdout_, "") << "without any, the end at once";
  EXPECT_EQ(spawn_sync("sh", {"-c", "echo three >&3"},
                       {.stdio = {Stdio::Ignore, Stdio::Ignore, Stdio::Ignore, Stdio::Pipe}})
                .more,
            Strings{"three\n"});
}

// As Node's.
TEST_F(SpawnSync, SaysThatTheChildDidNotTakeItsInput) {
  const std::string big(1'000'000, 'x');
  const Output output = spawn_sync("true", {}, {.input = big});
  EXPECT_EQ(output.exit.code(), 0);
  ASSERT_TRUE(output.error);
  EXPECT_EQ(output.error->message(),
            "spawn true: broken pipe (the child did not take all of its input)");
  EXPECT_EQ(exec_file_sync("sh", {"-c", "head -c 10; exit 3"}, {.input = big}).error->code.value(),
            EPIPE);
  EXPECT_FALSE(spawn_sync("head", {"-c", "1000000"}, {.input = big}).error);
  EXPECT_EQ(spawn_sync("sleep", {"600"}, {.timeout = 20ms, .input = big}).error->code.value(),
            ETIMEDOUT);
  EXPECT_EQ(spawn_sync("/no/such", {}, {.input = big}).error->code.value(), ENOENT);
}

// test-child-process-spawnsync-kill-signal
TEST_F(SpawnSync, SendsTheKillSignalAtTheTimeout) {
  const Output output = spawn_sync("sleep", {"600"}, {.timeout = 20ms, .kill_signal = SIGKILL});
  EXPECT_EQ(output.exit.signal(), SIGKILL);
  EXPECT_EQ(output.error->code.value(), ETIMEDOUT);
  EXPECT_EQ(output.error->message(), "spawn sleep: timed out (after 20 ms, killed with SIGKILL)");
}

// test-child-process-spawnsync-maxbuf
TEST_F(SpawnSync, EndsAChildThatSaysMoreThanMaxBuffer) {
  Output output = spawn_sync("yes");
  EXPECT_EQ(output.error->code, Errc::OutputTooLarge);
  EXPECT_EQ(output.exit.signal(), SIGTERM);
  EXPECT_EQ(output.stdout_.size(), 1024U * 1024);
  output = spawn_sync("head", {"-c", "1500000", "/dev/zero"},
                      {.max_buffer = std::numeric_limits<std::size_t>::max()});
  EXPECT_FALSE(output.error);
  EXPECT_EQ(output.stdout_.size(), 1'500'000U);
}

// test-child-process-spawnsync-shell
TEST_F(SpawnSync, RunsACommandOfTheShell) {
  EXPECT_EQ(spawn_sync("echo foo | tr o 0", {}, {.shell = true}).stdout_, "f00\n");
  EXPECT_EQ(spawn_sync("echo", {"$BAZ"}, {.add_env = {{"BAZ", "buzz"}}, .shell = true}).stdout_,
            "buzz\n");
  EXPECT_EQ(spawn_sync("does-not-exist-at-all", {}, {.shell = true}).exit.code(), 127);
}

// test-child-process-spawnsync-timeout
TEST_F(SpawnSync, DoesNotWaitForWhoHoldsTheOutputAfterTheTimeout) {
  const Output output = spawn_sync("sh", {"-c", "echo first; sleep 5 & wait"}, {.timeout = 200ms});
  EXPECT_EQ(output.error->code.value(), ETIMEDOUT);
  EXPECT_EQ(output.exit.signal(), SIGTERM);
  EXPECT_EQ(output.stdout_, "first\n");
  end_orphans();
}

// test-child-process-spawnsync-validation-errors
TEST_F(SpawnSync, ReportsABadArgument) {
  using namespace std::string_literals;
  EXPECT_EQ(spawn_sync("").error->code, Errc::InvalidArgument);
  EXPECT_EQ(spawn_sync("tr\0ue"s).error->code, Errc::InvalidArgument);
  EXPECT_EQ(spawn_sync("true", {}, {.timeout = -1ms}).error->code, Errc::InvalidArgument);
  EXPECT_EQ(spawn_sync("true", {}, {.kill_signal = -1}).error->code, Errc::InvalidArgument);
  EXPECT_EQ(spawn_sync("true", {}, {.stdio = {1, 1, 1, Ipc{}}}).error->code, Errc::InvalidArgument);
  EXPECT_EQ(spawn_sync("true", {}, {.cwd = "/does-not-exist"}).error->code.value(), ENOENT);
}

// test-child-process-execsync
TEST_F(ExecSync, FailsWithWhatTheCommandSaid) {
  Output output;
  const std::string passed_on = stderr_of([&] { output = exec_sync("echo why >&2; exit 9"); });
  EXPECT_EQ(passed_on, "why\n");
  EXPECT_EQ(output.error->message(),
            "exec echo why >&2; exit 9: the command failed (exited with code 9; why)");
  EXPECT_EQ(exec_sync("echo hello | wc -c").stdout_, "6\n");
  EXPECT_EQ(exec_sync("exit -1", {.shell = "bad-shell"}).error->code.value(), ENOENT);
  output = exec_sync("exec sleep 600", {.timeout = 20ms});
  EXPECT_EQ(output.error->code.value(), ETIMEDOUT);
  EXPECT_EQ(output.exit.signal(), SIGTERM);
  EXPECT_EQ(stderr_of([] {
              exec_file_sync("sh", {"-c", "echo why >&2"},
                             {.stdio = {Stdio::Ignore, Stdio::Pipe, Stdio::Pipe}});
            }),
            "")
      << "stdio was given";
}

// test-child-process-execsync-maxbuf
TEST_F(ExecSync, EndsACommandThatSaysMoreThanMaxBuffer) {
  const Output output = exec_sync("yes | head -c 1048577; exec sleep 600");
  EXPECT_EQ(output.error->code, Errc::OutputTooLarge);
  EXPECT_EQ(output.stdout_.size(), 1024U * 1024);
  EXPECT_FALSE(exec_sync("yes | head -c 1048576").error);
  end_orphans();
}

// test-child-process-execfilesync-maxbuf
TEST_F(ExecSync, OfAFileToo) {
  EXPECT_EQ(exec_file_sync("yes").error->code, Errc::OutputTooLarge);
  EXPECT_FALSE(exec_file_sync("head", {"-c", "1048576", "/dev/zero"}).error);
}

}  // namespace
}  // namespace cohort
