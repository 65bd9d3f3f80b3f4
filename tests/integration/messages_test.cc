// Messages between real processes: none is lost at an exit, however large it is; and workers that
// do not keep to the protocol harm only themselves.
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "harness/client.h"
#include "harness/load.h"
#include "harness/places.h"
#include "harness/program.h"

namespace harness {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

// --- messages

class Burst : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(By, Burst, testing::Values("exit", "return", "throw", "disconnect"),
                         [](const auto& test) { return std::string{test.param}; });

TEST_P(Burst, TenThousandMessagesArriveBeforeTheExitOfTheirSender) {
  const std::string by = GetParam();
  Program program{{helper("burst"), "--by", by}};
  EXPECT_TRUE(program.exits_with(0));
  EXPECT_EQ(program.lines(), std::vector<std::string>{"10000 in order, code " +
                                                      std::string{by == "throw" ? "1" : "0"}})
      << program.transcript();
}

class Joined : public testing::TestWithParam<std::tuple<std::string, std::string, unsigned>> {};
INSTANTIATE_TEST_SUITE_P(Of, Joined,
                         testing::Combine(testing::Values("worker"),
                                          testing::Values("exit", "std_exit", "return", "throw",
                                                          "disconnect"),
                                          testing::Values(0U, 1U, 3U)));
INSTANTIATE_TEST_SUITE_P(To, Joined,
                         testing::Combine(testing::Values("primary", "child"),
                                          testing::Values("disconnect"),
                                          testing::Values(0U, 1U, 3U)));

TEST_P(Joined, WhatAThreadSentThatHasEndedArrivesBeforeWhatTheLoopSentAndBeforeTheEnd) {
  const auto& [from, by, threads] = GetParam();
  Program program{{helper("joined"), "--from", from, "--by", by, "--io", std::to_string(threads)}};
  EXPECT_TRUE(program.exits_with(0));
  EXPECT_EQ(program.lines(), std::vector<std::string>{"501 in order"}) << program.transcript();
}

TEST(Handlers, MayOwnWhatCannotBeCopied) {
  Program program{{helper("move_only")}};
  EXPECT_TRUE(program.exits_with(0));
  EXPECT_EQ(program.lines(),
            (std::vector<std::string>{"call", "child exit", "cluster online", "data", "exec",
                                      "http closed", "http listening", "message", "net closed",
                                      "net listening", "online", "second call", "worker exit"}))
      << program.transcript();
}

class NodeBurst : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Version, NodeBurst, testing::Values("node20", "node26"),
                         [](const auto& test) { return std::string{test.param}; });

TEST_P(NodeBurst, FiveThousandMessagesOfANodeWorkerThatExitsAtOnceArrive) {
  const TempDir folder;
  std::filesystem::create_symlink(GetParam() == std::string{"node20"} ? node20() : node26(),
                                  folder.path() + "/node");
  const std::string script =
      folder.write("burst.js",
                   "for (let n = 0; n < 5000; ++n) process.send({ n, text: 'some words' });\n"
                   "process.exit();\n");
  Program program{{helper("burst"), "--exec", script},
                  {.env = {{"PATH", folder.path() + ':' + getenv("PATH")}}}};
  EXPECT_TRUE(program.exits_with(0));
  EXPECT_EQ(program.lines(), std::vector<std::string>{"5000 in order, code 0"})
      << program.transcript();
}

// --- a peer that does not read

// A sanitizer keeps freed memory for a while. It is in the programs, not in this test.
int slack_megabytes() { return std::getenv("COHORT_SANITIZED") != nullptr ? 200 : 15; }

using FloodFlags = std::vector<std::string>;
class Flood : public testing::TestWithParam<FloodFlags> {};
INSTANTIATE_TEST_SUITE_P(Of, Flood,
                         testing::Values(FloodFlags{}, FloodFlags{"--advanced"},
                                         FloodFlags{"--early"}, FloodFlags{"--early", "--advanced"},
                                         FloodFlags{"--advanced", "--size", "300000"},
                                         FloodFlags{"--early", "--size", "300000"}));

TEST_P(Flood, TakesNoMoreMemoryThanItMayAndNothingThatWasTakenIsLost) {
  std::vector<std::string> command{helper("flooding")};
  command.insert(command.end(), GetParam().begin(), GetParam().end());
  Program program{command};
  EXPECT_TRUE(program.exits_with(0));
  const auto lines = program.lines();
  ASSERT_EQ(lines.size(), 5U) << program.transcript();
  EXPECT_EQ(lines[0], "the channel is full");
  // The queue has 10 MB, in whatever pieces; shared memory 17.
  EXPECT_LT(std::stoi(lines[1].substr(8)), 27 + slack_megabytes()) << program.transcript();
  // It gets 1 MB that it has not processed, the sockets' buffers, shared memory.
  EXPECT_LT(std::stoi(lines[2].substr(7)), 18 + slack_megabytes()) << program.transcript();
  EXPECT_EQ(lines[3], "drained");
  EXPECT_EQ(lines[4], "all arrived");
}

class Calling : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Workers, Calling, testing::Values("cohort", "node20", "node26"),
                         [](const auto& test) { return std::string{test.param}; });

