// `cohort run`, as a person or a process manager uses it: what it serves, what it says, how it
// ends.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <regex>
#include <set>
#include <thread>

#include "harness/client.h"
#include "harness/load.h"
#include "harness/places.h"
#include "harness/proc.h"
#include "harness/program.h"

namespace harness {
namespace {

using namespace std::chrono_literals;

// Says who answers; /slow/N answers after N milliseconds. Nothing in it knows of a cluster.
constexpr const char* kServer = R"(
const http = require('http');
http.createServer((req, res) => {
  const slow = req.url.match(/^\/slow\/(\d+)/);
  const text = req.url === '/pid' ? String(process.pid) : 'hello world\n';
  setTimeout(() => res.end(text), slow ? Number(slow[1]) : 0);
}).listen(Number(process.argv[2] || 0));
)";

constexpr const char* kListening = "listening on http://localhost:[0-9]+";

/// Starts `cohort run` in a folder of its own, with one of the Node binaries first in PATH.
class Command : public testing::Test {
 protected:
  using Arguments = std::vector<std::string>;

  std::unique_ptr<Program> run(const Arguments& arguments, ProgramOptions options = {}) {
    Arguments argv{command(), "run"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    options.cwd = folder_.path();
    const std::string node_folder = std::filesystem::path{node_}.parent_path();
    options.env.emplace_back("PATH", node_folder + ':' + ::getenv("PATH"));
    return std::make_unique<Program>(argv, options);
  }
  std::unique_ptr<Program> serve(const Arguments& options = {"-w", "2"}) {
    folder_.write("server.js", kServer);
    Arguments arguments = options;
    arguments.push_back("server.js");
    auto program = run(arguments);
    EXPECT_TRUE(program->wait_for_error(kListening));
    return program;
  }
  /// Of the line `listening on`.
  static std::uint16_t port_of(const Program& program) {
    const std::string errors = program.errors();
    std::smatch match;
    if (!std::regex_search(errors, match, std::regex{"listening on http://localhost:([0-9]+)"}))
      return 0;
    return static_cast<std::uint16_t>(std::stoi(match[1]));
  }
  static int count_errors(const Program& program, const std::string& pattern) {
    const auto lines = program.error_lines();
    return static_cast<int>(std::count_if(lines.begin(), lines.end(), [&](const std::string& line) {
      return std::regex_search(line, std::regex{pattern});
    }));
  }

  TempDir folder_;
  std::string node_ = node20();
};

/// What depends on Node runs with both versions.
class CommandWithNode : public Command, public testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override { node_ = GetParam() == std::string{"20"} ? node20() : node26(); }
};
INSTANTIATE_TEST_SUITE_P(Node, CommandWithNode, testing::Values("20", "26"),
                         [](const auto& test) { return std::string{test.param}; });

TEST_P(CommandWithNode, AnUnmodifiedScriptIsServedByAllWorkers) {
  auto program = serve({"-w", "2"});
  ASSERT_TRUE(program->wait_for_error("^cohort: all 2 workers listen$"));
  std::set<std::string> pids;
  for (int i = 0; i < 20; ++i) pids.insert(http_get(port_of(*program), "/pid").body);
  EXPECT_EQ(pids.size(), 2U);
  program->signal(SIGTERM);
  EXPECT_TRUE(program->exits_with(0));
  EXPECT_TRUE(program->leaves_no_process());
  EXPECT_EQ(count_errors(*program, "^cohort: stopping: 2 workers finish"), 1);
  EXPECT_EQ(count_errors(*program, "^cohort: stopped$"), 1);
  EXPECT_EQ(count_errors(*program, "died|left"), 0) << program->transcript();
}

TEST_P(CommandWithNode, AWorkerThatIsKilledUnderLoadIsReplacedAndNobodyElseNotices) {
  auto program = serve({"-w", "2"});
  ASSERT_TRUE(program->wait_for_error("all 2 workers listen"));
  const int connections = 4;
  LoadGenerator load{{.port = port_of(*program), .connections = connections, .request = {}}};
  ASSERT_TRUE(eventually("requests are served", [&] { return load.ok() > 20; }));
  ASSERT_EQ(::kill(children_of(program->pid()).front(), SIGKILL), 0);
  ASSERT_TRUE(program->wait_for_error(
      "^cohort: worker 3 \\(pid [0-9]+\\) listens in place of worker [12]$"));
  const long before = load.ok();
  ASSERT_TRUE(eventually("requests are served", [&] { return load.ok() > before + 20; }));
  const LoadReport report = load.stop();
  // Only what the dead worker was serving is lost.
  EXPECT_LE(report.failed, connections) << report.text();
  EXPECT_EQ(count_errors(*program, "worker [12] \\(pid [0-9]+\\) died: killed by SIGKILL$"), 1);
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_P(CommandWithNode, TermAndQuitLetARequestFinish) {
  for (const int stop : {SIGTERM, SIGQUIT}) {
    auto program = serve();
    const std::uint16_t port = port_of(*program);
    TcpClient client;
    ASSERT_EQ(client.connect(port), "");
    auto answer =
        std::async(std::launch::async, [&] { return exchange(client, {.path = "/slow/1500"}); });
    // The request is in a worker when a later one was answered by it; both workers are asked.
    for (int i = 0; i < 4; ++i) EXPECT_EQ(http_get(port).body, "hello world\n");
    program->signal(stop);
    EXPECT_TRUE(program->wait_for_error("^cohort: stopping"));
    EXPECT_EQ(answer.get().body, "hello world\n") << ::strsignal(stop);
    EXPECT_TRUE(program->exits_with(0)) << program->transcript();
    EXPECT_EQ(count_errors(*program, "^cohort: stopped$"), 1) << program->transcript();
    EXPECT_TRUE(program->leaves_no_process());
  }
}

TEST_P(CommandWithNode, ASecondTermStopsAtOnce) {
  auto program = serve();
  const std::uint16_t port = port_of(*program);
  auto answer = std::async(std::launch::async, [&] { return http_get(port, "/slow/60000"); });
  for (int i = 0; i < 4; ++i) EXPECT_EQ(http_get(port).body, "hello world\n");
  program->signal(SIGTERM);
  ASSERT_TRUE(program->wait_for_error("^cohort: stopping: "));
  std::this_thread::sleep_for(200ms);  // what comes sooner is the same wish
  program->signal(SIGTERM);
  EXPECT_TRUE(program->exits_with(128 + SIGTERM));
  EXPECT_EQ(count_errors(*program, "^cohort: stopping at once"), 1);
  EXPECT_NE(answer.get().error, "");
  EXPECT_TRUE(program->leaves_no_process());
}

TEST_P(CommandWithNode, AnNpmScriptThatIsOnePlainCommandIsStartedWithoutNpm) {
  folder_.write("server.js",
                "require('http').createServer((request, response) => response.end("
                "process.env.npm_lifecycle_event + ' ' + process.argv[2]))"
                ".listen(process.env.PORT);");
  const auto port = free_port();
  const auto start_script = [&](const std::string& argument) {
    folder_.write("package.json", R"({"scripts": {"start": "PORT=)" + std::to_string(port) +
                                      " node server.js " + argument + "\"}}");
  };
  start_script("one");
  auto program = run({"-w", "2", "--prove", "0.2", "npm", "start"});
  ASSERT_TRUE(program->wait_for_error("all 2 workers listen")) << program->transcript();
  EXPECT_EQ(count_errors(*program, "^cohort: npm start is `node server.js one`: started without"),
            1);
  EXPECT_EQ(http_get(port).body, "start one");
  start_script("two");
  program->signal(SIGHUP);
  EXPECT_TRUE(
      program->wait_for_error("^cohort: reloading: .*command node server.js one -> node "
                              "server.js two"));
  EXPECT_TRUE(program->wait_for_error("^cohort: reloaded: ")) << program->transcript();
  EXPECT_EQ(http_get(port).body, "start two");
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_P(CommandWithNode, AnNpmScriptThatNeedsAShellIsNamedWithTheCommandToUseInstead) {
  const std::string port = std::to_string(free_port());
  folder_.write("server.js", kServer);
  folder_.write("package.json",
                R"({"scripts": {"start": "node server.js )" + port + " && true\"}}");
  const std::string named =
      "^cohort: npm start listens through a process of its own \\(pid [0-9]+: "
      "node server.js " +
      port + ", port " + port + "\\)";
  const std::string instead = "run that program itself: cohort run server.js " + port + "$";
  auto several = run({"-w", "2", "npm", "start"});
  EXPECT_TRUE(several->exits_with(100));
  EXPECT_EQ(count_errors(*several, named + ", so its workers cannot share the port; " + instead), 1)
      << several->transcript();
  EXPECT_TRUE(several->leaves_no_process());
  // One has nobody to share with.
  auto one = run({"-w", "1", "npm", "start"});
  EXPECT_TRUE(one->wait_for_error("more workers could not share the port"));
  EXPECT_EQ(count_errors(*one, named + ": it is replaced when it dies, .* better " + instead), 1)
      << one->transcript();
  EXPECT_EQ(http_get(static_cast<std::uint16_t>(std::stoi(port))).body, "hello world\n");
  EXPECT_TRUE(one->ends_on_interrupt());
}

TEST_F(Command, ASignalOfOtherManagersDoesNothingAndItSaysSo) {
  auto program = serve();
  program->signal(SIGUSR1);
  EXPECT_TRUE(program->wait_for_error("^cohort: SIGUSR1 does nothing here: "));
  program->signal(SIGUSR2);
  EXPECT_TRUE(program->wait_for_error("^cohort: SIGUSR2 does nothing here: "));
  EXPECT_EQ(http_get(port_of(*program)).status, 200);
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Command, TheWorkersMayAcceptFromOneSocket) {
  auto program = serve({"-w", "2", "-b", "shared"});
  EXPECT_EQ(count_errors(*program, "^cohort: 2 workers of server.js, shared"), 1);
  EXPECT_EQ(http_get(port_of(*program)).body, "hello world\n");
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Command, ArgumentsBehindTheProgramReachItAsTheyAre) {
  folder_.write("args.js",
                "console.log(JSON.stringify(process.argv.slice(2))); setInterval(() => {}, 1e6)");
  auto program = run({"-w", "1", "args.js", "--port", "3000", "-w", "9", "--", "", "a b"});
  EXPECT_TRUE(program->wait_for_line(R"(["--port","3000","-w","9","--","","a b"])"));
  auto bare = run({"-w", "1", "args.js"});
  EXPECT_TRUE(bare->wait_for_line("[]"));
}

TEST_F(Command, ABusyPortIsTriedFiveTimesAndExplained) {
  auto other = serve({"-w", "1"});
  const std::string port = std::to_string(port_of(*other));
  auto program = run({"-w", "1", "server.js", port});
  EXPECT_TRUE(program->exits_with(111));
  EXPECT_EQ(count_errors(*program, "died: exited with code 1$"), 5) << program->transcript();
  EXPECT_GE(count_errors(*program, "EADDRINUSE.*" + port), 1);
  EXPECT_EQ(count_errors(*program, "^cohort: .*giving up"), 1);
  EXPECT_EQ(http_get(port_of(*other)).body, "hello world\n");
}

TEST_F(Command, AProgramThatEndsAtOnceIsNotRetriedForEver) {
  auto program = run({"-w", "2", "true"});
  EXPECT_TRUE(program->exits_with(111));
  EXPECT_EQ(count_errors(*program, "^cohort: .*giving up"), 1) << program->transcript();
}

TEST_F(Command, AProgramThatDoesNotExistIsOneLine) {
  auto program = run({"-w", "2", "no_such_program"});
  EXPECT_TRUE(program->exits_with(100));
  EXPECT_EQ(count_errors(*program, "no_such_program.*no such file"), 1) << program->transcript();
  folder_.write("text", "not a program");
  std::filesystem::permissions(folder_.path() + "/text", std::filesystem::perms::owner_read);
  auto text = run({"-w", "2", "./text"});
  EXPECT_TRUE(text->exits_with(100));
  EXPECT_EQ(count_errors(*text, "not executable"), 1) << text->transcript();
}

TEST_F(Command, AProgramWithoutTheChannelIsToldWhatHappens) {
  auto program = run({"-w", "2", "sleep", "1000"});
  EXPECT_TRUE(program->wait_for_error(
      "^cohort: sleep 1000 runs, but has said nothing on Node's cluster channel"));
  program->signal(SIGTERM);  // reads no channel: must not wait for the drain's end
  EXPECT_TRUE(program->exits_with(0, 10s));
  EXPECT_EQ(count_errors(*program, "died|left|killed"), 0) << program->transcript();
}

TEST_F(Command, AProgramThatBindsItsPortByItselfCannotShareIt) {
  const std::string port = std::to_string(free_port());
  auto program = run({"-w", "2", helper("plain_server"), port});
  EXPECT_TRUE(program->exits_with(100));
  // On a slow machine it is first seen alone, and said to bind by itself.
  EXPECT_EQ(count_errors(*program, "plain_server " + port + " binds port " + port +
                                       " by itself \\(pid [0-9]+\\), so its workers cannot share"),
            1)
      << program->transcript();
  EXPECT_TRUE(program->leaves_no_process());
}

class Listen : public Command, public testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(Policy, Listen, testing::Values("adaptive", "hash", "sticky", "shared"),
                         [](const auto& test) { return std::string{test.param}; });

TEST_P(Listen, AProgramThatTakesItsSocketsLosesOnlyWhatAKilledWorkerHadAccepted) {
  const std::uint16_t port = free_port();
  const std::string address = "127.0.0.1:" + std::to_string(port);
  auto program = run({"-w", "2", "-b", GetParam(), "--listen", address, helper("socket_taker")});
  ASSERT_TRUE(program->wait_for_error("all 2 workers listen")) << program->transcript();
  EXPECT_EQ(port_of(*program), port);
  std::this_thread::sleep_for(1500ms);  // the queues are looked at no more

  LoadOptions options{.port = port, .connections = 4};
  options.request.keep_alive = false;
  LoadGenerator load{options};
  constexpr int kKills = 3;
  for (int i = 0; i < kKills; ++i) {
    std::this_thread::sleep_for(100ms);
    const pid_t serving = std::stoi(http_get(port, "/pid").body);
    kill(serving, SIGKILL);
    EXPECT_TRUE(eventually("a successor", [&] {
      const auto pids = program->descendants();
      return pids.size() == 2 && std::count(pids.begin(), pids.end(), serving) == 0;
    }));
  }
  const LoadReport report = load.stop();
  EXPECT_GT(report.ok, 10) << report.text();
  EXPECT_LE(report.failed, kKills) << report.text();

  program->signal(SIGTERM);
  EXPECT_TRUE(program->exits_with(0)) << program->transcript();
  EXPECT_EQ(count_errors(*program, "LISTEN_PID"), 0) << program->transcript();
  EXPECT_TRUE(program->leaves_no_process());
  EXPECT_TRUE(is_closed(port));
}

TEST_F(Command, WhatWaitsForAStoppedProgramMovesToTheOthersWhereEBpfSteers) {
  auto program = run({"-w", "2", "--listen", "127.0.0.1:0", helper("socket_taker")});
  ASSERT_TRUE(program->wait_for_error("all 2 workers listen")) << program->transcript();
  if (count_errors(*program, "by eBPF") == 0) GTEST_SKIP() << program->transcript();
  const std::uint16_t port = port_of(*program);
  const std::string stopped = http_get(port, "/pid").body;
  ASSERT_TRUE(harness::stop(std::stoi(stopped)));
  for (int i = 0; i < 100; ++i) {
    const std::string served_by = http_get(port, "/pid").body;
    EXPECT_FALSE(served_by.empty()) << "a connection waits for the stopped one";
    EXPECT_NE(served_by, stopped);
  }
  kill(std::stoi(stopped), SIGCONT);
  EXPECT_TRUE(
      eventually("it serves again", [&] { return http_get(port, "/pid").body == stopped; }));
  EXPECT_EQ(count_errors(*program, "died|left"), 0) << program->transcript();
  program->signal(SIGTERM);
  EXPECT_TRUE(program->exits_with(0)) << program->transcript();
}

TEST_P(Listen, ANodeProgramMayListenOnTheDescriptor) {
  folder_.write("by_fd.js",
                "require('http').createServer((q, r) => r.end(String(process.pid)))"
                ".listen({fd: 3});");
  auto program = run({"-w", "2", "-b", GetParam(), "--listen", "127.0.0.1:0", "by_fd.js"});
  ASSERT_TRUE(program->wait_for_error("all 2 workers listen")) << program->transcript();
  const auto pids = program->descendants();
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(std::count(pids.begin(), pids.end(), std::stoi(http_get(port_of(*program)).body)), 1);
  program->signal(SIGTERM);
  EXPECT_TRUE(program->exits_with(0)) << program->transcript();
}

// Packets from many ports of this machine.
class Flows {
 public:
  explicit Flows(std::uint16_t port) {
    address_.sin_family = AF_INET;
    address_.sin_port = htons(port);
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int& fd : fds_) {
      fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
      const timeval patience{10, 0};
      setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    }
  }
  ~Flows() {
    for (const int fd : fds_) close(fd);
  }
  Flows(const Flows&) = delete;
  Flows& operator=(const Flows&) = delete;

