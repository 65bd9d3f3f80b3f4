// Programs of ours as workers of an unmodified Node primary, on Node 20 and Node 26.
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "harness/client.h"
#include "harness/load.h"
#include "interop/interop.h"

namespace harness {
namespace {

using std::chrono_literals::operator""s;

// Node runs primaries/NAME.
class NodePrimary {
 public:
  NodePrimary(const std::string& version, const std::string& policy)
      : node_{version}, policy_{policy} {}

  Program& run(const std::string& name, const std::vector<std::string>& arguments) {
    std::vector<std::string> argv{node_.node(), script("primaries/" + name)};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    program_ =
        std::make_unique<Program>(argv, node_.options({{"NODE_CLUSTER_SCHED_POLICY", policy_}}));
    return *program_;
  }
  // primary.js
  Program& start(const std::string& program, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--exec", program});
    return run("primary.js", arguments);
  }
  Program& start_guests(const std::string& say, int workers = 1) {
    return start(interop_program("guest"),
                 {"--workers", std::to_string(workers), "--say", '[' + say + ']'});
  }

 private:
  const NodeInPath node_;
  const std::string policy_;
  std::unique_ptr<Program> program_;
};

// Has its workers disconnected: they exit with 0, and so does it.
testing::AssertionResult ends_when_told(Program& primary) {
  primary.signal(SIGTERM);
  return ends_well(primary);
}

std::string message(int id, const std::string& json) {
  return "message " + std::to_string(id) + ' ' + json;
}

std::string listen_on(std::uint16_t port) { return R"({"listen":)" + std::to_string(port) + '}'; }

class Serving : public testing::TestWithParam<std::tuple<const char*, const char*>> {
 protected:
  NodePrimary node{std::get<0>(GetParam()), std::get<1>(GetParam())};
};
INSTANTIATE_TEST_SUITE_P(Of, Serving,
                         testing::Combine(testing::Values("node20", "node26"),
                                          testing::Values("rr", "none")),
                         [](const auto& test) {
                           return std::string{std::get<0>(test.param)} + '_' +
                                  std::get<1>(test.param);
                         });

class Guest : public testing::TestWithParam<const char*> {
 protected:
  NodePrimary node{GetParam(), "rr"};
};
INSTANTIATE_TEST_SUITE_P(Of, Guest, testing::Values("node20", "node26"),
                         [](const auto& test) { return std::string{test.param}; });

// --- servers

TEST_P(Serving, HelloClusterTellsOfEveryRequestThatItServed) {
  const std::uint16_t port = free_port();
  Program& primary = node.start(example("hello_cluster"),
                                {"--workers", "2", "--", "--port", std::to_string(port)});
  for (const int id : {1, 2})
    ASSERT_TRUE(
        primary.wait_for_line("listening " + std::to_string(id) + ' ' + std::to_string(port)));
  long served = 0;
  for (const bool keep_alive : {true, false}) {
    LoadOptions options{.port = port, .connections = 8, .requests = 500};
    options.request.keep_alive = keep_alive;
    const LoadReport report = LoadGenerator{options}.wait();
    EXPECT_EQ(report.ok, 500) << report.text();
    served += report.ok;
  }
  EXPECT_TRUE(ends_when_told(primary));
  const std::string notice = R"({"cmd":"notifyRequest"})";
  EXPECT_EQ(primary.count(message(1, notice)) + primary.count(message(2, notice)), served);
}

TEST_P(Serving, EveryServerOfAWorkerIsServedAndTwoWorkersHaveTheSamePorts) {
  const std::uint16_t first = free_port();
  const std::uint16_t second = free_port();
  Program& primary = node.start_guests(
      listen_on(first) + ',' + listen_on(second) + R"(,{"listen":0},{"listen":0})", 2);
  std::vector<std::vector<std::string>> ports(2);
  ASSERT_TRUE(primary.wait_until("four ports of each worker", [&] {
    for (std::size_t i = 0; i < 2; ++i) {
      const std::string start = message(static_cast<int>(i) + 1, R"({"listening":)");
      ports[i].clear();
      for (const std::string& line : primary.lines())
        if (line.starts_with(start)) ports[i].push_back(line.substr(start.size()));
    }
    return ports[0].size() == 4 && ports[1].size() == 4;
  }));
  EXPECT_EQ(ports[0], ports[1]);
  EXPECT_EQ(std::set(ports[0].begin(), ports[0].end()).size(), 4U);
  for (std::size_t i = 0; i < 4; ++i) {
    TcpClient client;
    ASSERT_EQ(client.connect(static_cast<std::uint16_t>(std::stoi(ports[0][i]))), "");
    ASSERT_EQ(client.send("x"), "");
    const int asked_for = i == 0 ? first : i == 1 ? second : 0;
    EXPECT_EQ(client.receive_all(), std::to_string(asked_for)) << client.reason();
  }
  EXPECT_TRUE(ends_when_told(primary));
}

// test-cluster-shared-handle-bind-error
TEST_P(Serving, ABusyPortIsAnErrorOfTheWorkersServer) {
  const BusyPort busy{free_port()};
  const std::string port = std::to_string(busy.port());
  Program& primary = node.start_guests(listen_on(busy.port()), 2);
  for (const std::string id : {"1", "2"})
    EXPECT_TRUE(primary.wait_for_match("^message " + id + R"( \{"error":"listen \*:)" + port +
                                       ": .*address already in use"));
  EXPECT_TRUE(ends_when_told(primary));
}

// --- the examples

TEST_P(Guest, TwoWayMessagesPrintsItsLines) {
  Program& primary =
      node.start(example("two_way_messages"),
                 {"--on-listening", "\"recvmsg\"", "--", "--port", std::to_string(free_port())});
  EXPECT_TRUE(primary.wait_for_line("TEST"));
  EXPECT_TRUE(ends_when_told(primary));
  EXPECT_TRUE(prints_in_order(primary, {"2", "4", "TEST", "exit 1 0 asked"}));
  EXPECT_EQ(primary.count("disconnect 1"), 1);  // Node may emit it after the exit
}

TEST_P(Guest, DividedWorkerSpeaksUntilItIsToldToLeave) {
  Program& primary = node.start(example("divided_worker"), {});
  EXPECT_TRUE(primary.wait_for_line(message(1, "\"worker\""), 2));
  EXPECT_TRUE(ends_when_told(primary));
  EXPECT_TRUE(prints_in_order(primary, {"online 1", "exit 1 0 asked"}));
  EXPECT_EQ(primary.count("disconnect 1"), 1);  // Node may emit it after the exit
}

TEST_P(Guest, FailingWorkerSpeaksFiveTimesAndFailsWithItsMessage) {
  Program& primary = node.start(example("failing_worker"), {"--", "--after", "0.5"});
  EXPECT_TRUE(ends_well(primary));
  EXPECT_EQ(primary.count(message(1, "\"worker\"")), 5);
  EXPECT_TRUE(prints_in_order(primary, {"exit 1 1 unasked"}));
  EXPECT_EQ(primary.count("disconnect 1"), 1);  // Node may emit it after the exit
  EXPECT_NE(primary.errors().find("error_function failed"), std::string::npos) << primary.errors();
}

// --- messages

TEST_P(Guest, AMegabyteOfUnicodeComesBackTheSame) {
  Program& primary = node.run("large.js", {interop_program("guest")});
  EXPECT_TRUE(ends_well(primary));
  EXPECT_EQ(primary.output(), "the same came back\n");
}

TEST_P(Guest, TenThousandMessagesArriveAlthoughTheirSenderExits) {
  Program& primary = node.start_guests(R"({"burst":10000})");
  EXPECT_TRUE(ends_well(primary));
  std::vector<std::string> expected;
  for (int i = 0; i < 10'000; ++i) expected.push_back(message(1, std::to_string(i)));
  EXPECT_TRUE(prints_in_order(primary, expected));
  EXPECT_EQ(primary.count("exit 1 0 unasked"), 1);
}

TEST_P(Guest, SpeaksTheSerializationThatItsPrimaryChose) {
  Program& primary = node.run("kinds.js", {interop_program("guest")});
  EXPECT_TRUE(ends_well(primary));
  EXPECT_EQ(primary.output(), "all kinds came back the same\n8000000 bytes came back the same\n");
}

TEST_P(Guest, ListensAndLeavesInAdvancedModeToo) {
  const std::uint16_t port = free_port();
  Program& primary = node.start(
      interop_program("guest"),
      {"--serialization", "advanced", "--say", "[{\"listen\":" + std::to_string(port) + "}]"});
  ASSERT_TRUE(primary.wait_for_line("listening 1 " + std::to_string(port)));
  TcpClient client;
  ASSERT_EQ(client.connect(port), "");
  ASSERT_EQ(client.send("x"), "");
  EXPECT_EQ(client.receive_all(), std::to_string(port));
  client.close();
  EXPECT_TRUE(ends_when_told(primary));
  EXPECT_EQ(primary.count("exit 1 0 asked"), 1) << primary.transcript();
}

// --- handles

// test-child-process-fork-net
TEST_P(Guest, ServesConnectionsOfItsParentWhoseServerWaitsForThem) {
  Program& primary = node.run("sockets.js", {interop_program("guest")});
  EXPECT_TRUE(ends_well(primary));
  EXPECT_EQ(primary.output(), "closed after 12 answers\nthree exits\n");
}

// --- big binary work

TEST_P(Guest, DoesTheBinaryWorkOfTheExample) {
  Program& primary =
      node.run("../../../examples/node/binary_parent.js", {example("binary_worker"), "16"});
  EXPECT_TRUE(ends_well(primary));
  EXPECT_EQ(primary.output(),
            "sha256 44c9714a4244e69970a1cc7eb18e000bd3157a4db38ab3211718dffc8db63a35 of 16000000 "
            "bytes, 2064517 times \"a\"\n"
            "2 reports of progress\n"
            "a blurred image of 640 x 480 in 921615 bytes\n"
            "refused: not a binary PPM image (P6)\n");
}

TEST_P(Guest, IsPooledByTheExampleWithoutLosingACall) {
  Program& primary = node.run("pool.js", {example("binary_worker")});
  EXPECT_TRUE(ends_well(primary));
  EXPECT_EQ(primary.output(), "done\n");
}

TEST_P(Guest, HasLargeDataInLanesAndGivesWhatJavaScriptGives) {
  Program& primary = node.run("lane.js", {example("binary_worker")});
  EXPECT_TRUE(ends_well(primary));
  EXPECT_EQ(primary.output(), "done\n");
}

TEST_P(Guest, LeavesNoLaneBehindWhenItsPrimaryIsKilledInTheMiddle) {
  Program& primary = node.run("lane.js", {example("binary_worker"), "hold"});
  ASSERT_TRUE(primary.wait_for_line("in the middle"));
  primary.signal(SIGKILL);
  EXPECT_TRUE(primary.leaves_no_process());
  const std::string lanes = "lane-" + std::to_string(primary.pid()) + '-';
  for (const auto& file : std::filesystem::directory_iterator{"/dev/shm"})
    EXPECT_FALSE(file.path().filename().string().starts_with(lanes)) << file.path();
}

TEST_P(Guest, IsComparedWithJavaScriptByTheBench) {
  Program& primary = node.run("../../../bench/node/binary.js", {example("binary_worker"), "0.01"});
  EXPECT_TRUE(ends_well(primary));
  EXPECT_EQ(primary.count("the results of both are equal"), 1) << primary.transcript();
}

// --- the end

TEST_P(Guest, ClosesItsServersAndExitsWhenItsPrimaryDisconnectsIt) {
  const std::uint16_t port = free_port();
  Program& primary = node.start_guests(listen_on(port));
  ASSERT_TRUE(primary.wait_for_line(message(1, R"({"listening":)" + std::to_string(port) + '}')));
  EXPECT_TRUE(ends_when_told(primary));
  EXPECT_TRUE(prints_in_order(primary, {"listening 1 " + std::to_string(port), "exit 1 0 asked"}));
  EXPECT_EQ(primary.count("disconnect 1"), 1);  // Node may emit it after the exit
}

TEST_P(Guest, DisconnectsItselfWithNodesHandshake) {
  Program& primary = node.start_guests(R"({"listen":0},{"leave":"disconnect"})");
  EXPECT_TRUE(ends_well(primary));
  EXPECT_TRUE(prints_in_order(primary, {"online 1", "exit 1 0 asked"}));
  EXPECT_EQ(primary.count("disconnect 1"), 1);  // Node may emit it after the exit
}

TEST_P(Guest, KillsItselfWithNodesHandshake) {
  Program& primary = node.start_guests(R"({"listen":0},{"leave":"kill"})");
  EXPECT_TRUE(ends_well(primary));
  EXPECT_TRUE(prints_in_order(primary, {"online 1", "exit 1 0 asked"}));
  EXPECT_EQ(primary.count("disconnect 1"), 1);  // Node may emit it after the exit
}

TEST_P(Guest, IsGoneOneSecondAfterItsPrimaryWasKilled) {
  const std::uint16_t port = free_port();
  Program& primary = node.start_guests(listen_on(port), 2);
  for (const int id : {1, 2})
    ASSERT_TRUE(
        primary.wait_for_line("listening " + std::to_string(id) + ' ' + std::to_string(port)));
  primary.signal(SIGKILL);
  EXPECT_TRUE(primary.leaves_no_process(1s));
  EXPECT_TRUE(is_closed(port, 1s));
}

// --- without a cluster

class Child : public testing::TestWithParam<std::tuple<const char*, const char*>> {};
INSTANTIATE_TEST_SUITE_P(By, Child,
                         testing::Combine(testing::Values("node20", "node26"),
                                          testing::Values("spawn", "spawn_with_channel_5", "fork")),
                         [](const auto& test) {
                           return std::string{std::get<0>(test.param)} + '_' +
                                  std::get<1>(test.param);
                         });

TEST_P(Child, SpeaksBothWaysAndListensByItself) {
  const auto& [version, how] = GetParam();
  NodePrimary node{version, "rr"};
  Program& primary = node.run("child_process.js", {interop_program("guest"), how});
  EXPECT_TRUE(ends_well(primary));
  EXPECT_EQ(primary.output(),
            "said {\"words\":[\"both\",\"ways\"]}\nanswered 0\ndisconnect\nexit 0\n");
}

}  // namespace
}  // namespace harness