TEST_P(Calling, PrimaryAndWorkersAnswerPublishAndBroadcast) {
  const std::string make = GetParam();
  const TempDir folder;
  std::vector<std::string> command{helper("calling")};
  if (make != "cohort") {
    std::filesystem::create_symlink(make == "node20" ? node20() : node26(),
                                    folder.path() + "/node");
    command.insert(command.end(), {"--exec", source("tests/interop/workers/calling.js")});
  }
  Program program{command, {.env = {{"PATH", folder.path() + ':' + getenv("PATH")}}}};
  EXPECT_TRUE(program.exits_with(0));
  EXPECT_EQ(program.lines(),
            (std::vector<std::string>{"ready 144", "ready 144", "primary: from a worker", "3", "ab",
                                      "call fail: the method failed (on purpose)",
                                      "call missing: no such method (there is no method missing)",
                                      "3", "broadcast to 2", "primary: from the primary",
                                      "heard: [ 'from a worker', 'from the primary', 'hello' ]",
                                      "heard: [ 'from a worker', 'from the primary', 'hello' ]",
                                      "call wait: timed out (no answer in 20 ms)",
                                      "call wait: channel closed (worker 2 (pid "}))
      << program.transcript();
}

TEST(LargeMessage, OfSixtyFourMegabytesComesBackTheSame) {
  Program program{{helper("large")}};
  EXPECT_TRUE(program.exits_with(0, 60s));
  EXPECT_EQ(program.lines(), std::vector<std::string>{"the same came back"})
      << program.transcript();
}

TEST(LargeMessage, MadeInSharedMemoryArrivesWithSeveralDescriptors) {
  Program program{{helper("bulky")}};
  EXPECT_TRUE(program.exits_with(0));
  EXPECT_EQ(program.lines(), (std::vector<std::string>{"5242880 bytes, 5242880 as they were made",
                                                       "one", "two", "three"}))
      << program.transcript();
}

TEST(LargeMessage, ThatExceedsTheChannelsLimitIsTheSendersError) {
  Program program{{helper("large"), "--size", "2000000", "--max", "1000000"}};
  EXPECT_TRUE(program.exits_with(0));
  ASSERT_EQ(program.lines().size(), 1U) << program.transcript();
  EXPECT_NE(program.lines()[0].find("large"), std::string::npos) << program.lines()[0];
}

// --- workers that break the protocol

class Protocol : public testing::Test {
 protected:
  // Starts `mixed`; its good worker is under load from before the other one speaks.
  void run(const std::string& text, const std::string& times) {
    program_ = std::make_unique<Program>(std::vector<std::string>{
        helper("mixed"), "--port", std::to_string(port_), "--text", text, "--times", times});
    ASSERT_TRUE(accepts(port_));
    load_ = std::make_unique<LoadGenerator>(LoadOptions{.port = port_, .connections = 2});
  }
  // The good worker serves and has served all the time.
  void finish() {
    const long before = load_->ok();
    EXPECT_TRUE(eventually("more answers", [&] { return load_->ok() > before + 50; }));
    const LoadReport report = load_->stop();
    EXPECT_EQ(report.failed, 0) << report.text();
    EXPECT_FALSE(program_->wait_for_match("^worker 1:", 0ms));
    EXPECT_TRUE(program_->ends_on_interrupt());
  }

  const std::uint16_t port_ = free_port();
  std::unique_ptr<Program> program_;
  std::unique_ptr<LoadGenerator> load_;
};

TEST_F(Protocol, AWorkerThatSendsGarbageIsDroppedWithALogLineAndNothingElseHappens) {
  for (const std::string text : {"this is no JSON\\n", "\\n", "{\"cmd\":\\n", "\x01\xff\xfe\\n"}) {
    SCOPED_TRACE(text);
    run(text, "1");
    EXPECT_TRUE(program_->wait_for_match("^worker 2: killed by SIGKILL"));
    EXPECT_TRUE(program_->wait_for_error("worker 2"));
    finish();
  }
}

TEST_F(Protocol, AWorkerWhoseMessageExceedsTheLimitIsDroppedWithALogLine) {
  run(std::string(64 << 10, 'x'), "40");
  EXPECT_TRUE(program_->wait_for_match("^worker 2: killed by SIGKILL"));
  EXPECT_TRUE(program_->wait_for_error("worker 2"));
  EXPECT_EQ(program_->error_lines().size(), 1U) << program_->errors();
  finish();
}

TEST_F(Protocol, InternalMessagesThatMakeNoSenseHarmNobody) {
  for (const std::string text :
       {R"({"cmd":"NODE_CLUSTER"}\n)", R"({"cmd":"NODE_CLUSTER","act":5,"seq":"x"}\n)",
        R"({"cmd":"NODE_CLUSTER","act":"queryServer","key":1,"port":-7,"seq":0}\n)",
        R"({"cmd":"NODE_CLUSTER","act":"close","key":"none","seq":0}\n)",
        R"({"cmd":"NODE_CLUSTER","ack":99,"accepted":true}\n)", R"({"cmd":"NODE_HANDLE_ACK"}\n)",
        R"({"cmd":"NODE_HANDLE","type":"net.Socket","msg":{}}\n)", R"({"cmd":"NODE_FUTURE"}\n)"}) {
    SCOPED_TRACE(text);
    run(text, "3");
    EXPECT_TRUE(program_->wait_until("the second worker", [&] {
      return program_->descendants().size() == 2 ||
             program_->count("worker 2: killed by SIGKILL") > 0;
    }));
    finish();
  }
}

}  // namespace
}  // namespace harness
