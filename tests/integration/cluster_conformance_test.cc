// What Node's own tests of cluster assert, asserted of programs of ours (programs/conforming.cc):
// docs/conformance.md. The comments name Node's tests.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "harness/client.h"
#include "harness/load.h"
#include "harness/places.h"
#include "harness/program.h"

namespace harness {
namespace {

using std::chrono_literals::operator""ms;
using Lines = std::vector<std::string>;

Program conforming(const std::string& scenario, const std::string& policy = "rr",
                   const Lines& flags = {}, ProgramOptions options = {}) {
  Lines argv{helper("conforming"), scenario};
  argv.insert(argv.end(), flags.begin(), flags.end());
  options.env.emplace_back("NODE_CLUSTER_SCHED_POLICY", policy);
  return Program{argv, options};
}

// A program that ends by itself, with 0 and without leaving anything, and its lines.
Lines lines_of(Program&& program) {
  EXPECT_TRUE(program.exits_with(0));
  EXPECT_TRUE(program.leaves_no_process());
  return program.lines();
}

Lines sorted(Lines lines) {
  std::sort(lines.begin(), lines.end());
  return lines;
}

class EitherPolicy : public testing::TestWithParam<const char*> {
 protected:
  Program start(const std::string& scenario, Lines flags = {}) {
    flags.insert(flags.end(), {"--port", std::to_string(port)});
    return conforming(scenario, GetParam(), flags);
  }
  const std::uint16_t port = free_port();
};
INSTANTIATE_TEST_SUITE_P(Policy, EitherPolicy, testing::Values("rr", "none", "adaptive"),
                         [](const auto& test) { return std::string{test.param}; });

// --- events

// test-cluster-basic
TEST_P(EitherPolicy, EventsComeInNodesOrderFirstOnTheWorkerThenOnTheCluster) {
  EXPECT_EQ(lines_of(start("basic")),
            (Lines{"forked: connected, alive, listed", "cluster fork 1", "worker online",
                   "cluster online 1", "environment: no id", "worker listening 127.0.0.1",
                   "cluster listening 1 127.0.0.1 4 with a port", "worker disconnect asked",
                   "cluster disconnect asked", "worker exit 0 asked", "cluster exit 0 asked",
                   "at the exit: not connected, dead, gone"}));
}

// test-cluster-message
TEST_P(EitherPolicy, AMessageIsHeardOnTheClusterThenOnTheWorkerAndAnswered) {
  Program program = start("message");
  ASSERT_TRUE(accepts(port));
  TcpClient client;
  ASSERT_EQ(client.connect(port), "");
  ASSERT_EQ(client.send("by TCP"), "");
  EXPECT_EQ(client.receive_until("from the primary"), "from the primary");
  ASSERT_EQ(client.send("leave"), "");
  EXPECT_TRUE(program.wait_for_line("worker: leave"));
  client.close();
  EXPECT_TRUE(program.exits_with(0));
  EXPECT_EQ(program.lines(),
            (Lines{"1: by TCP", "worker: by TCP", "1: leave", "worker: leave", "1: exit 0 asked"}));
}

// --- ends

struct Ending {
  const char* name;
  const char* how;
  const char* disconnect;
  const char* exit;
};
class Endings : public testing::TestWithParam<Ending> {};
constexpr Ending kEndings[] = {
    {"Exit", "exit", "unasked", "42 unasked"},
    {"Kill", "kill", "asked", "0 asked"},
    {"DisconnectAndKill", "disconnect and kill", "asked", "0 asked"},
    {"Disconnect", "disconnect", "asked", "0 asked"},
    {"KillInDisconnect", "kill in disconnect", "asked", "0 asked"},
    {"DestroyInDisconnect", "destroy in disconnect", "asked", "0 asked"},
    {"PrimaryDisconnect", "primary disconnect", "asked", "42 asked"},
    {"PrimarySigkill", "primary SIGKILL", "unasked", "SIGKILL unasked"},
};
INSTANTIATE_TEST_SUITE_P(By, Endings, testing::ValuesIn(kEndings),
                         [](const auto& test) { return std::string{test.param.name}; });

// test-cluster-call-and-destroy
// test-cluster-kill-disconnect
// test-cluster-worker-death
// test-cluster-worker-destroy
// test-cluster-worker-disconnect
// test-cluster-worker-exit
// test-cluster-worker-isconnected
// test-cluster-worker-isdead
// test-cluster-worker-kill
// test-cluster-worker-kill-signal
TEST_P(Endings, AreOneDisconnectAndOneExitThatSayWhoWantedIt) {
  const std::string disconnect = GetParam().disconnect;
  const std::string exit = GetParam().exit;
  Lines lines = lines_of(conforming("ending", "rr", {"--how", GetParam().how}));
  // What the worker printed itself comes whenever it comes.
  const bool killed = exit.starts_with("SIGKILL") || std::string{GetParam().how} == "exit";
  EXPECT_EQ(std::erase(lines, "its own disconnect"), killed ? 0U : 1U);
  // Who kills a worker that is leaving may be the faster.
  if (std::string{GetParam().how} == "destroy in disconnect")
    for (std::string& line : lines)
      if (const auto signal = line.find("SIGTERM"); signal != line.npos)
        line.replace(signal, 7, "0");
  EXPECT_EQ(lines, (Lines{"worker disconnect " + disconnect, "cluster disconnect " + disconnect,
                          "worker exit " + exit, "cluster exit " + exit,
                          "at the exit: not connected, dead, gone"}));
}

// test-cluster-disconnect-before-exit
TEST(ClusterDisconnect, MayBeCalledWhenTheLastWorkerHasLeftAndLives) {
  EXPECT_EQ(lines_of(conforming("disconnect_before_exit")),
            (Lines{"disconnect", "exit 0", "all gone"}));
}

// test-cluster-concurrent-disconnect
TEST_P(EitherPolicy, EverybodyMayBeToldToDisconnectByEverybodyAtOnce) {
  EXPECT_EQ(lines_of(start("concurrent_disconnect")), Lines(6, "exit 0"));
}

// test-cluster-disconnect-idle-worker
TEST(ClusterDisconnect, OfIdleWorkersCallsBackWhenNoneIsLeft) {
  EXPECT_EQ(lines_of(conforming("disconnect_idle")), (Lines{"told", "disconnected, 0 left"}));
}

// test-cluster-disconnect-leak
TEST_P(EitherPolicy, AWorkerThatWaitsForItsPortCanBeToldToDisconnect) {
  EXPECT_EQ(lines_of(start("disconnect_in_flight")),
            (Lines{"worker disconnect asked", "cluster disconnect asked", "worker exit 0 asked",
                   "cluster exit 0 asked", "at the exit: not connected, dead, gone"}));
}

// test-cluster-disconnect-race
TEST_P(EitherPolicy, OneWorkerMayDisconnectWhileAnotherStarts) {
  EXPECT_EQ(sorted(lines_of(start("disconnect_race"))), (Lines{"exit 1 0", "exit 2 0"}));
}

// test-cluster-disconnect-unshared-tcp
TEST_P(EitherPolicy, AWorkerWithoutServersLeavesThoseOfOthersAlone) {
  Program program = start("unshared");
  ASSERT_TRUE(program.wait_for_line("1: exit 0 asked"));
  TcpClient client;
  ASSERT_EQ(client.connect(port), "");
  EXPECT_EQ(client.receive_all(), "still here");
  client.close();
  EXPECT_EQ(lines_of(std::move(program)), (Lines{"1: exit 0 asked", "2: exit 0 asked"}));
}

// test-cluster-disconnect
TEST_P(EitherPolicy, EightWorkersWithTwoServersEachCanBeDisconnectedAndStartedAgain) {
  Program program = start("disconnect_all");
  for (const std::string round : {"round 1", "round 2"}) {
    std::map<std::string, int> ports;
    ASSERT_TRUE(program.wait_until("sixteen servers", [&] {
      ports.clear();
      int servers = 0;
      for (const std::string& line : program.lines())
        if (line.starts_with(round + ": ")) ++ports[line.substr(9)], ++servers;
      return servers == 16;
    }));
    ASSERT_EQ(ports.size(), 2U) << "the first server of each worker, and the second";
    for (const char* say : {"hello", "end"})
      for (const auto& [number, servers] : ports) {
        EXPECT_EQ(servers, 8);
        if (say == std::string{"end"} && number != ports.begin()->first) continue;
        TcpClient client;
        ASSERT_EQ(client.connect(static_cast<std::uint16_t>(std::stoi(number))), "");
        ASSERT_EQ(client.send(say), "");
        EXPECT_EQ(client.receive_all(), "yes");
      }
    ASSERT_TRUE(program.wait_for_line(round + " over, 0 workers"));
  }
  EXPECT_TRUE(program.exits_with(0));
}

// test-cluster-worker-no-exit
// test-cluster-worker-wait-server-close
TEST_P(EitherPolicy, AWorkerThatIsToldToDisconnectStaysUntilItsConnectionsHaveEnded) {
  for (const std::string who : {"worker", "primary"}) {
    SCOPED_TRACE(who);
    const std::uint16_t own_port = free_port();
    Program program = conforming("connected_at_the_end", GetParam(),
                                 {"--who", who, "--port", std::to_string(own_port)});
    TcpClient client;
    ASSERT_TRUE(eventually("a connection", [&] { return client.connect(own_port).empty(); }));
    ASSERT_TRUE(program.wait_for_line("connected"));
    // It closes its port, and goes on serving.
    ASSERT_TRUE(is_closed(own_port));
    ASSERT_EQ(client.send("and so on"), "");
    EXPECT_EQ(client.receive_until("and so on"), "and so on");
    EXPECT_EQ(program.count("disconnect"), 0) << program.transcript();
    client.close();
    Lines lines = lines_of(std::move(program));
    std::erase(lines, "connected");  // those who asked whether the port is closed may be some
    EXPECT_EQ(lines, (Lines{"disconnect", "1: exit 0 asked"}));
  }
}

// test-cluster-primary-error
TEST(APrimary, ThatThrowsExitsWith1AndAllItsWorkersDie) {
  Program program = conforming("primary_throws");
  EXPECT_TRUE(program.exits_with(1));
  EXPECT_TRUE(program.leaves_no_process());
  EXPECT_EQ(program.lines().size(), 2U) << program.transcript();
  EXPECT_NE(program.errors().find("on purpose"), std::string::npos) << program.errors();
}

// A worker of ours that is in its loop takes SIGTERM as the wish to drain; this one is not.
TEST(AWorker, ThatNeverGetsToItsLoopDiesOfTheSignalOfKill) {
  EXPECT_EQ(lines_of(conforming("endless")),
            (Lines{"worker disconnect unasked", "cluster disconnect unasked",
                   "worker exit SIGTERM unasked", "cluster exit SIGTERM unasked",
                   "at the exit: not connected, dead, gone"}));
}

// --- settings

// test-cluster-cwd
// test-cluster-fork-env
// test-cluster-setup-primary
// test-cluster-setup-primary-argv
TEST(Settings, DecideWhatAWorkerIsStartedWith) {
  const TempDir folder;
  Program program = conforming("settings", "rr", {"--argument", "inherited"},
                               {.env = {{"REPLACED", "by nobody"}}, .cwd = folder.path()});
  EXPECT_TRUE(program.exits_with(0));
  Lines lines = program.lines();
  EXPECT_EQ(std::erase(lines, "out of worker 1"), 1U);
  EXPECT_EQ(std::erase(lines, "piped: out of worker 2"), 1U);
  EXPECT_EQ(std::erase(lines, "piped: out of worker 3"), 1U);
  const std::string own = std::filesystem::canonical(folder.path());
  EXPECT_EQ(lines,
            (Lines{R"({"argument":"inherited","cwd":")" + own +
                       R"(","added":"none","replaced":"by nobody"})",
                   "silent 1, own program 1",
                   R"({"argument":"custom","cwd":"/","added":"none","replaced":"by nobody"})",
                   R"({"argument":"custom","cwd":"/","added":"yes","replaced":"by fork"})"}));
}

