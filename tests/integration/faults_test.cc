// What goes wrong in practice, one by one: ports that cannot be had, programs that do not start or
// do not stay, deaths at the worst moment, and workers that do not keep to the protocol.
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>
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

// --- ports

// A port that another program listens on.
class BusyPort {
 public:
  BusyPort() : fd_{socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(fd_, 1), 0);
    EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin6_port);
  }
  ~BusyPort() { close(fd_); }
  BusyPort(const BusyPort&) = delete;
  BusyPort& operator=(const BusyPort&) = delete;

  std::string port() const { return std::to_string(port_); }

 private:
  int fd_;
  int port_ = 0;
};

class Ports : public testing::TestWithParam<const char*> {
 protected:
  ProgramOptions options() const { return {.env = {{"NODE_CLUSTER_SCHED_POLICY", GetParam()}}}; }
};
INSTANTIATE_TEST_SUITE_P(Policy, Ports, testing::Values("rr", "none", "adaptive"),
                         [](const auto& test) { return std::string{test.param}; });

TEST_P(Ports, ABusyPortIsAnErrorOfEachWorkerThatAskedForIt) {
  const BusyPort busy;
  Program program{{helper("listen_errors"), "--port", busy.port()}, options()};
  for (const std::string worker : {"1", "2"})
    EXPECT_TRUE(program.wait_for_match("^worker " + worker + ": listen .*" + busy.port() +
                                       ": .*address already in use"));
  EXPECT_EQ(program.lines().size(), 2U) << program.transcript();
  EXPECT_TRUE(program.ends_on_interrupt());
}

// test-cluster-bind-privileged-port
// test-cluster-shared-handle-bind-privileged-port
TEST_P(Ports, AForbiddenPortIsAnErrorOfEachWorkerThatAskedForIt) {
  int first_free = 1024;
  std::ifstream{"/proc/sys/net/ipv4/ip_unprivileged_port_start"} >> first_free;
  if (first_free <= 1) GTEST_SKIP() << "every port is free for everybody here";
  ProgramOptions unprivileged = options();
  unprivileged.without = {CAP_NET_BIND_SERVICE};
  Program program{{helper("listen_errors"), "--port", "1"}, unprivileged};
  for (const std::string worker : {"1", "2"})
    EXPECT_TRUE(program.wait_for_match("^worker " + worker + ": listen .*:1: permission denied"));
  EXPECT_TRUE(program.ends_on_interrupt());
}

TEST_P(Ports, AnErrorThatNobodyHandlesEndsTheWorkerWithItsMessage) {
  const BusyPort busy;
  Program program{{example("hello_cluster"), "--workers", "2", "--port", busy.port()}, options()};
  EXPECT_TRUE(program.wait_for_error("listen .*" + busy.port() + ": .*address already in use"));
  EXPECT_TRUE(program.leaves_no_process());
  EXPECT_TRUE(program.ends_on_interrupt());
}

// test-cluster-listening-port
TEST_P(Ports, TheSystemsChoiceIsTheSameForAllWorkers) {
  Program program{{helper("listen_errors"), "--port", "0"}, options()};
  EXPECT_TRUE(program.wait_for_match("^worker 1 listens on"));
  EXPECT_TRUE(program.wait_for_match("^worker 2 listens on"));
  std::vector<std::string> lines = program.lines();
  std::sort(lines.begin(), lines.end());
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].substr(8), lines[1].substr(8));
  EXPECT_FALSE(lines[0].ends_with(":0"));
  EXPECT_TRUE(program.ends_on_interrupt());
}

TEST(Leaving, DisconnectCallsBackWhenEveryProcessIsGoneAndThePortIsFree) {
  const std::string port = std::to_string(free_port());
  Program program{{helper("leaving"), "--port", port}};
  for (const std::string worker : {"1", "2", "3"})
    EXPECT_TRUE(program.wait_for_match("^worker " + worker + ": listen .*" + port +
                                       ": .*address already in use"))
        << "the same server twice in one worker";
  EXPECT_TRUE(program.wait_for_line("disconnected after 3 exits"));
  EXPECT_TRUE(program.wait_for_line("the port is free"));
  EXPECT_TRUE(program.exits_with(0));
}

// --- programs that do not start or do not stay

TEST(Keep, GivesUpWithTheReasonWhenTheProgramIsMissing) {
  Program program{{helper("keeper"), "--exec", "no_such_worker"}};
  EXPECT_TRUE(program.exits_with(1));
  EXPECT_NE(program.errors().find("no_such_worker"), std::string::npos) << program.errors();
  EXPECT_NE(program.errors().find("no such file or directory"), std::string::npos)
      << program.errors();
}

