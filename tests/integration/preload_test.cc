// Workers of a cluster that are forks of a process which has loaded what they share.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "harness/client.h"
#include "harness/load.h"
#include "harness/places.h"
#include "harness/proc.h"
#include "harness/program.h"

namespace harness {
namespace {

// A sanitizer's own handler would turn a SIGSEGV into an exit code.
const ProgramOptions kPlainSignals{
    .env = {{"ASAN_OPTIONS", "handle_segv=0:detect_leaks=0"}, {"TSAN_OPTIONS", "handle_segv=0"}}};

std::string comm_of(pid_t pid) {
  std::string name;
  std::getline(std::ifstream{"/proc/" + std::to_string(pid) + "/comm"}, name);
  return name;
}

class PreloadedCluster : public ::testing::Test {
 protected:
  void SetUp() override {
#if defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "ThreadSanitizer has a thread of its own, and whoever has one cannot be forked";
#endif
  }
  std::unique_ptr<Program> start() {
    return std::make_unique<Program>(
        std::vector<std::string>{example("table_server"), "--workers", "2", "--port",
                                 std::to_string(port), "--table", table()},
        kPlainSignals);
  }
  std::unique_ptr<Program> start_with(const std::string& table) {
    folder_.write("table.txt", table);
    auto program = start();
    EXPECT_TRUE(accepts(port)) << program->transcript();
    return program;
  }
  std::string value(const std::string& key) const {
    std::string body = http_get(port, "/" + key).body;
    body.resize(std::min(body.size(), body.find('\n')));
    return body;
  }
  std::set<std::string> processes() const {
    std::set<std::string> all;
    for (int i = 0; i < 50; ++i) all.insert(value("process"));
    return all;
  }
  static std::vector<pid_t> loaders(const Program& program) {
    std::vector<pid_t> found;
    for (const pid_t pid : program.descendants())
      if (comm_of(pid) == "load table") found.push_back(pid);
    return found;
  }
  static auto loads(const Program& program) {
    const auto lines = program.error_lines();
    return std::count_if(lines.begin(), lines.end(), [](const std::string& line) {
      return line.find("has loaded") != std::string::npos;
    });
  }
  bool two_serve(Program& program) const {
    return program.wait_until("two workers to serve", [&] { return processes().size() == 2; });
  }

