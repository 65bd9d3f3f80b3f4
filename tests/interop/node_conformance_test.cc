// What Node's own tests of cluster assert, asserted of real Node workers of a primary of ours, and
// of our workers of a real Node primary, where only Node has the API: docs/conformance.md. The
// comments name Node's tests.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "harness/client.h"
#include "interop/interop.h"

namespace harness {
namespace {

using Lines = std::vector<std::string>;

// workers/conforming.js under a primary of ours; on Node 20 and 26.
class NodeConforms : public testing::TestWithParam<const char*> {
 protected:
  Program& start(const std::string& scenario, int workers = 1, Variables more = {},
                 const Lines& flags = {}) {
    Lines argv{interop_program("primary"), "--exec", script("workers/conforming.js"), "--workers",
               std::to_string(workers)};
    argv.insert(argv.end(), flags.begin(), flags.end());
    return run(argv, scenario, std::move(more));
  }
  Program& run(const Lines& argv, const std::string& scenario, Variables more = {}) {
    more.insert(more.end(), {{"SCENARIO", scenario},
                             {"PORT", std::to_string(port)},
                             {"NODE_CLUSTER_SCHED_POLICY", "rr"}});
    program_ = std::make_unique<Program>(argv, node.options(more));
    return *program_;
  }
  // A lone worker that says one thing and leaves.
  void expect_says(const std::string& scenario, const Lines& said) {
    Program& primary = start(scenario);
    EXPECT_TRUE(ends_well(primary));
    Lines expected;
    for (const std::string& text : said) expected.push_back("message 1 \"" + text + '"');
    expected.push_back("exit 1 0 asked");
    EXPECT_TRUE(prints_in_order(primary, expected));
  }

  const NodeInPath node{GetParam()};
  const std::uint16_t port = free_port();