  void send() const {
    for (const int fd : fds_)
      EXPECT_EQ(
          sendto(fd, "x", 1, 0, reinterpret_cast<const sockaddr*>(&address_), sizeof address_), 1);
  }
  /// An answer to each; what did not come is 0.
  std::vector<int> answers() const {
    std::vector<int> result;
    for (const int fd : fds_) {
      char text[32] = {};
      const ssize_t size = recv(fd, text, sizeof text - 1, 0);
      result.push_back(size > 0 ? std::atoi(text) : 0);
    }
    return result;
  }

 private:
  sockaddr_in address_{};
  std::array<int, 40> fds_{};
};

class Udp : public Command, public testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(Workers, Udp, testing::Values("cpp", "node"),
                         [](const auto& test) { return std::string{test.param}; });

TEST_P(Udp, AFlowKeepsItsWorkerAndWhatWaitsWhenItDiesIsItsSuccessors) {
  const std::uint16_t port = free_port();
  folder_.write("udp.js", R"(const socket = require('dgram').createSocket('udp4');
      socket.on('message', (text, from) =>
        socket.send(String(process.pid), from.port, from.address));
      socket.bind(Number(process.argv[2]), '127.0.0.1');)");
  auto program = std::string{GetParam()} == "cpp"
                     ? run({"-w", "2", example("udp_echo"), "--port", std::to_string(port)})
                     : run({"-w", "2", "udp.js", std::to_string(port)});
  ASSERT_TRUE(program->wait_for_error("all 2 workers listen")) << program->transcript();
  EXPECT_TRUE(program->wait_for_error("udp://localhost:" + std::to_string(port) + ": sticky"));
  const Flows flows{port};
  flows.send();
  const std::vector<int> before = flows.answers();
  EXPECT_EQ(std::count(before.begin(), before.end(), 0), 0);
  EXPECT_EQ(std::set<int>(before.begin(), before.end()).size(), 2u);
  flows.send();
  EXPECT_EQ(flows.answers(), before);

  const int killed = before.front();
  kill(killed, SIGKILL);
  flows.send();
  const std::vector<int> after = flows.answers();
  std::set<int> successors;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i] == killed)
      successors.insert(after[i]);
    else
      EXPECT_EQ(after[i], before[i]);
  }
  EXPECT_EQ(successors.size(), 1u);
  EXPECT_FALSE(successors.contains(0)) << "lost";
  EXPECT_FALSE(successors.contains(killed));
  program->signal(SIGTERM);
  EXPECT_TRUE(program->exits_with(0)) << program->transcript();
}