// test-cluster-fork-stdio
TEST(Settings, GiveAWorkerADescriptorThatWorksBothWays) {
  EXPECT_EQ(lines_of(conforming("fork_stdio")), Lines{"worker got hello, exit 0"});
}

// --- ports

// test-cluster-bind-twice
TEST_P(EitherPolicy, ThePortOfAnotherClusterIsInUse) {
  Program first = start("listening");
  ASSERT_TRUE(first.wait_for_line("1: listening *:" + std::to_string(port)));
  Program second = start("listening");
  EXPECT_TRUE(
      second.wait_for_match("^1: listen .*" + std::to_string(port) + ": .*address already in use"));
  EXPECT_TRUE(second.ends_on_interrupt());
  EXPECT_TRUE(first.ends_on_interrupt());
}

// test-cluster-child-index-net
TEST_P(EitherPolicy, ServersOnPortsOfTheSystemsChoiceAreToldApartWhateverWasClosedBefore) {
  EXPECT_EQ(lines_of(start("listen_again")),
            (Lines{"1: second listens", "1: another port", "1: first listens again"}));
}

// test-cluster-server-restart-none
// test-cluster-server-restart-rr
TEST_P(EitherPolicy, AWorkerMayCloseAndReopenThePortThatAnotherHolds) {
  Lines lines = lines_of(start("restart"));
  ASSERT_EQ(lines.size(), 4U);
  std::sort(lines.begin() + 2, lines.end());
  EXPECT_EQ(lines, (Lines{"1: listens", "2: listens again", "1: exit 0 asked", "2: exit 0 asked"}));
}