TEST(Keep, GivesUpAfterFiveTriesWithTheLastLinesOfTheWorker) {
  const TempDir folder;
  const std::string script =
      folder.write("worker", "#!/bin/sh\necho 'cannot open the database' >&2\nexit 3\n");
  const auto start = Clock::now();
  Program program{{helper("keeper"), "--exec", script}};
  EXPECT_TRUE(program.exits_with(1));
  EXPECT_GE(Clock::now() - start, 1500ms);  // 100 + 200 + 400 + 800
  for (int i = 1; i <= 5; ++i) EXPECT_EQ(program.count("fork " + std::to_string(i)), 1);
  EXPECT_EQ(program.count("fork 6"), 0);
  EXPECT_TRUE(program.wait_for_match("^exit 5: exited with code 3"));
  const std::string errors = program.errors();
  EXPECT_NE(errors.find("no worker was ever ready after 5 tries"), std::string::npos) << errors;
  const std::string last_lines = "its last lines on stderr:\n  cannot open the database\n";
  EXPECT_NE(errors.find(last_lines), std::string::npos) << errors;
  EXPECT_TRUE(program.leaves_no_process());
}

TEST(Keep, AWorkerThatDiesForEverIsReplacedAtAFallingRateWhileTheOthersServe) {
  const std::uint16_t port = free_port();
  const auto start = Clock::now();
  Program program{{helper("fragile"), "--port", std::to_string(port)}};
  ASSERT_TRUE(accepts(port));
  LoadGenerator generator{{.port = port, .connections = 2}};
  EXPECT_TRUE(program.wait_for_line("fork 6"));
  EXPECT_GE(Clock::now() - start, 1500ms);  // 100 + 200 + 400 + 800
  const LoadReport report = generator.stop();
  EXPECT_GT(report.ok, 0);
  EXPECT_EQ(report.failed, 0) << report.text();
  EXPECT_FALSE(program.has_exited());
  EXPECT_TRUE(program.ends_on_interrupt());
}

// --- deaths

// `answering`, and the pids of its workers in the order in which they listened.
class Answering {
 public:
  Answering(const std::string& policy, const std::string& limit)
      : program{{helper("answering"), "--port", std::to_string(port), "--limit", limit},
                {.env = {{"NODE_CLUSTER_SCHED_POLICY", policy}}}} {
    EXPECT_TRUE(program.wait_until("two workers", [&] { return program.lines().size() >= 2; }));
  }
  pid_t worker(std::size_t index) const {
    return std::stoi(program.lines().at(index).substr(sizeof "listening"));
  }

  const std::uint16_t port = free_port();
  Program program;
};

TEST(Death, AWorkerThatIsKilledBetweenHandOffAndReplyLosesNoConnection) {
  Answering cluster{"rr", "0"};
  const pid_t stopped = cluster.worker(0);
  const std::string other = std::to_string(cluster.worker(1)) + '\n';
  ASSERT_TRUE(harness::stop(stopped));

  std::vector<TcpClient> waiting(20);
  for (TcpClient& client : waiting) {
    ASSERT_EQ(client.connect(cluster.port), "");
    ASSERT_EQ(client.send("x"), "");
  }
  // The other one answers what it got; what the stopped one was handed waits.
  std::erase_if(waiting, [&](TcpClient& client) { return client.receive(300ms) == other; });
  ASSERT_FALSE(waiting.empty()) << "the stopped worker was handed nothing";
  ASSERT_EQ(kill(stopped, SIGKILL), 0);
  for (TcpClient& client : waiting) EXPECT_EQ(client.receive(), other) << client.reason();
  waiting.clear();  // the worker ended its side; it would wait for ours
  EXPECT_TRUE(cluster.program.ends_on_interrupt());
}

class Limit : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Policy, Limit, testing::Values("rr", "none", "adaptive"),
                         [](const auto& test) { return std::string{test.param}; });