TEST_F(Command, ASocketThatItWasStartedWithIsTheOneThatItServes) {
  const std::uint16_t port = free_port();
  folder_.write("node.js",
                "require('http').createServer((q, r) => r.end(String(process.pid)))"
                ".listen(Number(process.argv[2]));");
  const std::string text = std::to_string(port);
  const std::vector<std::vector<std::string>> commands{
      {command(), "run", "-w", "2", folder_.path() + "/node.js", text},
      {command(), "run", "-w", "2", "--listen", text, helper("socket_taker")},
      {example("hello_cluster"), "--port", text, "--workers", "2"}};
  for (const auto& command : commands) {
    std::vector<std::string> argv{helper("socket_activator"), text, "--"};
    argv.insert(argv.end(), command.begin(), command.end());
    const std::string path = node_.substr(0, node_.rfind('/')) + ':' + std::getenv("PATH");
    Program program{argv, {.env = {{"PATH", path}}}};
    // What comes before the first worker listens waits in the socket's queue.
    ASSERT_TRUE(eventually("its start", [&] { return TcpClient{}.connect(port).empty(); }));
    EXPECT_EQ(http_get(port).status, 200) << program.transcript();
    EXPECT_TRUE(program.wait_until("its loop to run", [&] {
      return std::regex_search(program.transcript(), std::regex{"all 2 workers listen|numReq"});
    }));
    program.signal(SIGTERM);
    EXPECT_TRUE(program.exits_with(0)) << program.transcript();
  }
}

