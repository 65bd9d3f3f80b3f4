// The programs of examples/, as the user's page shows them: what they print, line by line, and what
// they leave behind, which is nothing.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "harness/client.h"
#include "harness/load.h"
#include "harness/places.h"
#include "harness/proc.h"
#include "harness/program.h"

namespace harness {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

// A sanitizer's own handler would turn a SIGSEGV into an exit code.
const ProgramOptions kPlainSignals{
    .env = {{"ASAN_OPTIONS", "handle_segv=0:detect_leaks=0"}, {"TSAN_OPTIONS", "handle_segv=0"}}};

// --- hello_cluster

class HelloCluster : public testing::TestWithParam<const char*> {
 protected:
  Program start(std::vector<std::string> flags) {
    std::vector<std::string> argv{example("hello_cluster"), "--port", std::to_string(port_)};
    argv.insert(argv.end(), flags.begin(), flags.end());
    return Program{argv, {.env = {{"NODE_CLUSTER_SCHED_POLICY", GetParam()}}}};
  }
  LoadReport load(long requests, bool keep_alive) const {
    LoadOptions options{.port = port_, .connections = 16, .requests = requests};
    options.request.keep_alive = keep_alive;
    return LoadGenerator{options}.wait();
  }
  // `worker 3 served 1207` -> {3: 1207}
  static std::map<int, long> served_by(const Program& program) {
    std::map<int, long> served;
    for (const std::string& line : program.lines()) {
      int id = 0;
      long requests = 0;
      if (sscanf(line.c_str(), "worker %d served %ld", &id, &requests) == 2) served[id] = requests;
    }
    return served;
  }