  const std::uint16_t port = free_port();
  const TempDir folder_;
  std::string table() const { return folder_.path() + "/table.txt"; }
};

TEST_F(PreloadedCluster, LoadsOnceForAllItsWorkers) {
  auto program = start_with("one 1\ntwo 2\n");
  EXPECT_TRUE(two_serve(*program));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(value("two"), "2");
  EXPECT_EQ(loads(*program), 1) << program->transcript();
  EXPECT_EQ(children_of(program->pid()).size(), 3U);
  EXPECT_TRUE(program->ends_on_interrupt());
  EXPECT_TRUE(program->descendants().empty());
}

TEST_F(PreloadedCluster, AWorkerThatCrashesIsReplacedByAnotherForkOfTheSame) {
  auto program = start_with("one 1\n");
  EXPECT_TRUE(two_serve(*program));
  EXPECT_EQ(http_get(port, "/crash").error, "closed");
  EXPECT_TRUE(program->wait_for_error("SIGABRT"));
  EXPECT_TRUE(two_serve(*program));
  EXPECT_EQ(value("one"), "1");
  EXPECT_EQ(loads(*program), 1) << program->transcript();
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(PreloadedCluster, AReloadLoadsAgainAndLosesNoRequest) {
  auto program = start_with("one 1\ntwo 2\n");
  LoadGenerator load{
      LoadOptions{.port = port, .request = {.path = "/two", .keep_alive = true}, .body = "2\n"}};
  folder_.write("table.txt", "one changed\ntwo 2\n");
  EXPECT_EQ(http_get(port, "/reload").status, 200);
  EXPECT_TRUE(program->wait_for_error("reload: every worker is of it"));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(value("one"), "changed");
  const LoadReport report = load.stop();
  EXPECT_GT(report.ok, 10) << report.text();
  EXPECT_EQ(report.failed, 0) << report.text();
  EXPECT_EQ(loads(*program), 2) << program->transcript();
  // With the last worker that was a fork of it.
  EXPECT_TRUE(program->wait_until("the old one's end", [&] {
    return loaders(*program).size() == 1;
  })) << program->transcript();
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(PreloadedCluster, AReloadThatCannotLoadChangesNothing) {
  auto program = start_with("one 1\n");
  std::filesystem::remove(table());
  EXPECT_EQ(http_get(port, "/reload").status, 200);
  EXPECT_TRUE(program->wait_for_error("reload: cannot open .*table.txt"));
  EXPECT_EQ(value("one"), "1");
  EXPECT_EQ(http_get(port, "/crash").error, "closed");
  EXPECT_TRUE(two_serve(*program));
  EXPECT_EQ(loads(*program), 1) << program->transcript();
  EXPECT_TRUE(program->wait_until("one to be left", [&] { return loaders(*program).size() == 1; }));
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(PreloadedCluster, WhatCannotBeLoadedFromTheStartIsSaidAndGivenUp) {
  auto program = start();
  EXPECT_TRUE(
      program->wait_for_error("preload table: loading failed \\(cannot open .*table.txt\\)"));
  EXPECT_TRUE(program->exits_with(1)) << program->transcript();
  EXPECT_TRUE(program->wait_for_error("giving up"));
}

TEST_F(PreloadedCluster, AfterAKilledLoaderAnotherLoadsWhenItIsNeeded) {
  auto program = start_with("one 1\n");
  EXPECT_TRUE(two_serve(*program));
  const auto first = loaders(*program);
  ASSERT_EQ(first.size(), 1U);
  kill(first[0], SIGKILL);
  EXPECT_TRUE(program->wait_for_error("what had loaded table for the workers is gone"));
  EXPECT_EQ(value("one"), "1");
  EXPECT_EQ(http_get(port, "/crash").error, "closed");
  EXPECT_TRUE(two_serve(*program));
  EXPECT_EQ(loads(*program), 2) << program->transcript();
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(PreloadedCluster, WhatIsSentToAWorkerBeforeItIsStartedReachesIt) {
  Program program{{helper("told_early")}, kPlainSignals};
  EXPECT_TRUE(program.wait_for_line("before it was started")) << program.transcript();
  EXPECT_TRUE(program.exits_with(0)) << program.transcript();
  EXPECT_EQ(program.lines(),
            (std::vector<std::string>{"worker 1 has no process",
                                      "start worker 2 (pid 0): operation canceled",
                                      "worker 1 has a process", "before it was started"}));
}

TEST_F(PreloadedCluster, ALoaderThatStandsStillIsReplaced) {
  auto program = start_with("one 1\n");
  EXPECT_TRUE(two_serve(*program));
  const auto found = loaders(*program);
  ASSERT_EQ(found.size(), 1U);
  ASSERT_TRUE(stop(found[0]));
  EXPECT_EQ(http_get(port, "/crash").error, "closed");
  EXPECT_TRUE(two_serve(*program));
  EXPECT_EQ(loads(*program), 2) << program->transcript();
  EXPECT_FALSE(is_alive(found[0]));
  EXPECT_TRUE(program->ends_on_interrupt());
}

// What it had is not shared: neither what waits in the loop, nor who hears of it.
TEST_F(PreloadedCluster, ALoopThatWasThereBeforeGoesOnInEachWorker) {
  Program program{{helper("loop_before")}, kPlainSignals};
  EXPECT_TRUE(program.exits_with(0)) << program.transcript();
  for (const std::string worker : {"worker 1", "worker 2"})
    for (const std::string what : {" a timer", " a pipe", " a signal"})
      EXPECT_EQ(program.count(worker + what), 1) << program.transcript();
}

// Nobody writes into that pipe.
TEST_F(PreloadedCluster, AnEndWhileItLoadsWaitsForNobody) {
  ASSERT_EQ(mkfifo(table().c_str(), 0600), 0);
  auto program = start();
  EXPECT_TRUE(program->wait_until("it to load", [&] { return loaders(*program).size() == 1; }));
  EXPECT_TRUE(program->ends_on_interrupt()) << program->transcript();
  EXPECT_TRUE(program->descendants().empty());
}

// systemd and terminals send such to all processes of a service.
TEST_F(PreloadedCluster, ALoaderThatIsToldToEndGoesOnUntilItIsNotNeeded) {
  auto program = start_with("one 1\n");
  EXPECT_TRUE(two_serve(*program));
  const auto found = loaders(*program);
  ASSERT_EQ(found.size(), 1U);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) kill(found[0], number);
  EXPECT_EQ(http_get(port, "/crash").error, "closed");
  EXPECT_TRUE(two_serve(*program));
  EXPECT_EQ(loads(*program), 1) << program->transcript();
  EXPECT_TRUE(program->ends_on_interrupt());
}

}  // namespace
}  // namespace harness