// As systemd does, which holds the socket all the time: here the test does.
TEST_F(Command, ASocketThatItWasStartedWithOutlivesItsPrimary) {
  constexpr int kClients = 4, kWorkers = 2;
  const std::uint16_t port = free_port();
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  const int yes = 1, made = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes), 0);
  ASSERT_EQ(::bind(made, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(made, SOMAXCONN), 0);
  const int listening = ::fcntl(made, F_DUPFD, 10);  // whom a shell may give the number 3
  ::close(made);
  folder_.write("server.js", kServer);
  const std::string path = node_.substr(0, node_.rfind('/')) + ':' + std::getenv("PATH");
  const auto start = [&] {
    return std::make_unique<Program>(
        Arguments{"bash", "-c",
                  R"(exec 3<&"$0"; eval "exec $0<&-"; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@")",
                  std::to_string(listening), command(), "run", "-w", std::to_string(kWorkers),
                  "server.js", std::to_string(port)},
        ProgramOptions{.env = {{"PATH", path}}, .cwd = folder_.path()});
  };
  auto first = start();
  ASSERT_TRUE(first->wait_for_error("all 2 workers listen")) << first->transcript();
  LoadGenerator load{{.port = port, .connections = kClients, .request = {}}};
  ASSERT_TRUE(eventually("requests are served", [&] { return load.ok() > 20; }));
  first->signal(SIGKILL);
  ASSERT_TRUE(first->leaves_no_process());
  std::array<TcpClient, 20> meanwhile;
  for (TcpClient& client : meanwhile) {
    ASSERT_EQ(client.connect(port), "");
    ASSERT_EQ(client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), "");
  }
  const long before = load.ok();
  auto second = start();
  for (TcpClient& client : meanwhile)
    EXPECT_NE(client.receive_all().find("hello world\n"), std::string::npos)
        << client.reason() << second->transcript();
  EXPECT_TRUE(eventually("requests are served", [&] { return load.ok() > before + 20; }));
  // What a worker had accepted died with it: of each client, one request of each worker at most.
  const LoadReport report = load.stop();
  EXPECT_LE(report.failed, kClients * kWorkers) << report.text();
  for (const auto& [reason, times] : report.reasons)
    EXPECT_TRUE(reason == "reset" || reason == "closed") << report.text();
  EXPECT_TRUE(second->wait_for_error("all 2 workers listen")) << second->transcript();
  EXPECT_TRUE(second->ends_on_interrupt());
  ::close(listening);
}

