// Unmodified Node programs as workers of a cohort primary, on Node 20 and Node 26.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "harness/client.h"
#include "harness/proc.h"
#include "interop/interop.h"

namespace harness {
namespace {

using std::chrono_literals::operator""ms;

// A connection that a process holds is one of them; what a port's steering holds is not.
std::ptrdiff_t sockets_of(pid_t pid) {
  const auto fds = fds_of(pid);
  return std::count_if(fds.begin(), fds.end(),
                       [](const auto& fd) { return fd.second.starts_with("socket:"); });
}

// A primary whose workers run workers/NAME.
class NodeWorkers {
 public:
  NodeWorkers(const std::string& version, const std::string& policy) : node_{version} {
    variables_ = {{"NODE_CLUSTER_SCHED_POLICY", policy}, {"PORT", std::to_string(port)}};
  }

  Program& start(const std::string& worker, int workers = 1, const Variables& more = {},
                 const std::string& say = "[]") {
    Variables variables = variables_;
    variables.insert(variables.end(), more.begin(), more.end());
    primary_ = std::make_unique<Program>(
        std::vector<std::string>{interop_program("primary"), "--exec", script("workers/" + worker),
                                 "--workers", std::to_string(workers), "--say", say},
        node_.options(variables));
    return *primary_;
  }
  // With --workers that listen on `port`.
  Program& start_listening(const std::string& worker, int workers, const Variables& more = {}) {
    Program& primary = start(worker, workers, more);
    for (int id = 1; id <= workers; ++id)
      EXPECT_TRUE(primary.wait_for_line(listening(id, std::to_string(port))));
    return primary;
  }
  static std::string listening(int id, const std::string& where) {
    return "listening " + std::to_string(id) + ' ' + where;
  }

  const NodeInPath& node() const { return node_; }
  const std::uint16_t port = free_port();