// test-cluster-port-reuse-between-workers
TEST_P(EitherPolicy, APortIsBusyTwiceInOneWorkerAndFreeAgainAfterwards) {
  const Lines lines = lines_of(start("port_reuse"));
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_NE(lines[0].find("address already in use"), std::string::npos) << lines[0];
  EXPECT_EQ(Lines(lines.begin() + 1, lines.end()),
            (Lines{"1: closed", "2: listens, twice", "1: listens again"}));
}

class Busy {
 public:
  explicit Busy(std::uint16_t port) : fd_{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(fd_, 1), 0);
  }
  ~Busy() { close(fd_); }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;

 private:
  const int fd_;
};

// test-cluster-worker-disconnect-on-error
TEST_P(EitherPolicy, AWorkerThatDisconnectsBecauseItCannotListenExits) {
  const Busy busy{port};
  EXPECT_EQ(lines_of(start("listen_error")), Lines{"1: exit 0 asked"});
}

// test-cluster-ipc-throw
TEST_P(EitherPolicy, AWorkerThatDisconnectsAndThrowsExitsAndThePrimaryDoesNot) {
  const Busy busy{port};
  Program program = start("listen_error", {"--how", "throw"});
  EXPECT_TRUE(program.exits_with(0));
  ASSERT_EQ(program.lines().size(), 1U) << program.transcript();
  EXPECT_TRUE(program.lines()[0].starts_with("1: exit 1 ")) << program.lines()[0];
  EXPECT_NE(program.errors().find("on purpose"), std::string::npos) << program.errors();
}

