// What happens to connections under the policies that give every worker a queue of its own, while
// workers are blocked, stopped, killed, replaced, added and removed. The load never sends a request
// twice, and accounts for each. COHORT_CHAOS=1 (`make chaos`): the same for longer.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
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

// Of `much`, what is done in an ordinary run. Programs with sanitizers take ten times as long to
// start.
template <class Amount>
Amount of(Amount much) {
  if (std::getenv("COHORT_CHAOS") != nullptr) return much;
  return much / (std::getenv("COHORT_SANITIZED") != nullptr ? 10 : 5);
}

// A cluster of `steered` under the test's policy: a name of one, `random` (adaptive without eBPF),
// or a Node whose workers are under `adaptive`.
class Steered : public testing::TestWithParam<const char*> {
 protected:
  bool is(std::string_view policy) const { return GetParam() == policy; }
  bool of_node() const { return is("node20") || is("node26"); }
  Program& start(std::vector<std::string> flags, std::size_t workers = 4,
                 std::vector<std::string> argv = {}) {
    argv.insert(argv.end(), {helper("steered"), "--port", std::to_string(port), "--workers",
                             std::to_string(workers)});
    argv.insert(argv.end(), flags.begin(), flags.end());
    std::string policy = GetParam(), path = std::getenv("PATH");
    if (of_node()) {
      const std::string node = is("node20") ? node20() : node26();
      path = node.substr(0, node.rfind('/')) + ':' + path;
      policy = "adaptive";
      argv.insert(argv.end(), {"--exec", source("tests/integration/scripts/steered.js")});
    }
    if (is("random")) policy = "adaptive";
    program_.emplace(argv, ProgramOptions{.env = {{"NODE_CLUSTER_SCHED_POLICY", policy},
                                                  {"COHORT_EBPF", is("random") ? "0" : "1"},
                                                  {"PATH", path}}});
    EXPECT_TRUE(program_->wait_until("every worker to listen",
                                     [&] { return listening().size() >= workers; }));
    return *program_;
  }
  // The pids of all workers that ever listened, in that order; with a number of at most `last`.
  std::vector<pid_t> listening(int last = std::numeric_limits<int>::max()) const {
    std::vector<pid_t> pids;
    for (const std::string& line : program_->lines()) {
      int id = 0, pid = 0;
      if (sscanf(line.c_str(), "listening %d %d", &id, &pid) == 2 && id <= last)
        pids.push_back(pid);
    }
    return pids;
  }
  // Of each worker that died, how many requests it had in flight, as it published them.
  std::vector<int> lost() const {
    std::vector<int> counts;
    for (const std::string& line : program_->lines())
      if (int count = 0; sscanf(line.c_str(), "lost %d", &count) == 1) counts.push_back(count);
    return counts;
  }
  LoadOptions load(int connections, bool keep_alive) const {
    LoadOptions options{.port = port, .connections = connections};
    options.request.keep_alive = keep_alive;
    return options;
  }

  const std::uint16_t port = free_port();

 private:
  std::optional<Program> program_;
};
INSTANTIATE_TEST_SUITE_P(Policy, Steered,
                         testing::Values("adaptive", "random", "hash", "rr", "none", "node20",
                                         "node26"),
                         [](const auto& test) { return std::string{test.param}; });