  const std::uint16_t port_ = free_port();
};
INSTANTIATE_TEST_SUITE_P(Policy, HelloCluster, testing::Values("rr", "none", "adaptive"),
                         [](const auto& test) { return std::string{test.param}; });

TEST_P(HelloCluster, PrintsThePagesResultBlock) {
  Program program = start({"--workers", "3"});
  ASSERT_TRUE(program.wait_for_line("numReq =  0", 2));
  ASSERT_TRUE(accepts(port_));
  EXPECT_EQ(http_get(port_).body, "hello world\n");
  ASSERT_TRUE(program.wait_for_line("numReq =  1"));
  EXPECT_EQ(http_get(port_).status, 200);
  ASSERT_TRUE(program.wait_for_line("numReq =  2"));

  std::vector<std::string> lines = program.lines();
  lines.erase(std::unique(lines.begin() + 3, lines.end()), lines.end());
  const std::vector<std::string> page{"New Fork!", "New Fork!",   "New Fork!", "numReq =  0",
                                      "Noti!",     "numReq =  1", "Noti!",     "numReq =  2"};
  EXPECT_EQ(lines, page);
  EXPECT_EQ(program.errors(), "");
  EXPECT_TRUE(program.ends_on_interrupt());
}

TEST_P(HelloCluster, CountsEveryRequestOnceAndSaysWhoServedIt) {
  Program program = start({"--workers", "3"});
  ASSERT_TRUE(accepts(port_));
  const LoadReport single = load(500, false);
  const LoadReport kept = load(500, true);
  EXPECT_EQ(single.ok, 500) << single.text();
  EXPECT_EQ(kept.ok, 500) << kept.text();

  EXPECT_TRUE(program.wait_for_line("numReq =  1000"));
  EXPECT_TRUE(program.ends_on_interrupt());
  EXPECT_EQ(program.count("Noti!"), 1000);
  long sum = 0;
  for (const auto& [id, requests] : served_by(program)) {
    EXPECT_TRUE(id >= 1 && id <= 3) << id;
    sum += requests;
  }
  EXPECT_EQ(sum, 1000) << program.transcript();
}

TEST_P(HelloCluster, CountsTheRequestsThatAreUnderWayWhenCtrlCComes) {
  Program program = start({"--workers", "2", "--quiet"});
  ASSERT_TRUE(accepts(port_));
  LoadOptions options{.port = port_, .connections = 16};
  LoadGenerator generator{options};
  ASSERT_TRUE(eventually("load", [&] { return generator.ok() > 300; }));
  program.signal_group(SIGINT);
  EXPECT_TRUE(program.exits_with(0));
  const LoadReport report = generator.stop();

  long sum = 0;
  for (const auto& [id, requests] : served_by(program)) sum += requests;
  EXPECT_EQ(sum, report.ok) << report.text();
  // New connections are refused, or reset where they waited in the closed port's queue; one that
  // was served before is told that it ends.
  for (const auto& [reason, times] : report.reasons)
    EXPECT_FALSE(reason.starts_with("kept")) << report.text();
  EXPECT_EQ(program.count("Noti!"), 0);
  EXPECT_TRUE(program.leaves_no_process());
}

TEST_P(HelloCluster, SharesOnePortAmongAllWorkers) {
  // On a busy machine a worker may be ready only when the load is over: then a longer load follows.
  bool all_serve = false;
  for (long requests = 600; !all_serve && requests < 40'000; requests *= 2) {
    Program program = start({"--workers", "3", "--quiet"});
    ASSERT_TRUE(accepts(port_));
    const LoadReport report = load(requests, false);
    EXPECT_EQ(report.ok, requests) << report.text();
    EXPECT_TRUE(program.ends_on_interrupt());
    const std::map<int, long> served = served_by(program);
    ASSERT_EQ(served.size(), 3U) << program.transcript();
    all_serve = std::ranges::all_of(served, [](const auto& worker) { return worker.second > 0; });
  }
  EXPECT_TRUE(all_serve);
}

TEST(HelloClusterByDefault, ForksOneWorkerPerAvailableCpuAndToleratesStrangeArguments) {
  const std::uint16_t port = free_port();
  Program program{
      {example("hello_cluster"), "script.js", "--unknown", "--port", std::to_string(port)}};
  ASSERT_TRUE(program.wait_for_line("numReq =  0"));
  const int workers = program.count("New Fork!");
  EXPECT_GE(workers, 1);
  EXPECT_LE(workers, sysconf(_SC_NPROCESSORS_ONLN));
  EXPECT_EQ(program.descendants().size(), static_cast<std::size_t>(workers));
  ASSERT_TRUE(accepts(port));
  EXPECT_EQ(http_get(port).body, "hello world\n");
  EXPECT_TRUE(program.ends_on_interrupt());
}

TEST(HelloClusterForDebuggers, ServesFromTheFirstProcessWithoutForking) {
  const std::uint16_t port = free_port();
  Program program{{example("hello_cluster"), "--port", std::to_string(port)},
                  {.env = {{"COHORT_WORKERS", "0"}}}};
  ASSERT_TRUE(accepts(port));
  EXPECT_EQ(http_get(port).body, "hello world\n");
  EXPECT_TRUE(program.descendants().empty());
  EXPECT_TRUE(program.ends_on_interrupt());
}

// --- two_way_messages

TEST(TwoWayMessages, PrintsOneTwoThreeFourTest) {
  for (const char* policy : {"rr", "none"}) {
    Program program{{example("two_way_messages"), "--port", std::to_string(free_port())},
                    {.env = {{"NODE_CLUSTER_SCHED_POLICY", policy}}}};
    EXPECT_TRUE(program.wait_for_line("TEST"));
    EXPECT_TRUE(program.ends_on_interrupt());
    EXPECT_EQ(program.lines(), (std::vector<std::string>{"1", "2", "3", "4", "TEST"}));
    EXPECT_EQ(program.errors(), "");
  }
}

// --- divided_primary and divided_worker

// The worker of the page, word by word, and a PATH in which `node` is a given one.
class DividedWithNode : public testing::TestWithParam<const char*> {
 protected:
  ProgramOptions options() const {
    const std::string node = GetParam() == std::string{"node20"} ? node20() : node26();
    std::filesystem::create_symlink(node, folder_.path() + "/node");
    return {.env = {{"PATH", folder_.path() + ':' + getenv("PATH")}}};
  }
  const TempDir folder_;
};
INSTANTIATE_TEST_SUITE_P(Version, DividedWithNode, testing::Values("node20", "node26"),
                         [](const auto& test) { return std::string{test.param}; });

TEST(Divided, PrintsWorkerEverySecond) {
  Program program{{example("divided_primary")}};
  ASSERT_TRUE(program.wait_for_line("worker"));
  const auto first = Clock::now();
  ASSERT_TRUE(program.wait_for_line("worker", 3));
  EXPECT_GE(Clock::now() - first, 1500ms);
  EXPECT_TRUE(program.ends_on_interrupt());
  for (const std::string& line : program.lines()) EXPECT_EQ(line, "worker");
}

TEST(Divided, FindsItsWorkerFromAnyWorkingDirectory) {
  Program program{{example("divided_primary")}, {.cwd = "/"}};
  EXPECT_TRUE(program.wait_for_line("worker"));
  EXPECT_TRUE(program.ends_on_interrupt());
}

TEST_P(DividedWithNode, RunsTheNodeWorkerOfThePage) {
  const std::string script =
      folder_.write("worker.js", "setInterval(() => {\n    process.send('worker');\n},1000);\n");
  Program program{{example("divided_primary"), script}, options()};
  EXPECT_TRUE(program.wait_for_line("worker", 2));
  EXPECT_EQ(program.errors(), "");
  // A second Ctrl-C, since the script's interval would keep Node alive for the time of a drain.
  program.signal_group(SIGINT);
  program.signal_group(SIGINT);
  EXPECT_TRUE(program.wait_exit()) << program.transcript();
  EXPECT_TRUE(program.leaves_no_process());
  for (const std::string& line : program.lines()) EXPECT_EQ(line, "worker");
}

// --- failing_primary and failing_worker

Program failing(std::vector<std::string> flags) {
  flags.insert(flags.begin(), example("failing_primary"));
  return Program{flags, kPlainSignals};
}

std::vector<std::string> five_lines_and(const std::string& last) {
  std::vector<std::string> lines(5, "worker");
  lines.push_back(last);
  return lines;
}

TEST(Failing, AfterFiveSecondsAndFiveLinesAnUncaughtExceptionEndsTheWorkerWithOne) {
  const auto start = Clock::now();
  Program program = failing({});
  EXPECT_TRUE(program.exits_with(0));
  EXPECT_GE(Clock::now() - start, 5s);
  EXPECT_EQ(program.lines(), five_lines_and("worker exited with error code: 1"));
  EXPECT_NE(program.errors().find("error_function failed"), std::string::npos);
  EXPECT_TRUE(program.leaves_no_process());
}

TEST(Failing, SaysWhichSignalKilledTheWorker) {
  for (const std::string name : {"SIGSEGV", "SIGKILL"}) {
    Program program = failing({"--after", "0.5", "--with", name});
    EXPECT_TRUE(program.exits_with(0));
    EXPECT_EQ(program.lines(), five_lines_and("worker was killed by signal: " + name));
  }
}

TEST(Failing, SaysThatAWorkerWhichLeavesWithZeroSucceeded) {
  Program program = failing({"--after", "0.5", "--with", "exit"});
  EXPECT_TRUE(program.exits_with(0));
  EXPECT_EQ(program.lines(), five_lines_and("worker success!"));
  EXPECT_EQ(program.errors(), "");
}

// test-cluster-worker-events
TEST(Failing, AMissingWorkerIsOneErrorWithPathAndReason) {
  Program program = failing({"--missing", "--keep-going"});
  EXPECT_TRUE(program.exits_with(0));
  ASSERT_EQ(program.lines().size(), 1U) << program.transcript();
  const std::string line = program.lines()[0];
  EXPECT_TRUE(line.starts_with("Error: ")) << line;
  EXPECT_NE(line.find("no_such_worker"), std::string::npos) << line;
  EXPECT_NE(line.find("no such file or directory"), std::string::npos) << line;
}

TEST(Failing, KeepGoingForksASuccessorAndTheLinesGoOn) {
  Program program = failing({"--keep-going", "--after", "0.3"});
  EXPECT_TRUE(program.wait_for_line("worker exited with error code: 1", 3));
  EXPECT_TRUE(program.wait_for_line("worker", 16));
  EXPECT_TRUE(program.ends_on_interrupt());
  // Between two ends there are five lines, never more or fewer.
  const std::vector<std::string> lines = program.lines();
  for (std::size_t i = 0; i < 18; ++i)
    EXPECT_EQ(lines[i], i % 6 == 5 ? "worker exited with error code: 1" : "worker") << i;
}

TEST(Failing, PrintsExactlyFiveLinesWhenEveryCpuIsBusy) {
  std::vector<std::unique_ptr<Program>> hogs(
      static_cast<std::size_t>(sysconf(_SC_NPROCESSORS_ONLN)));
  for (auto& hog : hogs)
    hog = std::make_unique<Program>(std::vector<std::string>{"sh", "-c", "while :; do :; done"});
  std::vector<std::unique_ptr<Program>> programs;
  for (const char* how : {"exception", "SIGKILL", "SIGSEGV", "exit"})
    programs.push_back(std::make_unique<Program>(
        std::vector<std::string>{example("failing_primary"), "--after", "0.2", "--with", how},
        kPlainSignals));
  for (const auto& program : programs) {
    EXPECT_TRUE(program->exits_with(0));
    EXPECT_EQ(program->count("worker"), 5) << program->transcript();
  }
}

// --- own_policy

TEST(OwnPolicy, ARequestForAShardComesToItsWorkerOrItsSuccessorAndAnyOtherToAnybody) {
  const std::uint16_t port = free_port();
  Program program{{example("own_policy"), "--port", std::to_string(port)}};
  const auto asked = [port](const std::string& path) { return http_get(port, path).body; };
  // Until its worker listens, others answer for a shard.
  const auto each_comes_to = [&](const std::vector<std::string>& workers) {
    for (std::size_t slot = 0; slot < workers.size(); ++slot) {
      const std::string path = "/shard/" + std::to_string(slot);
      const std::string answer =
          "slot " + std::to_string(slot) + ", worker " + workers[slot] + '\n';
      EXPECT_TRUE(eventually(answer, [&] { return asked(path) == answer; }));
      for (int i = 0; i < 10; ++i) EXPECT_EQ(asked(path), answer);
    }
  };
  each_comes_to({"1", "2", "3"});
  EXPECT_TRUE(asked("/").starts_with("slot "));
  EXPECT_TRUE(asked("/shard/9").starts_with("slot ")) << "nobody has that number";
  EXPECT_TRUE(asked("/shard/x").starts_with("slot "));
  const auto ours = program.descendants();
  for (const pid_t pid : processes_marked("COHORT_SLOT=1")) {
    if (std::count(ours.begin(), ours.end(), pid) == 0) continue;
    EXPECT_EQ(kill(pid, SIGKILL), 0);
  }
  each_comes_to({"1", "4", "3"});
  EXPECT_TRUE(program.ends_on_interrupt());
}

// --- keep_serving, awaiting

TEST(KeepServing, ReplacesAWorkerThatCrashesAndGoesOnServing) {
  const std::uint16_t port = free_port();
  Program program{{example("keep_serving"), "--workers", "2", "--port", std::to_string(port)},
                  kPlainSignals};
  ASSERT_TRUE(accepts(port));
  const auto crashes = [&] {
    const std::vector<std::string> lines = program.error_lines();
    return std::count_if(lines.begin(), lines.end(), [](const std::string& line) {
      return line.find("SIGABRT") != std::string::npos;
    });
  };
  for (int i = 1; i <= 3; ++i) {
    EXPECT_EQ(http_get(port, "/crash").error, "closed");
    EXPECT_TRUE(program.wait_until("the crash to be reported", [&] { return crashes() >= i; }));
    EXPECT_EQ(http_get(port).status, 200);
  }
  EXPECT_EQ(crashes(), 3) << "no request may be given to a second worker";
  EXPECT_TRUE(eventually("two workers", [&] { return program.descendants().size() == 2; }));
  EXPECT_TRUE(program.ends_on_interrupt());
}

TEST(SingleAndMulti, GivesTheSameAnswerInThreeWays) {
  Program program{{example("single_and_multi"), "--megabytes", "2", "--workers", "3"}};
  EXPECT_TRUE(program.exits_with(0));
  const std::vector<std::string> lines = program.lines();
  ASSERT_EQ(lines.size(), 3U) << program.transcript();
  // `   4944 words, w0 841 times`, before how many times as fast it was.
  const auto answer = [&](std::size_t i) {
    const std::size_t begin = lines[i].find(" ms ") + 4;
    return lines[i].substr(begin, lines[i].find(" times") - begin);
  };
  EXPECT_TRUE(lines[0].starts_with("1 thread "));
  EXPECT_TRUE(lines[1].starts_with("3 threads "));
  EXPECT_TRUE(lines[2].starts_with("3 processes "));
  EXPECT_TRUE(lines[2].ends_with(" times as fast"));
  EXPECT_EQ(answer(0), "  4944 words, w0 841");
  EXPECT_EQ(answer(1), answer(0));
  EXPECT_EQ(answer(2), answer(0));
}

TEST(ImageThreads, MovesImagesToAThreadAndBackWhileAnotherFails) {
  Program program{{example("image_threads")}};
  EXPECT_TRUE(program.exits_with(0));
  // The two threads are in no order.
  std::vector<std::string> lines = program.lines();
  std::sort(lines.begin(), lines.end());
  const std::vector<std::string> expected = {
      "a.png: the first pixel is 255", "b.png: the first pixel is 55",
      "in thread failing: the method failed (no such file: c.png)", "inverter: exit code 0"};
  EXPECT_EQ(lines, expected) << program.transcript();
}

TEST(CrashingTasks, CostTheirWorkersAndNothingElse) {
  Program program{{example("crashing_tasks")}, kPlainSignals};
  EXPECT_TRUE(program.exits_with(0));
  const std::vector<std::string> lines = program.lines();
  ASSERT_EQ(lines.size(), 5U) << program.transcript();
  const std::string died = "run a task of the pool pool: its worker died (killed by SIGSEGV";
  EXPECT_TRUE(lines[0].starts_with(died)) << lines[0];
  EXPECT_EQ(lines[1], "144");
  EXPECT_EQ(lines[2], "run a task of the pool pool: timed out (its deadline is over)");
  EXPECT_TRUE(lines[3].starts_with(died)) << lines[3];
  EXPECT_EQ(lines[4], "4 crashes, 2 tried again, poison: crash");
}

TEST(PoolOfCommands, RunsTasksInNodeAndPython) {
  const std::string node = node20();
  Program program{{example("pool_of_commands"), "--workers", source("examples")},
                  {.env = {{"PATH", node.substr(0, node.rfind('/')) + ':' + ::getenv("PATH")}}}};
  EXPECT_TRUE(program.exits_with(0));
  const std::vector<std::string> expected = {
      "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
      "7",
      "run a task divide: the method failed (division by zero)",
      "run a task divide: the method failed (ZeroDivisionError: division by zero)",
      "run a task multiply: no such method (there is no method multiply)",
      "step 1",
      "step 2",
      "2"};
  EXPECT_EQ(program.lines(), expected) << program.transcript();
}

TEST(PoolInServer, OtherRequestsAreAnsweredWhileOneHashes) {
  const std::uint16_t port = free_port();
  Program program{{example("pool_in_server"), "--port", std::to_string(port), "--workers", "1"}};
  ASSERT_TRUE(accepts(port));
  // It would take hours: what is answered meanwhile waits for nothing.
  TcpClient waiting;
  ASSERT_EQ(waiting.connect(port), "");
  ASSERT_EQ(waiting.send("GET /hash?4000000000 HTTP/1.1\r\nHost: a\r\n\r\n"), "");
  for (int i = 0; i < 20; ++i) EXPECT_EQ(http_get(port).body, "hello world\n");
  EXPECT_EQ(http_get(port, "/hash?1").body, "12206856185304982309\n");
  EXPECT_FALSE(waiting.is_over());
}

TEST(Awaiting, AsksThreeWorkersOneAfterTheOther) {
  Program program{{example("awaiting")}};
  EXPECT_TRUE(program.exits_with(0));
  const std::vector<std::string> lines = program.lines();
  ASSERT_EQ(lines.size(), 3U) << program.transcript();
  EXPECT_TRUE(lines[0].starts_with("worker 1: 3 squared is 9; exited with code 0")) << lines[0];
  EXPECT_TRUE(lines[1].starts_with("worker 2: 12 squared is 144; exited")) << lines[1];
  EXPECT_TRUE(lines[2].starts_with("worker 3: 111 squared is 12321; exited")) << lines[2];
}

}  // namespace
}  // namespace harness