std::string answer_on(const std::string& host, std::uint16_t port) {
  const bool v6 = host.find(':') != std::string::npos;
  const int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(port);
  inet_pton(AF_INET6, host.c_str(), &six.sin6_addr);
  sockaddr_in four{};
  four.sin_family = AF_INET;
  four.sin_port = htons(port);
  inet_pton(AF_INET, host.c_str(), &four.sin_addr);
  const int connected = v6 ? connect(fd, reinterpret_cast<sockaddr*>(&six), sizeof six)
                           : connect(fd, reinterpret_cast<sockaddr*>(&four), sizeof four);
  char text[16];
  const ssize_t size = connected == 0 ? read(fd, text, sizeof text) : -1;
  close(fd);
  return size < 0 ? "nobody" : std::string(text, static_cast<std::size_t>(size));
}

// test-cluster-net-listen-ipv6only-false
TEST_P(EitherPolicy, TheAnyAddressOfIpv6ServesBothFamiliesForAllWorkers) {
  Program program = start("listening", {"--workers", "2", "--host", "::"});
  const std::string address = "[::]:" + std::to_string(port);
  for (const std::string id : {"1", "2"})
    ASSERT_TRUE(program.wait_for_line(id + ": listening " + address));
  for (const char* host : {"::1", "127.0.0.1"}) EXPECT_NE(answer_on(host, port), "nobody") << host;
  EXPECT_TRUE(program.ends_on_interrupt());
}

// test-cluster-net-listen-ipv6only-none
// test-cluster-net-listen-ipv6only-rr
TEST_P(EitherPolicy, Ipv6OnlyLeavesThePortOfIpv4Free) {
  Program program = start("listening", {"--workers", "2", "--host", "::", "--ipv6-only"});
  for (const std::string id : {"1", "2"})
    ASSERT_TRUE(program.wait_for_line(id + ": listening [::]:" + std::to_string(port)));
  EXPECT_NE(answer_on("::1", port), "nobody");
  EXPECT_EQ(answer_on("127.0.0.1", port), "nobody");
  const Busy free_for_us{port};
  EXPECT_TRUE(program.ends_on_interrupt());
}

// test-cluster-net-listen-backlog
TEST(Listen, TheBacklogOfTheWorkerIsThatOfThePrimarysSocket) {
  Program program = conforming("listening", "rr", {"--backlog", "37"});
  EXPECT_TRUE(program.wait_for_line("backlog 37"));
  EXPECT_TRUE(program.ends_on_interrupt());
}