TEST_F(Command, AnAddressThatProgramsCannotBeGivenIsAnErrorAtOnce) {
  const std::uint16_t port = free_port();
  auto other = run({"-w", "1", helper("plain_server"), std::to_string(port)});
  ASSERT_TRUE(eventually("it to listen", [&] { return TcpClient{}.connect(port).empty(); }));
  const std::string address = "127.0.0.1:" + std::to_string(port);
  auto busy = run({"--listen", address, helper("socket_taker")});
  EXPECT_TRUE(busy->exits_with(111)) << busy->transcript();  // it may be free again
  EXPECT_EQ(count_errors(*busy, "listen " + address + ": address already in use"), 1)
      << busy->transcript();
  auto rr = run({"--listen", "0", helper("socket_taker")},
                {.env = {{"NODE_CLUSTER_SCHED_POLICY", "rr"}}});
  EXPECT_TRUE(rr->exits_with(100)) << rr->transcript();
  EXPECT_EQ(count_errors(*rr, "policy round-robin hands .* use adaptive, hash, sticky or shared"),
            1)
      << rr->transcript();
}

TEST_F(Command, AProgramThatOnlyStaysIsToldThatItDoesNotListen) {
  folder_.write("quiet.js", "setInterval(() => {}, 1000000)");
  auto program = run({"-w", "1", "quiet.js"});
  EXPECT_TRUE(program->wait_for_error("^cohort: quiet.js runs, but does not listen yet"));
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Command, AHelperThatListensBeforeTheProgramDoesIsNoWrapper) {
  folder_.write("server.js", kServer);
  folder_.write("with_helper.js", R"(
    require('child_process').fork('server.js', ['0'], {env: {PATH: process.env.PATH}});
    setTimeout(() => require('http').createServer().listen(0), 3000);
  )");
  auto program = run({"-w", "1", "with_helper.js"});
  EXPECT_TRUE(program->wait_for_error(kListening));
  EXPECT_FALSE(program->has_exited());
  EXPECT_TRUE(
      program->ends_on_interrupt());  // and so does the helper, which has no mark of the test
}