// A client whose request keeps its worker busy.
class Blocking {
 public:
  Blocking(std::uint16_t port, milliseconds duration) {
    EXPECT_EQ(client_.connect(port), "");
    EXPECT_EQ(client_.send("GET /block/" + std::to_string(duration.count()) +
                           " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
              "");
  }
  bool waits() { return client_.receive(1ms).empty() && client_.reason() == "timeout"; }
  bool answered() { return client_.receive_all().ends_with("hello world\n"); }

 private:
  TcpClient client_;
};

// Under round-robin one connection may wait: the one that the worker was handed as it got busy.
TEST_P(Steered, NobodyWaitsForABlockedWorker) {
  if (is("rr")) GTEST_SKIP() << "a policy without queues";
  Program& program = start({});
  const milliseconds block = is("hash") ? 12s : 4s;  // clients wait for a second there
  Blocking blocking{port, block};
  LoadGenerator generator{load(8, false)};
  EXPECT_TRUE(eventually("load", [&] { return generator.ok() > 500; }));
  EXPECT_TRUE(blocking.waits()) << "the others served during the block";
  const LoadReport report = generator.stop();
  EXPECT_EQ(report.failed, 0) << report.text();
  // Far below the end of the block; a slow machine may take its time. Node accepts connections that
  // it does not read from yet: those wait.
  EXPECT_TRUE(of_node() || report.slowest < block / 2) << report.text();
  EXPECT_TRUE(blocking.answered());
  EXPECT_TRUE(program.ends_on_interrupt());
}

TEST_P(Steered, WhatAWorkerHadInFlightIsKnownAfterItsEnd) {
  if (of_node()) GTEST_SKIP() << "Node's workers do not say";
  Program& program = start({}, 1);
  LoadReport before = LoadGenerator{{.port = port, .connections = 4, .requests = 40}}.wait();
  EXPECT_EQ(before.failed, 0) << before.text();
  const pid_t idle = listening().back();
  // Its last answer has arrived, but it may be about to note that.
  EXPECT_TRUE(program.wait_until("it to sleep", [&] { return is_asleep(idle); }));
  ASSERT_EQ(kill(idle, SIGKILL), 0);
  EXPECT_TRUE(program.wait_until("its end", [&] { return lost() == std::vector<int>{0}; }));
  EXPECT_TRUE(program.wait_until("a successor", [&] { return listening().back() != idle; }));
  Blocking blocking{port, 60s};
  EXPECT_TRUE(program.wait_until("the worker to be blocked",
                                 [&] { return cpu_time(listening().back()) > 300ms; }));
  ASSERT_EQ(kill(listening().back(), SIGKILL), 0);
  EXPECT_TRUE(program.wait_until("its end", [&] { return lost() == std::vector<int>{0, 1}; }));
  EXPECT_TRUE(program.ends_on_interrupt());
}

TEST_P(Steered, AWorkerThatWasBlockedIsServedAgain) {
  Program& program = start({}, 2);
  for (int round = 0; round < 6; ++round) {
    Blocking first{port, 200ms};
    Blocking second{port, 200ms};
    EXPECT_TRUE(first.answered());
    EXPECT_TRUE(second.answered());
  }
  LoadReport report = LoadGenerator{{.port = port, .connections = 4, .requests = 200}}.wait();
  EXPECT_EQ(report.failed, 0) << report.text();
  EXPECT_TRUE(program.ends_on_interrupt());
}

TEST_P(Steered, AStoppedWorkerFailsNothing) {
  Program& program = start({});
  const pid_t stopped = listening()[1];
  LoadGenerator generator{load(16, false)};
  EXPECT_TRUE(eventually("load", [&] { return generator.ok() > 100; }));
  ASSERT_EQ(kill(stopped, SIGSTOP), 0);
  std::this_thread::sleep_for(of(5000ms) * 2);
  ASSERT_EQ(kill(stopped, SIGCONT), 0);
  const LoadReport report = generator.stop();
  EXPECT_EQ(report.failed, 0) << report.text();
  EXPECT_TRUE(program.ends_on_interrupt());
}

bool all_may_reach(const std::filesystem::path& path) {
  using std::filesystem::perms;
  const auto mode = std::filesystem::status(path).permissions();
  return (mode & perms::others_exec) != perms::none &&
         (path == path.parent_path() || all_may_reach(path.parent_path()));
}

TEST_P(Steered, WorkersOfAnotherUserServe) {
  if (geteuid() != 0) GTEST_SKIP() << "only root may change the user";
  if (!all_may_reach(helper("steered")) || (of_node() && !all_may_reach(node20())))
    GTEST_SKIP() << "the programs are in a private folder";
  Program& program = start({"--uid", "65534"});
  for (const pid_t pid : listening()) {
    struct stat process{};
    ASSERT_EQ(stat(("/proc/" + std::to_string(pid)).c_str(), &process), 0);
    EXPECT_EQ(process.st_uid, 65534U);
  }
  const LoadReport report = LoadGenerator{{.port = port, .connections = 4, .requests = 200}}.wait();
  EXPECT_EQ(report.failed, 0) << report.text();
  EXPECT_TRUE(program.ends_on_interrupt());
}

// They take what they can, and the rest waits.
TEST_P(Steered, WithoutDescriptorsConnectionsWait) {
  if (of_node()) GTEST_SKIP() << "Node needs more than these to start";
  Program& program = start({}, 2, {"sh", "-c", "ulimit -n 40 && exec \"$@\"", "sh"});
  LoadOptions options = load(128, false);
  options.requests = 2000;
  const LoadReport report = LoadGenerator{options}.wait();
  EXPECT_EQ(report.failed, 0) << report.text();
  EXPECT_TRUE(program.ends_on_interrupt());
}

// Only what a worker had accepted dies with it: nothing is refused, and no connection that waited
// is reset.
TEST_P(Steered, KillingWorkersLosesOnlyWhatTheyHadAccepted) {
  Program& program = start({});
  LoadGenerator generator{load(64, false)};
  EXPECT_TRUE(eventually("load", [&] { return generator.ok() > 100; }));
  int kills = 0;
  for (const auto end = Clock::now() + of(10000ms); Clock::now() < end; ++kills) {
    std::this_thread::sleep_for(50ms);
    const std::vector<pid_t> alive = program.descendants();
    if (!alive.empty()) kill(alive[static_cast<std::size_t>(kills) % alive.size()], SIGKILL);
  }
  const LoadReport report = generator.stop();
  // At most what the workers had in hand, as they say themselves, if they do; on average much less
  // than one each time.
  const std::vector<int> said = lost();
  const int in_flight = std::accumulate(said.begin(), said.end(), 0);
  EXPECT_LE(report.failed, of_node() ? 2 * kills : in_flight + kills)
      << kills << " kills; " << report.text();
  EXPECT_LE(in_flight, 2 * kills);
  EXPECT_EQ(said.empty(), of_node());
  for (const auto& [reason, times] : report.reasons)
    EXPECT_EQ(reason.find("refused"), std::string::npos) << report.text();
  EXPECT_GT(report.ok, 100);
  EXPECT_TRUE(program.ends_on_interrupt());
}

TEST_P(Steered, WhoIsForkedAsOneDiesIsInItsSlot) {
  Program& program = start({});
  const std::vector<pid_t> first = listening();
  for (std::size_t i = 0; i < 3; ++i) {
    ASSERT_EQ(kill(first[i], SIGKILL), 0);
    EXPECT_TRUE(program.wait_until("a successor", [&] { return listening().size() > 4 + i; }));
    const auto of = [&](pid_t pid) {
      const std::string middle = ' ' + std::to_string(pid) + " slot ";
      for (const std::string& line : program.lines())
        if (const auto at = line.find(middle); at != line.npos)
          return line.substr(at + middle.size());
      return std::string{"none"};
    };
    EXPECT_EQ(of(listening().back()), of(first[i]));
  }
  EXPECT_TRUE(program.ends_on_interrupt());
}

TEST_P(Steered, ReplacingEveryWorkerLosesNoRequest) {
  for (const bool keep_alive : {false, true}) {
    if (keep_alive && of_node()) continue;  // it closes its idle connections: docs/policies.md
    Program& program = start({"--replace", std::to_string(of(of_node() ? 30 : 100))});
    LoadGenerator generator{load(16, keep_alive)};
    EXPECT_TRUE(program.wait_for_line("done", 1, 60s));
    EXPECT_TRUE(program.wait_until("the old ones to end",
                                   [&] { return program.descendants().size() <= 4; }));
    const LoadReport report = generator.stop();
    EXPECT_EQ(report.failed, 0) << (keep_alive ? "keep-alive: " : "") << report.text();
    EXPECT_FALSE(report.reasons.contains("connect: refused")) << report.text();
    EXPECT_TRUE(program.ends_on_interrupt());
  }
}

TEST_P(Steered, WhoIsForkedWhileTheServiceEndsIsToldToEnd) {
  Program& program = start({"--again", "--drain", "4000"});
  program.signal(SIGTERM);
  EXPECT_TRUE(program.exits_with(0)) << program.transcript();
  EXPECT_EQ(program.output().find("killed"), std::string::npos) << program.transcript();
  EXPECT_TRUE(program.leaves_no_process());
}

// It serves nothing, knows no channel, and gets the signal though it was forked after the others
// had.
TEST(ServiceThatEnds, EndsAProgramThatIsForkedMeanwhile) {
  const TempDir folder;
  const std::string program = folder.write("program", R"(#!/bin/sh
[ -e second ] && exec sleep 1000
touch second
exec )" + helper("steered") + R"( "$@"
)");
  Program primary{{helper("steered"), "--port", std::to_string(free_port()), "--workers", "1",
                   "--again", "--drain", "4000", "--exec", program},
                  {.cwd = folder.path()}};
  ASSERT_TRUE(primary.wait_for_match("listening 1 "));
  primary.signal(SIGTERM);
  EXPECT_TRUE(primary.exits_with(0)) << primary.transcript();
  EXPECT_EQ(primary.output().find("killed"), std::string::npos) << primary.transcript();
}

TEST_P(Steered, PostsSurviveReplacementsToo) {
  if (of_node()) GTEST_SKIP() << "Node closes its idle connections";
  Program& program = start({"--replace", std::to_string(of(50))});
  LoadOptions options = load(16, true);
  options.request.method = "POST";
  options.request.body = std::string(2000, 'x');
  LoadGenerator generator{options};
  EXPECT_TRUE(program.wait_for_line("done", 1, 60s));
  const LoadReport report = generator.stop();
  EXPECT_EQ(report.failed, 0) << report.text();
  EXPECT_TRUE(program.ends_on_interrupt());
}

// Connections on which nothing is under way when their worker is told to end: they go to others.
TEST_P(Steered, IdleConnectionsOutliveTheirWorkers) {
  if (of_node()) GTEST_SKIP() << "Node closes its idle connections";
  Program& program = start({"--replace", "4"});
  const int count = of(2000);
  std::vector<TcpClient> fresh(static_cast<std::size_t>(count)), used(fresh.size());
  const auto answered = [](TcpClient& client) {
    return client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").empty() &&
           client.receive_until("hello world\n").ends_with("hello world\n");
  };
  for (TcpClient& client : fresh) ASSERT_EQ(client.connect(port), "");
  for (TcpClient& client : used) {
    ASSERT_EQ(client.connect(port), "");
    ASSERT_TRUE(answered(client));
  }
  EXPECT_TRUE(program.wait_for_line("done"));
  // By their numbers: a successor may have listened before the last of them did.
  const std::vector<pid_t> first = listening(4);
  EXPECT_EQ(first.size(), 4U);
  EXPECT_TRUE(program.wait_until("the first workers to end", [&] {
    const auto alive = program.descendants();
    return std::none_of(first.begin(), first.end(), [&](pid_t pid) {
      return std::find(alive.begin(), alive.end(), pid) != alive.end();
    });
  }));
  int failed = 0;
  for (auto* clients : {&fresh, &used})
    for (TcpClient& client : *clients) failed += answered(client) ? 0 : 1;
  EXPECT_EQ(failed, 0);
  fresh.clear();
  used.clear();
  EXPECT_TRUE(program.ends_on_interrupt());
}

// Its workers are told to end before the time for that is over.
TEST_P(Steered, AStopWithLittleTimeStillLetsARequestFinish) {
  Program& program = start({"--drain", "3000"});
  Blocking request{port, 1500ms};
  EXPECT_TRUE(request.waits());
  program.signal(SIGTERM);
  EXPECT_TRUE(program.exits_with(0));
  EXPECT_TRUE(request.answered());
}

// Who had connected is answered; who had not is refused, or was not heard and tries again.
TEST_P(Steered, AStopUnderLoadLosesNoRequest) {
  for (int i = 0; i < of(10); ++i) {
    Program& program = start({});
    LoadGenerator generator{load(16, false)};
    EXPECT_TRUE(eventually("load", [&] { return generator.ok() > 500; }));
    program.signal(SIGTERM);
    EXPECT_TRUE(program.exits_with(0));
    const LoadReport report = generator.stop();
    const auto refused = report.reasons.find("connect: refused");
    EXPECT_EQ(report.failed, refused == report.reasons.end() ? 0 : refused->second)
        << report.text();
  }
}

TEST_P(Steered, MoreAndFewerWorkersLoseNoRequest) {
  Program& program = start({"--counts", "8,2,5"}, 1);
  LoadGenerator generator{load(16, false)};
  EXPECT_TRUE(program.wait_for_line("done"));
  EXPECT_EQ(program.descendants().size(), 5U);
  const LoadReport report = generator.stop();
  EXPECT_EQ(report.failed, 0) << report.text();
  EXPECT_FALSE(report.reasons.contains("connect: refused")) << report.text();
  EXPECT_TRUE(program.ends_on_interrupt());
}

// --- every policy with every kind of server

class Server : public testing::TestWithParam<const char*> {
 protected:
  Program start(const std::string& name) {
    return Program{{example(name), "--port", std::to_string(port), "--workers", "2"},
                   {.env = {{"NODE_CLUSTER_SCHED_POLICY", GetParam()}}}};
  }
  const std::uint16_t port = free_port();
};
INSTANTIATE_TEST_SUITE_P(Policy, Server,
                         testing::Values("auto", "adaptive", "hash", "sticky", "round-robin",
                                         "shared"),
                         [](const auto& test) {
                           const std::string policy = test.param;
                           return policy == "round-robin" ? "round_robin" : policy;
                         });

TEST_P(Server, OfOursServes) {
  Program program = start("hello_cluster");
  ASSERT_TRUE(accepts(port));
  EXPECT_EQ(LoadGenerator({.port = port, .connections = 4, .requests = 100}).wait().ok, 100);
  EXPECT_TRUE(program.ends_on_interrupt());
}

TEST_P(Server, GivesItsConnectionsTheOptionsOfTheListener) {
  Program program{{helper("listen_options"), "--port", std::to_string(port), "--workers", "2"},
                  {.env = {{"NODE_CLUSTER_SCHED_POLICY", GetParam()}}}};
  ASSERT_TRUE(program.wait_for_line("listening", 2));
  for (int i = 0; i < 6; ++i) {
    TcpClient client;
    ASSERT_EQ(client.connect(port), "");
    EXPECT_EQ(client.receive_all(), "nodelay 0 keepalive 1 after 7\n");
  }
  EXPECT_TRUE(program.ends_on_interrupt());
}

// Two programs of one user, and none of their primaries knows.
TEST_P(Server, WithAPortThatIsItsOwnAffairSharesItWithOthers) {
  const std::vector<std::string> command{
      helper("listen_options"), "--port", std::to_string(port), "--workers", "2", "--reuse-port"};
  const ProgramOptions options{.env = {{"NODE_CLUSTER_SCHED_POLICY", GetParam()}}};
  Program one{command, options};
  Program other{command, options};
  ASSERT_TRUE(one.wait_for_line("listening", 2));
  ASSERT_TRUE(other.wait_for_line("listening", 2));
  EXPECT_TRUE(one.ends_on_interrupt());
  TcpClient client;
  ASSERT_EQ(client.connect(port), "");
  EXPECT_EQ(client.receive_all(), "nodelay 0 keepalive 1 after 7\n");
  EXPECT_TRUE(other.ends_on_interrupt());
  EXPECT_EQ(other.errors(), "");
}

TEST_P(Server, OnAsioServes) {
  Program program = start("asio_echo");
  ASSERT_TRUE(accepts(port));
  for (int i = 0; i < 10; ++i) {
    TcpClient client;
    ASSERT_EQ(client.connect(port), "");
    ASSERT_EQ(client.send("echo\n"), "");
    EXPECT_EQ(client.receive_until("\n"), "echo\n");
  }
  EXPECT_TRUE(program.ends_on_interrupt());
}

// It accepts by itself, which round-robin does not leave to it: the error names what does.
TEST_P(Server, WithALoopOfItsOwnServesWhereThereIsADescriptor) {
  Program program = start("epoll_server");
  if (std::string_view{GetParam()} == "round-robin") {
    EXPECT_TRUE(program.wait_for_error("under round-robin; use adaptive, hash, sticky or shared"));
    EXPECT_TRUE(program.exits_with(1));
    return;
  }
  ASSERT_TRUE(accepts(port));
  LoadOptions options{.port = port, .connections = 4, .requests = 100};
  options.request.keep_alive = false;
  EXPECT_EQ(LoadGenerator{options}.wait().ok, 100);
  EXPECT_TRUE(program.ends_on_interrupt());
}

TEST_P(Server, OfNodeServesUnmodified) {
  const std::string folder = std::filesystem::path{node20()}.parent_path();
  Program program{{command(), "run", "-b", GetParam(), "-w", "2", source("examples/node/hello.js"),
                   std::to_string(port)},
                  {.env = {{"PATH", folder + ':' + ::getenv("PATH")}}}};
  ASSERT_TRUE(program.wait_for_error("all 2 workers listen"));
  LoadOptions options{.port = port, .connections = 4, .requests = 100};
  options.request.keep_alive = false;
  EXPECT_EQ(LoadGenerator{options}.wait().ok, 100);
  EXPECT_TRUE(program.ends_on_interrupt());
}

}  // namespace
}  // namespace harness