// test-cluster-net-listen
TEST_P(EitherPolicy, WithoutAPortTheSystemChoosesOne) {
  Program program = conforming("listening", GetParam(), {"--workers", "2"});
  for (const std::string id : {"1", "2"})
    ASSERT_TRUE(program.wait_for_match("^" + id + R"(: listening \*:[1-9][0-9]*$)"));
  const Lines lines = program.lines();
  EXPECT_EQ(lines.at(0).substr(2), lines.at(1).substr(2));
  EXPECT_TRUE(program.ends_on_interrupt());
}

// --- Unix sockets

// A connection to a Unix socket, -1 if nobody listens.
int connect_unix(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
  close(fd);
  return -1;
}

// test-cluster-eaccess
TEST_P(EitherPolicy, AUnixSocketThatIsThereIsInUse) {
  const TempDir folder;
  const std::string path = folder.write("socket", "");
  Program program = start("listening", {"--workers", "2", "--path", path});
  for (const std::string id : {"1", "2"})
    EXPECT_TRUE(program.wait_for_match("^" + id + ": listen .*socket: .*address already in use"));
  EXPECT_TRUE(program.ends_on_interrupt());
  EXPECT_TRUE(std::filesystem::exists(path)) << "it is not ours to remove";
}

// test-cluster-listen-pipe-readable-writable
TEST_P(EitherPolicy, AUnixSocketIsForAllWhoMayIfAsked) {
  const TempDir folder;
  for (const bool all : {true, false}) {
    const std::string path = folder.path() + (all ? "/all" : "/own");
    Lines flags{"--path", path};
    if (all) flags.push_back("--all");
    Program program = start("listening", flags);
    ASSERT_TRUE(program.wait_for_line("1: listening " + path));
    struct stat info{};
    ASSERT_EQ(stat(path.c_str(), &info), 0);
    EXPECT_EQ((info.st_mode & 0777) == 0777, all) << std::oct << info.st_mode;
    EXPECT_TRUE(program.ends_on_interrupt());
  }
}

// test-cluster-net-listen-relative-path
TEST_P(EitherPolicy, ARelativePathMayBeLongerThanAnAddressOnceItIsAbsolute) {
  const TempDir folder;
  const std::string deep = folder.path() + '/' + std::string(100, 'd');
  std::filesystem::create_directory(deep);
  Program program = conforming("listening", GetParam(), {"--path", "socket"}, {.cwd = deep});
  ASSERT_TRUE(program.wait_for_match("^1: listening .*socket$"));
  EXPECT_TRUE(std::filesystem::is_socket(deep + "/socket"));
  // We cannot name it either, but by a shorter way.
  std::filesystem::create_directory_symlink(deep, folder.path() + "/short");
  const int fd = connect_unix(folder.path() + "/short/socket");
  ASSERT_NE(fd, -1);
  char id = 0;
  EXPECT_EQ(read(fd, &id, 1), 1);
  EXPECT_EQ(id, '1');
  close(fd);
  EXPECT_TRUE(program.ends_on_interrupt());
  EXPECT_FALSE(std::filesystem::exists(deep + "/socket"));
}

// test-cluster-net-server-drop-connection
TEST(Full, WorkersLeaveTheRestToOthersUntilEachHasWhatItTakes) {
  const TempDir folder;
  const std::string path = folder.path() + "/socket";
  Program program = conforming("full", "rr", {"--path", path});
  ASSERT_TRUE(program.wait_for_line("listening", 3));
  std::map<char, int> served;
  std::vector<int> connections;
  for (int i = 0; i < 12; ++i) {
    connections.push_back(connect_unix(path));
    ASSERT_NE(connections.back(), -1);
  }
  for (const int fd : connections) {
    char id = 0;
    EXPECT_EQ(read(fd, &id, 1), 1);
    ++served[id];
  }
  EXPECT_EQ(served, (std::map<char, int>{{'1', 1}, {'2', 2}, {'3', 9}}));
  for (const int fd : connections) close(fd);
  EXPECT_TRUE(program.ends_on_interrupt());
}

// --- connections