TEST_F(Command, EventsMayBeJsonObjects) {
  auto program = serve({"-w", "1", "--json"});
  program->signal(SIGTERM);
  EXPECT_TRUE(program->exits_with(0));
  for (const std::string& line : program->error_lines()) {
    EXPECT_TRUE(std::regex_match(
        line, std::regex{R"re(\{"time":"[0-9-]+T[0-9:]+\.[0-9]{3}Z","event":"[a-z_]+",.*\})re"}))
        << line;
  }
  EXPECT_EQ(count_errors(*program, R"("event":"listening","url":"http://localhost:[0-9]+",)"), 1);
}

TEST_F(Command, TheReasonOfGivingUpIsAJsonObjectToo) {
  auto program = run({"-w", "1", "--json", "sh", "-c", "echo no database >&2; exit 3"});
  EXPECT_TRUE(program->exits_with(111));
  for (const std::string& line : program->error_lines())
    EXPECT_TRUE(line == "no database" || line.starts_with(R"({"time":)")) << line;
  EXPECT_EQ(count_errors(*program, R"re("event":"notice",.*"tries":5,.*"code":"gave_up",)re"), 1)
      << program->transcript();
  EXPECT_EQ(count_errors(*program, R"re("lines":\["no database"\],)re"), 1);
}

TEST_F(Command, ColoursAreForTerminalsOnly) {
  folder_.write("quiet.js", "setInterval(() => {}, 1000000)");
  const Arguments arguments{"-w", "1", "quiet.js"};
  EXPECT_TRUE(run(arguments, {.env = {{"TERM", "xterm"}, {"NO_COLOR", ""}}, .terminal = true})
                  ->wait_for_match("\x1b\\[2mcohort:\x1b\\[0m 1 worker"));
  EXPECT_TRUE(run(arguments, {.env = {{"TERM", "xterm"}, {"NO_COLOR", "1"}}, .terminal = true})
                  ->wait_for_match("^cohort: 1 worker"));
  EXPECT_TRUE(run(arguments, {.env = {{"TERM", "xterm"}}})->wait_for_error("^cohort: 1 worker"));
}

TEST_F(Command, StartedByANodeProgramItIsAPrimaryAllTheSame) {
  folder_.write("server.js", kServer);
  folder_.write("parent.js", R"(
    require('child_process').spawn(process.argv[2], ['run', '-w', '1', 'server.js'], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'], env: {...process.env, NODE_UNIQUE_ID: '7'}});
  )");
  Program parent{{node_, "parent.js", command()},
                 {.env = {{"PATH", std::filesystem::path{node_}.parent_path().string() + ':' +
                                       ::getenv("PATH")}},
                  .cwd = folder_.path()}};
  EXPECT_TRUE(parent.wait_for_error(kListening));
}

TEST_F(Command, ServesOnWhenNobodyReadsItsLinesAnyMore) {
  folder_.write("server.js", kServer);
  const std::uint16_t port = free_port();
  Program shell{
      {"sh", "-c", R"("$0" run -w 1 server.js "$1" 2>&1 | true)", command(), std::to_string(port)},
      {.cwd = folder_.path()}};
  std::string first;
  ASSERT_TRUE(eventually("it serves", [&] {
    const HttpResponse response = http_get(port, "/pid");
    first = response.body;
    return response.status == 200;
  }));
  ASSERT_EQ(::kill(std::stoi(first), SIGKILL), 0);  // worth two lines
  EXPECT_TRUE(eventually("a successor serves", [&] {
    const HttpResponse response = http_get(port, "/pid", {}, 1000ms);
    return response.status == 200 && response.body != first;
  }));
}

TEST_F(Command, APrimaryAtRestIsNotWokenAndSmall) {
  auto program = serve({"-w", "1"});
  EXPECT_EQ(http_get(port_of(*program)).body, "hello world\n");
  long switches = -1;
  // Quiet for two seconds on end: the start leaves nothing behind that wakes it.
  ASSERT_TRUE(eventually("no wake-up for two seconds", [&] {
    switches = voluntary_switches(program->pid());
    std::this_thread::sleep_for(2s);
    return voluntary_switches(program->pid()) == switches;
  }));
  RecordProperty("pss_kib", static_cast<int>(pss_kib(program->pid())));
#if defined(NDEBUG) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LT(pss_kib(program->pid()), 4096);
#endif
}

TEST(CommandLineOfCohort, MistakesEndWith100AndHelpWith0) {
  Program mistake{{command(), "run", "--colour", "x"}};
  EXPECT_TRUE(mistake.exits_with(100));
  EXPECT_EQ(mistake.errors(),
            "cohort: `--colour` is not an option of cohort run\n"
            "Try: cohort run --help\n");
  Program help{{command(), "run", "--help"}};
  EXPECT_TRUE(help.exits_with(0));
  EXPECT_EQ(help.output().rfind("Usage: cohort run", 0), 0U);
  EXPECT_EQ(help.errors(), "");
}

TEST_F(Command, ADryRunSaysWhatWouldRunAndStartsNothing) {
  const std::string port = std::to_string(free_port());
  folder_.write("server.js", kServer);
  auto plan = run({"--dry-run", "-w", "3", "--listen", port, "--env", "KEY=secret", "server.js"});
  EXPECT_TRUE(plan->exits_with(0)) << plan->transcript();
  EXPECT_EQ(plan->errors(), "");
  for (const std::string& part :
       {std::string{"server\n"}, std::string{"workers      3, as asked\n"},
        "node " + folder_.path() + "/server.js", "listen       *:" + port,
        std::string{"variables    KEY\n"}, std::string{"server.sock\n"}})
    EXPECT_NE(plan->output().find(part), std::string::npos) << part << '\n' << plan->output();
  EXPECT_EQ(plan->output().find("secret"), std::string::npos);
  EXPECT_TRUE(plan->leaves_no_process());

  auto missing = run({"--dry-run", "nothing.js"});
  EXPECT_TRUE(missing->exits_with(100)) << missing->transcript();

  folder_.write("cohort.toml", "[shop]\nprogram = 'server.js'\n[mail]\nprogram = 'server.js'\n");
  auto all = run({"--dry-run", "--json"});
  EXPECT_TRUE(all->exits_with(0)) << all->transcript();
  EXPECT_TRUE(std::regex_search(
      all->output(), std::regex{R"re(^\{"applications":\[\{"name":"shop",.*\{"name":"mail",)re"}))
      << all->output();
}

TEST(Completion, KnowsTheOptionsAndLeavesTheProgramsOwnAlone) {
  const std::string script = R"(
    compopt() { :; }
    source <("$1" completion bash); shift
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
    _cohort
    echo "=${COMPREPLY[*]}"
  )";
  const auto complete = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"bash", "-c", script, "bash", command()});
    Program bash{words};
    EXPECT_TRUE(bash.exits_with(0));
    return bash.output();
  };
  EXPECT_EQ(complete({"cohort", "ru"}), "=run\n");
  EXPECT_EQ(complete({"cohort", "rel"}), "=reload\n");
  EXPECT_EQ(complete({"cohort", "reload", "--j"}), "=--json\n");
  EXPECT_EQ(complete({"cohort", "doc"}), "=doctor\n");
  EXPECT_EQ(complete({"cohort", "doctor", ""}), "=--json --help\n");
  EXPECT_EQ(complete({"cohort", "im"}), "=import\n");
  EXPECT_EQ(complete({"cohort", "import", "--f"}), "=--force\n");
  EXPECT_EQ(complete({"cohort", "v"}), "=verify-reload\n");
  EXPECT_EQ(complete({"cohort", "verify-reload", "--re"}), "=--reloads\n");
  EXPECT_EQ(complete({"cohort", "verify-reload", "--json", "--", "--pro"}), "=--prove\n");
  EXPECT_EQ(complete({"cohort", "verify-reload", "--", "x.js", "--pro"}), "=\n");
  EXPECT_EQ(complete({"cohort", "run", "-b", ""}),
            "=auto adaptive hash sticky round-robin shared\n");
  EXPECT_EQ(complete({"cohort", "run", "-w", "a"}), "=auto\n");
  EXPECT_EQ(complete({"cohort", "run", "--j"}), "=--json\n");
  EXPECT_EQ(complete({"cohort", "run", "--admin", "8081", "--la"}), "=--lame-duck\n");
  EXPECT_EQ(complete({"cohort", "sy"}), "=systemd\n");
  EXPECT_EQ(complete({"cohort", "systemd", "--j"}), "=--json\n");
  EXPECT_EQ(complete({"cohort", "systemd", "--user-u"}), "=--user-unit\n");
  EXPECT_EQ(complete({"cohort", "run", "-w", "2", "x.js", "--j"}), "=\n");
  EXPECT_EQ(complete({"cohort", "run", "--", "--j"}), "=\n");
  EXPECT_EQ(complete({"cohort", "start", "--l"}), "=--log --listen --lame-duck\n");
  EXPECT_EQ(complete({"cohort", "start", "--grace", ""}), "=\n");
  EXPECT_EQ(complete({"cohort", "kill", "--si"}), "=--signal\n");
  EXPECT_EQ(complete({"cohort", "completion", ""}), "=bash zsh fish --help\n");
  EXPECT_EQ(complete({"cohort", "help", "verif"}), "=verify-reload\n");
}

}  // namespace
}  // namespace harness