 private:
  NodeInPath node_;
  Variables variables_;
  std::unique_ptr<Program> primary_;
};

std::string name_of(const testing::TestParamInfo<std::tuple<const char*, const char*>>& test) {
  return std::string{std::get<0>(test.param)} + '_' + std::get<1>(test.param);
}

// Under both policies.
class NodeServers : public testing::TestWithParam<std::tuple<const char*, const char*>> {
 protected:
  NodeWorkers workers{std::get<0>(GetParam()), std::get<1>(GetParam())};
};
INSTANTIATE_TEST_SUITE_P(Of, NodeServers,
                         testing::Combine(testing::Values("node20", "node26"),
                                          testing::Values("rr", "none", "adaptive")),
                         name_of);

// Where the policy makes no difference.
class NodeLife : public testing::TestWithParam<const char*> {
 protected:
  NodeWorkers workers{GetParam(), "rr"};
};
INSTANTIATE_TEST_SUITE_P(Of, NodeLife, testing::Values("node20", "node26"),
                         [](const auto& test) { return std::string{test.param}; });

// --- servers

// Asks again and again, until each of two workers has answered, well every time.
void expect_answers_of_both(std::uint16_t port) {
  std::set<std::string> answered;
  EXPECT_TRUE(eventually("answers of both workers", [&] {
    const HttpResponse response = http_get(port);
    EXPECT_EQ(response.status, 200) << response.error;
    answered.insert(response.body);
    return answered == std::set<std::string>{"1", "2"} || response.status != 200;
  }));
}

// The worker that answers a connection to `net.js` or `full.js`, or why none did.
std::string answer(TcpClient& client) {
  const std::string text = client.receive_all();
  return text.empty() ? client.reason() : text;
}

TEST_P(NodeServers, TwoWorkersServeHttpOnOnePort) {
  Program& primary = workers.start_listening("http.js", 2);
  expect_answers_of_both(workers.port);
  EXPECT_TRUE(primary.ends_on_interrupt());
  EXPECT_TRUE(prints_in_order(
      primary, {"online 1", "listening 1 " + std::to_string(workers.port), "exit 1 0 asked"}));
}

// test-tls-ticket-cluster
TEST_P(NodeServers, TwoWorkersServeHttpsAndResumeEachOthersSessions) {
  Program& primary = workers.start_listening("https.js", 2);
  Program client{{workers.node().node(), script("tls_client.js")},
                 {.env = {{"PORT", std::to_string(workers.port)}}}};
  EXPECT_TRUE(client.exits_with(0));
  EXPECT_EQ(client.output(), "resumed\n") << client.transcript();
  EXPECT_TRUE(primary.ends_on_interrupt());
}

TEST_P(NodeServers, OneWorkerServesTwoPorts) {
  const std::uint16_t second = free_port();
  Program& primary =
      workers.start_listening("two_servers.js", 1, {{"SECOND_PORT", std::to_string(second)}});
  ASSERT_TRUE(primary.wait_for_line(NodeWorkers::listening(1, std::to_string(second))));
  EXPECT_EQ(http_get(workers.port).body, "http");
  TcpClient client;
  ASSERT_EQ(client.connect(second), "");
  EXPECT_EQ(answer(client), "net");
  client.close();
  EXPECT_TRUE(primary.ends_on_interrupt());
}

TEST_P(NodeServers, TwoPortsOfTheSystemsChoiceAreTheSameTwoInBothWorkers) {
  Program& primary = workers.start("zero.js", 2);
  std::vector<std::string> ports;
  ASSERT_TRUE(primary.wait_until("two messages", [&] {
    ports.clear();
    for (const std::string& line : primary.lines())
      if (line.starts_with("message ")) ports.push_back(line.substr(sizeof "message 1"));
    return ports.size() == 2;
  }));
  EXPECT_EQ(ports[0], ports[1]);
  int first = 0, second = 0;
  ASSERT_EQ(sscanf(ports[0].c_str(), "[%d,%d]", &first, &second), 2) << ports[0];
  EXPECT_NE(first, second);
  for (const int port : {first, second})
    EXPECT_TRUE(accepts(static_cast<std::uint16_t>(port))) << port;
  EXPECT_TRUE(primary.ends_on_interrupt());
}

// All that a Unix socket says, or why it cannot be asked.
std::string read_unix(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  std::string text;
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    text = strerror(errno);
  } else {
    char buffer[64];
    for (ssize_t size; (size = read(fd, buffer, sizeof buffer)) > 0;)
      text.append(buffer, static_cast<std::size_t>(size));
  }
  close(fd);
  return text;
}

TEST_P(NodeServers, TwoWorkersServeOneUnixSocket) {
  const TempDir folder;
  const std::string path = folder.path() + "/socket";
  Program& primary = workers.start("unix.js", 2, {{"SOCKET", path}});
  for (const int id : {1, 2}) ASSERT_TRUE(primary.wait_for_line(NodeWorkers::listening(id, path)));
  std::set<std::string> answered;
  EXPECT_TRUE(eventually("answers of both workers", [&] {
    answered.insert(read_unix(path));
    return answered.size() == 2;
  }));
  EXPECT_EQ(answered, (std::set<std::string>{"1", "2"}));
  EXPECT_TRUE(primary.ends_on_interrupt());
}

TEST_P(NodeServers, TwoWorkersShareOneDatagramSocket) {
  Program& primary = workers.start_listening("dgram.js", 2);
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const timeval patience{10, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(workers.port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(sendto(fd, "hello", 5, 0, reinterpret_cast<sockaddr*>(&address), sizeof address), 5);
    char buffer[16];
    const ssize_t size = recv(fd, buffer, sizeof buffer, 0);
    ASSERT_EQ(std::string(buffer, static_cast<std::size_t>(std::max<ssize_t>(size, 0))), "HELLO");
  }
  close(fd);
  EXPECT_TRUE(primary.ends_on_interrupt());
}

// test-cluster-eaddrinuse
TEST_P(NodeServers, ABusyPortIsTheErrorOfNodeAndCanBeHadOnceItIsFree) {
  auto busy = std::make_unique<BusyPort>(workers.port);
  const std::string port = std::to_string(workers.port);
  Program& primary = workers.start("busy_port.js", 2);
  const std::string error =
      R"({"code":"EADDRINUSE","errno":-98,"syscall":"bind","port":)" + port + '}';
  for (const std::string id : {"1", "2"})
    ASSERT_TRUE(primary.wait_for_line("message " + id + ' ' + error));
  busy.reset();
  for (const int id : {1, 2}) EXPECT_TRUE(primary.wait_for_line(NodeWorkers::listening(id, port)));
  expect_answers_of_both(workers.port);
  EXPECT_TRUE(primary.ends_on_interrupt());
}

TEST_P(NodeServers, AWorkerThatIsKilledWhileItIsStoppedLosesNoConnection) {
  Program& primary = workers.start_listening("net.js", 2);
  const pid_t stopped = pid_of_worker(primary, 1);
  ASSERT_TRUE(harness::stop(stopped));
  std::vector<TcpClient> clients(10);
  for (TcpClient& client : clients) {
    ASSERT_EQ(client.connect(workers.port), "");
    ASSERT_EQ(client.send("x"), "");
  }
  ASSERT_EQ(kill(stopped, SIGKILL), 0);
  for (TcpClient& client : clients) EXPECT_EQ(answer(client), "2");
  clients.clear();
  EXPECT_TRUE(primary.wait_for_line("exit 1 SIGKILL unasked"));
  EXPECT_TRUE(primary.ends_on_interrupt());
}

TEST_P(NodeServers, ARequestThatIsBeingServedIsAnsweredBeforeTheEnd) {
  Program& primary = workers.start_listening("slow.js", 2);
  HttpResponse response;
  std::thread client{[&] { response = http_get(workers.port); }};
  const auto received = primary.wait_for_match("^message [12] \"request\"$");
  primary.signal(SIGTERM);
  client.join();
  EXPECT_TRUE(received);
  EXPECT_EQ(response.body, "answered at the end") << response.error;
  EXPECT_TRUE(ends_well(primary));
}

TEST_P(NodeLife, AConnectionThatWasJustHandedOverIsServedBeforeTheDisconnect) {
  Program& primary = workers.start_listening("net.js", 1);
  const pid_t worker = pid_of_worker(primary, 1);
  const auto sockets = [&] { return sockets_of(primary.pid()); };
  const auto before = sockets();
  ASSERT_TRUE(harness::stop(worker));
  TcpClient client;
  ASSERT_EQ(client.connect(workers.port), "");
  ASSERT_EQ(client.send("x"), "");
  EXPECT_TRUE(eventually("the primary has accepted it", [&] { return sockets() > before; }));
  primary.signal(SIGTERM);
  ASSERT_EQ(kill(worker, SIGCONT), 0);
  EXPECT_EQ(answer(client), "1");
  client.close();
  EXPECT_TRUE(ends_well(primary));
}

// --- limits

TEST_P(NodeLife, FullWorkersAreLeftAloneUntilOneHasRoom) {
  Program& primary = workers.start_listening("full.js", 2);
  std::vector<TcpClient> clients(3);
  for (TcpClient& client : clients) ASSERT_EQ(client.connect(workers.port), "");
  const std::vector<pid_t> processes{primary.pid(), pid_of_worker(primary, 1),
                                     pid_of_worker(primary, 2)};
  const auto sum = [&](auto of) {
    auto total = of(processes[0]);
    for (std::size_t i = 1; i < processes.size(); ++i) total += of(processes[i]);
    return total;
  };
  // Half a second in which nothing happens outside: the third connection is offered a few times. A
  // Node primary offers it thousands of times.
  const auto cpu = sum(cpu_time);
  const long sleeps = sum(voluntary_switches);
  std::this_thread::sleep_for(500ms);
  EXPECT_LT(sum(cpu_time) - cpu, 100ms);
  EXPECT_LT(sum(voluntary_switches) - sleeps, 300);

  // Whoever leaves makes room.
  for (TcpClient& client : clients) ASSERT_EQ(client.send("x"), "");
  std::set<std::string> answered;
  for (TcpClient& client : clients) {
    answered.insert(answer(client));
    client.close();
  }
  EXPECT_EQ(answered, (std::set<std::string>{"1", "2"}));
  EXPECT_TRUE(primary.ends_on_interrupt());
}

// --- messages

TEST_P(NodeLife, EveryKindOfJsonComesBackTheSame) {
  Program& primary = workers.start("kinds.js");
  EXPECT_TRUE(ends_well(primary));
  EXPECT_EQ(primary.count("message 1 \"all came back the same\""), 1) << primary.transcript();
}

TEST_P(NodeLife, MessagesThatWereSentBeforeItRanArriveInOrder) {
  Program& primary = workers.start("early_messages.js", 1, {}, R"([1, "two", {"three": [3]}])");
  ASSERT_TRUE(primary.wait_for_line(R"(message 1 {"early":{"three":[3]}})"));
  EXPECT_TRUE(prints_in_order(primary, {R"(message 1 {"early":1})", R"(message 1 {"early":"two"})",
                                        R"(message 1 {"early":{"three":[3]}})"}));
  EXPECT_TRUE(primary.ends_on_interrupt());
}

TEST_P(NodeLife, FiveThousandMessagesArriveBeforeTheExitOfAWorkerThatExitsAtOnce) {
  Program& primary = workers.start("burst.js");
  EXPECT_TRUE(ends_well(primary));
  std::vector<std::string> expected;
  for (int i = 0; i < 5000; ++i) expected.push_back("message 1 " + std::to_string(i));
  expected.push_back("exit 1 7 unasked");
  EXPECT_TRUE(prints_in_order(primary, expected));
}

// --- the end

struct Leaving {
  const char* how;
  const char* exit;
};

class NodeLeaves : public testing::TestWithParam<std::tuple<const char*, Leaving>> {
 protected:
  NodeWorkers workers{std::get<0>(GetParam()), "rr"};
};
constexpr Leaving kLeavings[] = {{"worker.disconnect", "exit 1 0 asked"},
                                 {"worker.kill", "exit 1 0 asked"},
                                 {"process.disconnect", "exit 1 0 unasked"},
                                 {"asked disconnect", "exit 1 0 asked"},
                                 {"throw", "exit 1 1 unasked"}};
INSTANTIATE_TEST_SUITE_P(
    Of, NodeLeaves,
    testing::Combine(testing::Values("node20", "node26"), testing::ValuesIn(kLeavings)),
    [](const auto& test) {
      std::string how = std::get<1>(test.param).how;
      std::replace_if(how.begin(), how.end(), [](char c) { return c == '.' || c == ' '; }, '_');
      return std::string{std::get<0>(test.param)} + '_' + how;
    });

// test-cluster-disconnect-exitedAfterDisconnect-race
// test-cluster-process-disconnect
TEST_P(NodeLeaves, TheEventsOfItsEndComeInOrderAndSayWhoWantedIt) {
  const Leaving& leaving = std::get<1>(GetParam());
  Program& primary = workers.start("leave.js", 1, {{"HOW", leaving.how}});
  EXPECT_TRUE(ends_well(primary));
  EXPECT_TRUE(
      prints_in_order(primary, {"online 1", NodeWorkers::listening(1, std::to_string(workers.port)),
                                "disconnect 1", leaving.exit}));
  const bool threw = primary.errors().find("thrown on purpose") != std::string::npos;
  EXPECT_EQ(threw, std::string{leaving.how} == "throw") << primary.errors();
}

TEST_P(NodeLife, ChildrenOfAWorkerAreItsOwn) {
  Program& primary = workers.start("family.js", 1, {{"GUEST", interop_program("guest")}});
  EXPECT_TRUE(ends_well(primary));
  for (const char* line :
       {R"(message 1 {"from":"node","message":{"isWorker":false,"message":"from the worker"}})",
        R"(message 1 {"from":"guest","message":"from the worker"})",
        R"(message 1 {"from":"primary","message":"soon"})", R"(message 1 {"from":"node","code":0})",
        R"(message 1 {"from":"guest","code":0})", R"(message 1 {"from":"primary","code":0})",
        R"(message 1 {"from":"alone","code":0})", "online 1", "exit 1 0 unasked"})
    EXPECT_EQ(primary.count(line), 1) << line << '\n' << primary.transcript();
}

// --- kinds of scripts

class NodeModules : public testing::TestWithParam<std::tuple<const char*, const char*>> {};
INSTANTIATE_TEST_SUITE_P(Of, NodeModules,
                         testing::Combine(testing::Values("node20", "node26"),
                                          testing::Values("mjs", "cjs")),
                         name_of);

TEST_P(NodeModules, RunUnderNode) {
  const auto& [version, suffix] = GetParam();
  NodeWorkers workers{version, "rr"};
  const std::string name = std::string{"module."} + suffix;
  Program& primary = workers.start(name);
  EXPECT_TRUE(ends_well(primary));
  EXPECT_EQ(primary.count("message 1 \"" + name + " worker 1\""), 1) << primary.transcript();
}

// --- handles

class Handles : public testing::TestWithParam<const char*> {
 protected:
  Program& start() {
    const std::string make = GetParam();
    std::vector<std::string> command{
        interop_program("hander"), "--shared", std::to_string(shared), "--down",
        std::to_string(down),      "--up",     std::to_string(up)};
    if (make == "cohort") {
      primary_ = std::make_unique<Program>(command);
    } else {
      command.insert(command.end(), {"--exec", script("workers/handles.js")});
      node_.emplace(make);
      primary_ = std::make_unique<Program>(command, node_->options({}));
    }
    EXPECT_TRUE(primary_->wait_for_line("ready"));
    return *primary_;
  }
  // Who answers a connection to the port, and with what.
  static std::string ask(std::uint16_t port) {
    TcpClient client;
    EXPECT_EQ(client.connect(port), "");
    EXPECT_EQ(client.send("hello"), "");
    return answer(client);
  }

  const std::uint16_t shared = free_port();
  const std::uint16_t down = free_port();
  const std::uint16_t up = free_port();

 private:
  std::optional<NodeInPath> node_;
  std::unique_ptr<Program> primary_;
};
INSTANTIATE_TEST_SUITE_P(With, Handles, testing::Values("cohort", "node20", "node26"),
                         [](const auto& test) { return std::string{test.param}; });

// test-net-listen-handle-in-cluster-1
TEST_P(Handles, AListeningSocketServesOnBothSides) {
  Program& primary = start();
  std::set<std::string> answers;
  EXPECT_TRUE(eventually("both answer", [&] {
    answers.insert(ask(shared));
    return answers.size() == 2;
  }));
  EXPECT_EQ(answers, (std::set<std::string>{"primary hello", "worker hello"}));
  EXPECT_TRUE(primary.ends_on_interrupt());
}

TEST_P(Handles, AConnectionGoesToTheWorkerWithWhatWasReadOfIt) {
  Program& primary = start();
  const auto sockets = [&] { return sockets_of(primary.pid()); };
  const auto before = sockets();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(ask(down), "worker hello");
  EXPECT_TRUE(eventually("none is left here", [&] { return sockets() <= before; }));
  EXPECT_TRUE(primary.ends_on_interrupt());
}

// test-cluster-net-send
// test-child-process-fork-getconnections
TEST_P(Handles, AConnectionComesFromTheWorker) {
  Program& primary = start();
  EXPECT_TRUE(eventually("the worker listens", [&] { return TcpClient{}.connect(up).empty(); }));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(ask(up), "primary hello");
  if (std::string{GetParam()} != "cohort") {
    EXPECT_TRUE(primary.wait_for_match("^counted [0-9]")) << "its owner may ask for their number";
  }
  EXPECT_TRUE(primary.ends_on_interrupt());
}

TEST_P(Handles, OfAWorkerThatIsKilledComeBack) {
  Program& primary = start();
  const auto workers = primary.descendants();
  ASSERT_EQ(workers.size(), 1U);
  ASSERT_TRUE(harness::stop(workers[0]));
  std::vector<TcpClient> clients(5);
  for (TcpClient& client : clients) {
    ASSERT_EQ(client.connect(down), "");
    ASSERT_EQ(client.send("hello"), "");
  }
  ASSERT_EQ(kill(workers[0], SIGKILL), 0);
  EXPECT_TRUE(primary.wait_for_line("send a handle: channel closed, back", 5));
  for (TcpClient& client : clients) EXPECT_EQ(client.receive_all(), "");
  EXPECT_TRUE(primary.leaves_no_process());
}

}  // namespace
}  // namespace harness
