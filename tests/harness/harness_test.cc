// The test tool tested: if it could not see a leak, a loss or a crash, no other test would be worth
// much.
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/load.h"
#include "harness/places.h"
#include "harness/proc.h"
#include "harness/program.h"

namespace harness {
namespace {

using std::chrono_literals::operator""ms;

Program shell(const std::string& script, const ProgramOptions& options = {}) {
  return Program{{"sh", "-c", script}, options};
}

// A python HTTP server that answers `answers` requests, then closes connections without a word.
Program lossy_server(std::uint16_t port, int answers) {
  const std::string script = R"(
import socket, sys
s = socket.create_server(('127.0.0.1', int(sys.argv[1])))
print('ready', flush=True)
for i in range(10**6):
  c, _ = s.accept()
  c.recv(65536)
  if i < int(sys.argv[2]): c.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  c.close()
)";
  return Program{{"python3", "-c", script, std::to_string(port), std::to_string(answers)}};
}

TEST(Program, KeepsStdoutAndStderrApartByLines) {
  Program program = shell("echo one; echo two >&2; printf three");
  EXPECT_TRUE(program.exits_with(0));
  EXPECT_EQ(program.lines(), (std::vector<std::string>{"one", "three"}));
  EXPECT_EQ(program.error_lines(), std::vector<std::string>{"two"});
}

TEST(Program, TellsAnExitCodeFromASignal) {
  Program program = shell("kill -9 $$");
  ASSERT_TRUE(program.wait_exit());
  EXPECT_EQ(program.wait_exit()->signal, SIGKILL);
  EXPECT_FALSE(program.exits_with(9));
  EXPECT_TRUE(shell("exit 9").exits_with(9));
}

TEST(Program, AWaitThatIsInVainFailsAtItsDeadlineAndShowsTheOutput) {
  Program program = shell("echo shown; exec sleep 100");
  EXPECT_TRUE(program.wait_for_line("shown"));
  const testing::AssertionResult result = program.wait_for_line("shown", 2, 20ms);
  EXPECT_FALSE(result);
  EXPECT_NE(std::string{result.message()}.find("shown"), std::string::npos);
  EXPECT_FALSE(program.wait_exit(20ms));
}

TEST(Program, DoesNotBlockAProgramThatPrintsMoreThanAPipeHolds) {
  Program program = shell("yes | head -c 3000000");
  EXPECT_TRUE(program.exits_with(0));
  EXPECT_EQ(program.output().size(), 3'000'000U);
}

TEST(Program, FindsDescendantsThatLeftTheGroupAndTheParentAndKillsThem) {
  pid_t orphan = 0;
  {
    Program program = shell("setsid sleep 100 & echo $!");
    EXPECT_TRUE(program.exits_with(0));
    // A process that has only just been forked, or becomes `sleep`, cannot be told yet.
    ASSERT_TRUE(program.wait_until("it to sleep", [&] {
      const std::vector<pid_t> left = program.descendants();
      orphan = left.empty() ? 0 : left[0];
      return left.size() == 1 && command_of(orphan).starts_with("sleep");
    }));
    EXPECT_FALSE(program.leaves_no_process(20ms));
    EXPECT_TRUE(is_alive(orphan));
  }
  // Killed, but not for its test to reap.
  EXPECT_TRUE(eventually("its end", [&] { return !is_alive(orphan); }));
}

TEST(Program, GetsATerminalWhenItWantsOne) {
  Program program = shell("test -t 1 && echo yes; stty size <&1", {.terminal = true});
  EXPECT_TRUE(program.exits_with(0));
  EXPECT_EQ(program.lines(), (std::vector<std::string>{"yes", "24 80"}));
}

TEST(Program, GetsTheEnvironmentAndTheFolderThatTheTestSays) {
  Program program = shell("echo $GREETING; pwd", {.env = {{"GREETING", "hi"}}, .cwd = "/"});
  EXPECT_TRUE(program.exits_with(0));
  EXPECT_EQ(program.lines(), (std::vector<std::string>{"hi", "/"}));
}

TEST(Proc, SeesChildrenDescriptorsMemoryAndCpu) {
  Program program = shell(
      "exec 7</dev/zero; sleep 100 & i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done; echo done; "
      "wait");
  ASSERT_TRUE(program.wait_for_line("done"));
  EXPECT_EQ(children_of(program.pid()), program.descendants());
  EXPECT_EQ(fds_of(program.pid()).at(7), "/dev/zero");
  EXPECT_GT(pss_kib(program.pid()), 0);
  EXPECT_GT(cpu_time(program.pid()), 1ms);
  EXPECT_TRUE(
      eventually("the shell to sleep", [&] { return voluntary_switches(program.pid()) > 0; }));
}

TEST(Load, CountsEachAnswerAndEachLossOnce) {
  const std::uint16_t port = free_port();
  Program server = lossy_server(port, 30);
  ASSERT_TRUE(server.wait_for_line("ready"));
  LoadOptions options{.port = port, .connections = 4, .requests = 50, .body = "ok"};
  options.request.keep_alive = false;
  const LoadReport report = LoadGenerator{options}.wait();
  EXPECT_EQ(report.sent, 50);
  EXPECT_EQ(report.ok, 30) << report.text();
  EXPECT_EQ(report.failed, 20);
  EXPECT_EQ(report.reasons.at("closed"), 20) << report.text();
}

TEST(Load, DoesNotTakeAWrongBodyOrAClosedPortForSuccess) {
  const std::uint16_t port = free_port();
  LoadOptions options{.port = port, .connections = 1, .requests = 3, .body = "no"};
  options.request.keep_alive = false;
  EXPECT_EQ(LoadGenerator{options}.wait().reasons.at("connect: refused"), 3);
  Program server = lossy_server(port, 3);
  ASSERT_TRUE(server.wait_for_line("ready"));
  EXPECT_EQ(LoadGenerator{options}.wait().reasons.at("another body"), 3);
}

TEST(Deadline, DoesNotCountTimeInWhichNobodyCouldAsk) {
  const Clock::time_point begin{};
  Deadline deadline{150ms, begin};
  EXPECT_EQ(deadline.left(begin + 20ms), 130ms);
  EXPECT_EQ(deadline.left(begin + 35'000ms), 30ms) << "counts as 100";
  EXPECT_EQ(deadline.left(begin + 35'000ms + 30ms), 0ms);
}

}  // namespace
}  // namespace harness