TEST_P(Limit, WhenEveryWorkerIsFullNobodySpinsAndTheNextConnectionWaitsItsTurn) {
  Answering cluster{GetParam(), "1"};
  std::vector<TcpClient> clients(6);
  for (TcpClient& client : clients) ASSERT_EQ(client.connect(cluster.port), "");
  const std::vector<pid_t> processes{cluster.program.pid(), cluster.worker(0), cluster.worker(1)};
  const auto sleeps = [&] {
    long sum = 0;
    for (pid_t pid : processes) sum += voluntary_switches(pid);
    return sum;
  };
  const auto cpu = [&] {
    std::chrono::nanoseconds sum{};
    for (pid_t pid : processes) sum += cpu_time(pid);
    return sum;
  };
  std::this_thread::sleep_for(500ms);  // what happens once after the start is over
  // Half a second in which nothing happens outside. A refused connection may be offered again now
  // and then; going round and round would be thousands of times.
  const auto cpu_before = cpu();
  const long sleeps_before = sleeps();
  std::this_thread::sleep_for(500ms);
  EXPECT_LT(cpu() - cpu_before, 150ms);  // one that spins has more, also on a busy machine
  EXPECT_LT(sleeps() - sleeps_before, 100);

  // Whoever is served leaves, and makes room for one that waits.
  for (TcpClient& client : clients) ASSERT_EQ(client.send("x"), "");
  EXPECT_TRUE(eventually("the last one to be served", [&] {
    std::erase_if(clients, [](TcpClient& client) { return !client.receive(10ms).empty(); });
    return clients.empty();
  }));
  EXPECT_TRUE(cluster.program.ends_on_interrupt());
}

class Orphans : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Of, Orphans, testing::Values("hello_cluster", "busy"),
                         [](const auto& test) { return std::string{test.param}; });

// test-cluster-primary-kill
TEST_P(Orphans, NoWorkerIsLeftOneSecondAfterItsPrimaryWasKilled) {
  const std::string name = GetParam();
  const std::uint16_t port = free_port();
  Program program{{name == "busy" ? helper(name) : example(name), "--port", std::to_string(port),
                   "--workers", "3", "--quiet"}};
  if (name == "busy")
    ASSERT_TRUE(program.wait_for_line("busy"));
  else
    ASSERT_TRUE(accepts(port));
  ASSERT_FALSE(program.descendants().empty());
  program.signal(SIGKILL);
  EXPECT_TRUE(program.leaves_no_process(1s));
  EXPECT_TRUE(is_closed(port, 1s));
}

// --- descriptors

TEST(Descriptors, OfThePrimaryAreAsManyAfterThirtyDeathsAsAfterTheFirst) {
  Program program{{example("failing_primary"), "--keep-going", "--after", "0.05"}};
  ASSERT_TRUE(program.wait_for_line("worker", 6));  // the second worker is up
  const std::size_t before = fds_of(program.pid()).size();
  ASSERT_TRUE(program.wait_for_line("worker exited with error code: 1", 30));
  EXPECT_TRUE(eventually("as many descriptors as before",
                         [&] { return fds_of(program.pid()).size() == before; }));
  EXPECT_TRUE(program.ends_on_interrupt());
}

class WithoutStdio : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(WithALoop, WithoutStdio, testing::Values("", "--io"));

TEST_P(WithoutStdio, AWorkerGetsNothingOfItsPrimaryInThePlaceOfWhatThatWasStartedWithout) {
  const std::string start = "exec 9>&1; exec \"$0\" --fd 9 $1 0<&- 1>&- 2>&-";
  Program program{{"/bin/sh", "-c", start, helper("inherits"), GetParam()}};
  EXPECT_TRUE(program.exits_with(0));
  EXPECT_EQ(program.lines(), (std::vector<std::string>(3, "/dev/null"))) << program.transcript();
}

TEST_P(Ports, ConnectionsLeaveNoDescriptorBehindInAnyProcess) {
  const std::uint16_t port = free_port();
  Program program{
      {example("hello_cluster"), "--workers", "2", "--quiet", "--port", std::to_string(port)},
      options()};
  const auto load = [&] {
    LoadOptions some{.port = port, .connections = 8, .requests = 400};
    some.request.keep_alive = false;
    EXPECT_EQ(LoadGenerator{some}.wait().failed, 0);
  };
  const auto descriptors = [&] {
    std::size_t sum = fds_of(program.pid()).size();
    for (pid_t worker : program.descendants()) sum += fds_of(worker).size();
    return sum;
  };
  const auto at_rest = [&] {
    std::size_t last = 0;
    EXPECT_TRUE(eventually("rest", [&] {
      const std::size_t earlier = std::exchange(last, descriptors());
      std::this_thread::sleep_for(100ms);
      return earlier == last && last == descriptors();
    }));
    return last;
  };
  ASSERT_TRUE(accepts(port));
  // Until all workers listen, and what is opened once (the steering program after 250 ms) is open.
  EXPECT_TRUE(eventually("a load that leaves no more descriptors than there were", [&] {
    const std::size_t before = at_rest();
    load();
    return eventually("as many as before", [&] { return descriptors() <= before; }, 2s) == true;
  })) << descriptors();
  EXPECT_TRUE(program.ends_on_interrupt());
}

}  // namespace
}  // namespace harness