 private:
  std::unique_ptr<Program> program_;
};
INSTANTIATE_TEST_SUITE_P(On, NodeConforms, testing::Values("node20", "node26"),
                         [](const auto& test) { return std::string{test.param}; });

// What only the newer one has.
class Node26Conforms : public NodeConforms {
 protected:
  // The worker binds, and the primary does not hear of it.
  void expect_never_asks(const std::string& scenario) {
    Program& primary = start(scenario);
    EXPECT_TRUE(ends_well(primary));
    EXPECT_TRUE(prints_in_order(primary, {"message 1 \"bound\"", "exit 1 0 asked"}));
    EXPECT_EQ(primary.output().find("listening"), std::string::npos) << primary.transcript();
  }
};
INSTANTIATE_TEST_SUITE_P(On, Node26Conforms, testing::Values("node26"),
                         [](const auto& test) { return std::string{test.param}; });

// A UDP socket on a port of 127.0.0.1; 0 lets the system choose.
class Udp {
 public:
  explicit Udp(std::uint16_t port) : fd_{socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)} {
    const sockaddr_in address = loopback(port);
    EXPECT_EQ(bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    const timeval patience{10, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  ~Udp() { close(fd_); }
  Udp(const Udp&) = delete;
  Udp& operator=(const Udp&) = delete;

  void send(std::uint16_t port, const std::string& text) const {
    const sockaddr_in address = loopback(port);
    sendto(fd_, text.data(), text.size(), 0, reinterpret_cast<const sockaddr*>(&address),
           sizeof address);
  }
  // The next packet and the port that it came from.
  std::pair<std::string, std::uint16_t> receive() const {
    char text[64];
    sockaddr_in from{};
    socklen_t size = sizeof from;
    const ssize_t length =
        recvfrom(fd_, text, sizeof text, 0, reinterpret_cast<sockaddr*>(&from), &size);
    EXPECT_GE(length, 0) << "no packet";
    return {std::string(text, static_cast<std::size_t>(std::max<ssize_t>(length, 0))),
            ntohs(from.sin_port)};
  }

 private:
  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }
  const int fd_;
};

// --- UDP

// test-cluster-child-index-dgram
TEST_P(NodeConforms, UdpSocketsOnPortsOfTheSystemsChoiceAreToldApart) {
  expect_says("childIndexDgram", {"3 ports"});
}

// test-cluster-dgram-1
TEST_P(NodeConforms, FourWorkersShareAUdpPortAndEachLeavesAfterTenPackets) {
  Program& primary = start("tenPackets", 4);
  for (const char* id : {"1", "2", "3", "4"})
    ASSERT_TRUE(primary.wait_for_line("listening " + std::string{id} + ' ' + std::to_string(port)));
  const Udp client{0};
  ASSERT_TRUE(primary.wait_until("all to leave", [&] {
    client.send(port, "x");
    return primary.has_exited();
  }));
  EXPECT_TRUE(ends_well(primary));
  for (const char* id : {"1", "2", "3", "4"})
    EXPECT_TRUE(prints_in_order(primary, {"message " + std::string{id} + " \"10 packets\"",
                                          "exit " + std::string{id} + " 0 asked"}));
}

// test-cluster-dgram-2
TEST_P(NodeConforms, WorkersSendFromOneUdpPortOfTheSystemsChoice) {
  const Udp server{port};
  Program& primary = start("sendPackets", 2);
  std::set<std::uint16_t> ports;
  std::multiset<std::string> packets;
  for (int i = 0; i < 20; ++i) {
    const auto [text, from] = server.receive();
    packets.insert(text);
    ports.insert(from);
  }
  EXPECT_EQ(packets.count("1"), 10U);
  EXPECT_EQ(packets.count("2"), 10U);
  EXPECT_EQ(ports.size(), 1U);
  EXPECT_TRUE(primary.ends_on_interrupt());
}

// test-cluster-dgram-bind-fd
TEST_P(NodeConforms, AUdpDescriptorIsThePrimarysAndAllWorkersReceive) {
  Program& primary = start("dgramFd", 2, {}, {"--lend", "datagram"});
  for (const std::string id : {"1", "2"})
    ASSERT_TRUE(primary.wait_for_line("message " + id + " \"bound\""));
  const Udp client{0};
  std::set<std::string> answered;
  EXPECT_TRUE(eventually("answers of both", [&] {
    client.send(port, "x");
    const auto [id, from] = client.receive();
    EXPECT_EQ(from, port);
    answered.insert(id);
    return answered.size() == 2 || id.empty();
  }));
  EXPECT_EQ(answered, (std::set<std::string>{"1", "2"}));
  EXPECT_TRUE(primary.ends_on_interrupt());
}

// test-cluster-dgram-ipv6only
TEST_P(NodeConforms, UdpOnIpv6OnlyLeavesThePortOfIpv4Free) {
  Program& primary = start("dgramIpv6Only");
  ASSERT_TRUE(primary.wait_for_line("message 1 \"bound\""));
  const Udp free_for_us{port};
  EXPECT_TRUE(primary.ends_on_interrupt());
}

// test-cluster-dgram-reuse
TEST_P(NodeConforms, TwoUdpSocketsOfOneWorkerShareAPortIfBothSaySo) {
  expect_says("dgramReuse", {"both"});
}

// test-cluster-disconnect-unshared-udp
TEST_P(NodeConforms, AWorkerWithoutAUdpSocketLeavesThatOfAnotherAlone) {
  Program& primary = start("dgramUnshared", 2);
  ASSERT_TRUE(primary.wait_for_line("message 1 \"ready\""));
  ASSERT_TRUE(primary.wait_for_line("listening 2 " + std::to_string(port)));
  ASSERT_EQ(kill(pid_of_worker(primary, 1), SIGUSR2), 0);
  ASSERT_TRUE(primary.wait_for_line("exit 1 0 asked"));
  const Udp client{0};
  client.send(port, "still here");
  EXPECT_EQ(client.receive().first, "still here");
  EXPECT_TRUE(primary.ends_on_interrupt());
}

// test-dgram-bind-socket-close-before-cluster-reply
TEST_P(NodeConforms, AUdpSocketThatIsClosedBeforeItsErrorHasNone) {
  const Udp busy{port};
  expect_says("dgramCloseBeforeReply", {"0 errors"});
}

// test-dgram-cluster-bind-error
TEST_P(NodeConforms, AUdpSocketThatCannotBeBoundSaysWhyAndMayTryAgain) {
  const Udp busy{port};
  expect_says("dgramError", {"bind EADDRINUSE 0.0.0.0:" + std::to_string(port), "bound after all"});
}

// test-dgram-cluster-close-during-bind
TEST_P(NodeConforms, AUdpSocketThatIsClosedWhileItIsBoundLetsGoOfItsPort) {
  expect_says("dgramCloseDuringBind", {"bound again"});
}

// test-dgram-cluster-close-in-listening
TEST_P(NodeConforms, AUdpSocketMayBeClosedWhenItIsBound) {
  expect_says("dgramCloseInListening", {"closed"});
}

// test-dgram-unref-in-cluster
TEST_P(NodeConforms, AUdpSocketThatWasUnrefdLetsTheWorkerExit) {
  Program& primary = start("dgramUnref");
  EXPECT_TRUE(ends_well(primary));
  EXPECT_TRUE(prints_in_order(
      primary, {"listening 1 " + std::to_string(port), "disconnect 1", "exit 1 0 unasked"}));
}

// test-cluster-dgram-reuseport
TEST_P(Node26Conforms, AUdpSocketWithReusePortIsNotThePrimarysBusiness) {
  expect_never_asks("dgramReusePort");
}

// --- servers

// test-cluster-net-reuseport
TEST_P(Node26Conforms, AServerWithReusePortIsNotThePrimarysBusiness) {
  expect_never_asks("netReusePort");
}

// test-http-server-drop-connections-in-cluster
TEST_P(Node26Conforms, AServerMayTakeConnectionsOnlyToDropThem) {
  Program& primary = start("drop");
  ASSERT_TRUE(primary.wait_for_line("listening 1 " + std::to_string(port)));
  EXPECT_NE(http_get(port).error, "");
  EXPECT_TRUE(primary.wait_for_line("message 1 \"drop\""));
  EXPECT_TRUE(primary.ends_on_interrupt());
}

// test-cluster-http-pipe
TEST_P(NodeConforms, HttpIsServedOnAUnixSocket) {
  const TempDir folder;
  Program& primary = start("httpPipe", 1, {{"SOCKET", folder.path() + "/socket"}});
  EXPECT_TRUE(ends_well(primary));
  EXPECT_EQ(primary.count("listening 1 " + folder.path() + "/socket"), 1) << primary.transcript();
  EXPECT_EQ(primary.count("message 1 \"by pipe\""), 1) << primary.transcript();
}

// test-listen-fd-cluster
TEST_P(NodeConforms, AListeningDescriptorIsThePrimarys) {
  Program& primary = start("listenFd", 2, {}, {"--lend", "stream"});
  for (const std::string id : {"1", "2"})
    ASSERT_TRUE(primary.wait_for_line("message " + id + " \"listens\""));
  std::set<std::string> answered;
  EXPECT_TRUE(eventually("answers of both", [&] {
    const HttpResponse response = http_get(port);
    EXPECT_EQ(response.status, 200) << response.error;
    answered.insert(response.body);
    return answered == std::set<std::string>{"1", "2"} || response.status != 200;
  }));
  EXPECT_TRUE(primary.ends_on_interrupt());
}

// test-cluster-rr-ref
TEST_P(NodeConforms, AServerMayBeUnrefdRefdAndClosed) {
  Program& primary = start("ref");
  EXPECT_TRUE(ends_well(primary));
  EXPECT_TRUE(
      prints_in_order(primary, {"message 1 \"closed\"", "disconnect 1", "exit 1 0 unasked"}));
}

// test-cluster-rr-handle-ref-unref
TEST_P(NodeConforms, AServerThatWasUnrefdLetsTheWorkerExit) {
  for (const char* how : {"before", "after"}) {
    Program& primary = start("unref", 1, {{"HOW", how}});
    EXPECT_TRUE(ends_well(primary));
    EXPECT_TRUE(prints_in_order(primary, {"online 1", "disconnect 1", "exit 1 0 unasked"}));
    EXPECT_EQ(primary.count("listening 1 " + std::to_string(port)), 1) << primary.transcript();
  }
}

// test-cluster-worker-handle-close
TEST_P(NodeConforms, ConnectionsThatMeetAServerWhichWasJustClosedAreServedByAnotherWorker) {
  Program& primary = run(
      {helper("conforming"), "close_before_connection", "--exec", script("workers/conforming.js")},
      "closeBeforeConnection");
  ASSERT_TRUE(primary.wait_for_match("^stopped [0-9]+$"));
  const pid_t stopped = std::stoi(primary.lines().at(0).substr(8));
  std::vector<TcpClient> clients(4);
  for (TcpClient& client : clients) ASSERT_EQ(client.connect(port), "");
  std::erase_if(clients,
                [](TcpClient& client) { return client.receive(milliseconds{300}) == "2"; });
  ASSERT_FALSE(clients.empty()) << "the stopped worker was handed nothing";
  ASSERT_EQ(kill(stopped, SIGCONT), 0);
  for (TcpClient& client : clients) EXPECT_EQ(client.receive_all(), "2") << client.reason();
  clients.clear();
  EXPECT_TRUE(primary.ends_on_interrupt());
}

// --- messages and handles

// test-cluster-send-handle-twice
TEST_P(NodeConforms, ASocketThatIsSentTwiceComesOnce) {
  Program& primary = start("sendTwice");
  ASSERT_TRUE(primary.wait_for_line("listening 1 " + std::to_string(port)));
  TcpClient client;
  ASSERT_EQ(client.connect(port), "");
  EXPECT_TRUE(primary.wait_for_line("message 1 \"second\""));
  EXPECT_EQ(primary.count("message 1 \"first\" with a handle"), 1) << primary.transcript();
  client.close();
  EXPECT_TRUE(primary.ends_on_interrupt());
}

// test-cluster-send-deadlock
// test-cluster-send-handle-large-payload
TEST_P(NodeConforms, HandlesMayCrossEachOther) {
  // A large message takes several reads; Node's own test sends one.
  for (const auto& [handles, payload] : {std::pair{"50", "0"}, std::pair{"20", "800000"}}) {
    Program& primary = run({helper("conforming"), "cross_handles", "--handles", handles, "--exec",
                            script("workers/conforming.js"), "--payload", payload},
                           "crossHandles", {{"HANDLES", handles}});
    EXPECT_TRUE(ends_well(primary));
    Lines lines = primary.lines();
    std::sort(lines.begin(), lines.end());
    EXPECT_EQ(lines, (Lines{std::string{"primary received "} + handles,
                            std::string{"worker received "} + handles}))
        << primary.transcript();
  }
}

// test-cluster-advanced-serialization
TEST_P(NodeConforms, ACyclicObjectGoesToThePrimaryAndComesBack) {
  Program& primary = start("cyclic", 1, {}, {"--serialization", "advanced"});
  EXPECT_TRUE(ends_well(primary));
  EXPECT_EQ(primary.count("message 1 \"the same came back\""), 1) << primary.transcript();
}

// test-cluster-worker-events
TEST_P(NodeConforms, AMessageIsHeardByTheProcessAndByTheWorker) {
  Program& primary = start("bothListeners", 1, {}, {"--say", R"(["hello"])"});
  EXPECT_TRUE(ends_well(primary));
  EXPECT_EQ(primary.count(R"(message 1 ["process hello","worker hello"])"), 1)
      << primary.transcript();
}

// --- ends

// test-cluster-kill-infinite-loop
TEST_P(NodeConforms, AWorkerInAnEndlessLoopDiesOfTheSignalOfKill) {
  Program& primary = start("endless");
  EXPECT_TRUE(ends_well(primary));
  EXPECT_TRUE(prints_in_order(primary, {"disconnect 1", "exit 1 SIGTERM unasked"}));
}

// test-cluster-uncaught-exception
TEST_P(NodeConforms, AWorkerMayDecideHowItExitsAfterAnUncaughtException) {
  Program& primary = start("uncaught");
  EXPECT_TRUE(ends_well(primary));
  EXPECT_TRUE(prints_in_order(primary, {"disconnect 1", "exit 1 42 unasked"}));
}

// --- our workers of a Node primary

class NodePrimaryConforms : public NodeConforms {
 protected:
  Program& start_guest(const std::string& say) {
    return run({node.node(), script("primaries/primary.js"), "--exec", interop_program("guest"),
                "--say", say},
               "");
  }
};
INSTANTIATE_TEST_SUITE_P(On, NodePrimaryConforms, testing::Values("node20", "node26"),
                         [](const auto& test) { return std::string{test.param}; });

// test-cluster-invalid-message
TEST_P(NodePrimaryConforms, AnInternalMessageThatAnswersNothingIsIgnored) {
  Program& primary = start_guest(
      R"([{"cmd":"NODE_CLUSTER","ack":-1},{"say":"still here"},{"leave":"disconnect"}])");
  EXPECT_TRUE(ends_well(primary));
  EXPECT_TRUE(prints_in_order(primary, {"message 1 \"still here\"", "exit 1 0 asked"}));
}

// test-cluster-worker-forced-exit
TEST_P(NodePrimaryConforms, OnlyAWorkerThatIsAskedToLeaveDecidesHowItExits) {
  const std::string own_code = R"({"at_disconnect":42},)";
  Program& asked = start_guest('[' + own_code + R"({"say":{"ask":"disconnect"}}])");
  EXPECT_TRUE(ends_well(asked));
  EXPECT_EQ(asked.count("exit 1 42 asked"), 1) << asked.transcript();

  Program& forced = start_guest(R"([{"say":{"ask":"process.disconnect"}}])");
  EXPECT_TRUE(ends_well(forced));
  EXPECT_EQ(forced.count("exit 1 0 unasked"), 1) << forced.transcript();
}

}  // namespace
}  // namespace harness