// test-cluster-accept-fail
TEST(APrimary, ThatCannotAcceptTriesAgainAndServes) {
  const std::uint16_t port = free_port();
  Program program{{helper("answering"), "--port", std::to_string(port)},
                  {.env = {{"NODE_CLUSTER_SCHED_POLICY", "rr"}}}};
  ASSERT_TRUE(program.wait_until("two workers", [&] { return program.lines().size() == 2; }));
  rlimit before{};
  ASSERT_EQ(prlimit(program.pid(), RLIMIT_NOFILE, nullptr, &before), 0);
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(prlimit(program.pid(), RLIMIT_NOFILE, &none, nullptr), 0);
  TcpClient client;
  ASSERT_EQ(client.connect(port), "");
  ASSERT_EQ(client.send("x"), "");
  ASSERT_TRUE(program.wait_for_error("accept .*: too many open files.*trying again"));
  ASSERT_EQ(prlimit(program.pid(), RLIMIT_NOFILE, &before, nullptr), 0);
  EXPECT_NE(client.receive_all(), "") << client.reason();
  client.close();
  EXPECT_TRUE(program.ends_on_interrupt());
}

// test-cluster-rr-handle-close
// test-cluster-rr-handle-keep-loop-alive
TEST_P(EitherPolicy, AServerAloneKeepsAWorkerAliveUntilItIsClosed) {
  Program program = start("close_server");
  ASSERT_TRUE(program.wait_for_line("listening"));
  TcpClient client;
  ASSERT_EQ(client.connect(port), "");
  EXPECT_EQ(client.receive_all(), "closed");
  client.close();
  EXPECT_EQ(lines_of(std::move(program)), (Lines{"listening", "1: exit 0 unasked"}));
}

// test-cluster-shared-leak
TEST_P(EitherPolicy, WorkersMayBeDisconnectedWhileConnectionsComeIn) {
  Program program = start("disconnect_under_load");
  ASSERT_TRUE(eventually("a server", [&] { return TcpClient{}.connect(port).empty(); }));
  std::vector<TcpClient> clients(50);
  for (TcpClient& client : clients)
    if (!client.connect(port).empty()) break;  // closed by now
  clients.clear();
  EXPECT_EQ(sorted(lines_of(std::move(program))), (Lines{"1: exit 0 asked", "2: exit 0 asked"}));
}

// test-cluster-worker-handle-close
TEST(Connections, ThatMeetAServerWhichWasJustClosedAreServedByAnotherWorker) {
  const std::uint16_t port = free_port();
  Program program = conforming("close_before_connection", "rr", {"--port", std::to_string(port)});
  ASSERT_TRUE(program.wait_for_match("^stopped [0-9]+$"));
  const pid_t stopped = std::stoi(program.lines().at(0).substr(8));
  std::vector<TcpClient> clients(6);
  for (TcpClient& client : clients) ASSERT_EQ(client.connect(port), "");
  // The other one serves what it was handed; what the stopped one was handed waits.
  std::erase_if(clients, [](TcpClient& client) { return client.receive(300ms) == "2"; });
  ASSERT_FALSE(clients.empty()) << "the stopped worker was handed nothing";
  ASSERT_EQ(kill(stopped, SIGCONT), 0);
  for (TcpClient& client : clients) EXPECT_EQ(client.receive_all(), "2") << client.reason();
  clients.clear();
  EXPECT_TRUE(program.ends_on_interrupt());
}

// test-net-listen-handle-in-cluster-2
TEST_P(EitherPolicy, AWorkerMayListenOnASocketOfItsOwn) {
  Program program = start("own_socket");
  ASSERT_TRUE(program.wait_for_line("1: serves"));
  TcpClient client;
  ASSERT_EQ(client.connect(port), "");
  EXPECT_EQ(client.receive_all(), "served");
  client.close();
  EXPECT_TRUE(program.ends_on_interrupt());
  EXPECT_EQ(program.lines(), Lines{"1: serves"}) << "the primary was not asked";
}

// --- handles

// test-cluster-send-deadlock
// test-cluster-send-handle-large-payload
TEST(Handles, MayCrossEachOther) {
  for (const char* payload : {"0", "800000"})
    EXPECT_EQ(sorted(lines_of(conforming("cross_handles", "rr", {"--payload", payload}))),
              (Lines{"primary received 50", "worker received 50"}));
}

// test-cluster-send-socket-to-worker-http-server
TEST(Handles, AConnectionThatIsSentIsServedByTheWorkersHttpServer) {
  const std::uint16_t port = free_port();
  Program program = conforming("send_to_http", "rr", {"--port", std::to_string(port)});
  ASSERT_TRUE(accepts(port));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(http_get(port).body, "of the worker");
  EXPECT_TRUE(program.ends_on_interrupt());
}

}  // namespace
}  // namespace harness
