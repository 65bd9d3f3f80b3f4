// Real Node, 20 and 26, as children of `cohort::fork` and `cohort::spawn`. The scripts are what
// Node's own tests run as their children.
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "cohort/child_process.h"
#include "harness/places.h"

namespace harness {
namespace {

using std::chrono_literals::operator""s;

class NodeChild : public testing::TestWithParam<const char*> {
 protected:
  cohort::ChildProcess fork(const std::string& script, cohort::SpawnOptions options = {}) {
    options.exec_path = GetParam() == std::string{"node20"} ? node20() : node26();
    const auto child = cohort::fork(io, folder_.write("child.js", script), {"foo", "bar"}, options);
    child.on_spawn([this] { events.emplace_back("spawn"); });
    child.on_message([this](const cohort::Value& message) {
      events.emplace_back("message");
      messages.push_back(message);
    });
    child.on_disconnect([this] { events.emplace_back("disconnect"); });
    child.on_exit([this](const cohort::Exit&) { events.emplace_back("exit"); });
    child.on_close([this](const cohort::Exit&) { events.emplace_back("close"); });
    return child;
  }
  void run() {
    io.run_for(60s);
    EXPECT_TRUE(io.stopped()) << "something keeps the loop running";
  }

  boost::asio::io_context io{1};
  std::vector<std::string> events;
  std::vector<cohort::Value> messages;

 private:
  const TempDir folder_;
};
INSTANTIATE_TEST_SUITE_P(Version, NodeChild, testing::Values("node20", "node26"),
                         [](const auto& test) { return std::string{test.param}; });

using Events = std::vector<std::string>;

// test-child-process-fork
TEST_P(NodeChild, ExchangesMessagesAndGetsItsArguments) {
  const auto child = fork(
      "process.send(process.argv.slice(2));\n"
      "process.on('message', (m) => { process.send({ got: m }); process.disconnect(); });\n");
  child.send({{"hello", "world"}});
  run();
  ASSERT_EQ(messages.size(), 2U);
  EXPECT_EQ(cohort::to_json(messages[0]), R"(["foo","bar"])");
  EXPECT_EQ(cohort::to_json(messages[1]), R"({"got":{"hello":"world"}})");
  EXPECT_EQ(events, (Events{"spawn", "message", "message", "disconnect", "exit", "close"}));
  EXPECT_EQ(child.exit_code(), 0);
}

// test-child-process-fork3
TEST_P(NodeChild, WithoutListenersEndsByItself) {
  const auto child = fork("process.send('x');\n");
  run();
  EXPECT_EQ(child.exit_code(), 0);
  EXPECT_EQ(messages.size(), 1U);
}

// test-child-process-fork-ref
TEST_P(NodeChild, ThatListensForDisconnectLivesUntilThen) {
  const auto child = fork(
      "process.send('1');\n"
      "process.once('disconnect', () => console.log('2'));\n"
      "setTimeout(() => process.send('3'), 50);\n",
      {.silent = true});
  std::string text;
  child.stdout_().on_data([&](std::string_view data) { text += data; });
  child.on_message([&](const cohort::Value& message) {
    if (message == "3") {
      EXPECT_TRUE(child.disconnect());
    }
  });
  run();
  EXPECT_EQ(text, "2\n");
  EXPECT_EQ(events, (Events{"spawn", "message", "message", "disconnect", "exit", "close"}));
}

// test-child-process-fork-ref2
TEST_P(NodeChild, IsNotKeptAliveByAMessageListenerAfterTheEndOfTheChannel) {
  const auto child = fork(
      "process.send('ready');\n"
      "process.once('disconnect', () => process.on('message', () => {}));\n");
  child.on_message([&](const cohort::Value&) { std::ignore = child.disconnect(); });
  run();
  EXPECT_EQ(child.exit_code(), 0);
  EXPECT_EQ(child.exit()->cause(), cohort::ExitCause::Requested);
}

// test-child-process-internal
TEST_P(NodeChild, MayUseCommandsThatOnlyLookLikeNodes) {
  fork(
      "process.send({ cmd: 'fooNODE_' });\n"
      "process.send({ cmd: 'NODE_' });\n"
      "process.send({ cmd: 'NODE_bar' });\n");
  run();
  ASSERT_EQ(messages.size(), 2U) << "the last is Node's own kind";
  EXPECT_EQ(messages[0]["cmd"], "fooNODE_");
  EXPECT_EQ(messages[1]["cmd"], "NODE_");
}

// test-child-process-send-utf8
TEST_P(NodeChild, SendsFourHundredThousandCharactersOfTwoBytes) {
  fork("process.send('ßß'.repeat(2e5));\n");
  run();
  std::string expected;
  for (int i = 0; i < 400'000; ++i) expected += "ß";
  ASSERT_EQ(messages.size(), 1U);
  EXPECT_TRUE(messages[0] == expected);
}

// test-child-process-fork-and-spawn
TEST_P(NodeChild, StartsAChildOfItsOwnWithoutTheChannel) {
  const auto child = fork(
      "const { spawn } = require('child_process');\n"
      "const c = spawn(process.execPath,\n"
      "  ['-e', 'process.exit(process.send ? 1 : 0)'], { stdio: 'inherit' });\n"
      "c.on('exit', (code) => process.send({ code }, () => process.disconnect()));\n");
  run();
  ASSERT_EQ(messages.size(), 1U);
  EXPECT_EQ(messages[0]["code"].int64_or(-1), 0);
  EXPECT_EQ(child.exit_code(), 0);
}

TEST_P(NodeChild, WritesToPipesOfAnyNumber) {
  const auto child = fork(
      "const fs = require('fs');\n"
      "console.log('out'); console.error('err'); fs.writeSync(4, 'extra');\n",
      {.stdio = {cohort::Stdio::Ignore, cohort::Stdio::Pipe, cohort::Stdio::Pipe, cohort::Ipc{},
                 cohort::Stdio::Pipe}});
  std::string out, err, extra;
  child.stdout_().on_data([&](std::string_view data) { out += data; });
  child.stderr_().on_data([&](std::string_view data) { err += data; });
  child.stdio(4).on_data([&](std::string_view data) { extra += data; });
  run();
  EXPECT_EQ(out, "out\n");
  EXPECT_EQ(err, "err\n");
  EXPECT_EQ(extra, "extra");
}

TEST_P(NodeChild, AnUncaughtExceptionIsCodeOneAndItsLastLinesAreKept) {
  const auto child = fork("throw new Error('on purpose');\n", {.silent = true, .stderr_lines = 20});
  run();
  EXPECT_EQ(child.exit_code(), 1);
  bool named = false;
  for (const std::string& line : child.exit()->stderr_lines())
    named = named || line.find("on purpose") != std::string::npos;
  EXPECT_TRUE(named) << *child.exit();
}

TEST_P(NodeChild, LosesNoMessageWhenItExitsAtOnce) {
  fork(
      "for (let n = 0; n < 5000; ++n) process.send({ n, text: 'some words' });\n"
      "process.exit();\n");
  run();
  EXPECT_EQ(messages.size(), 5000U);
  EXPECT_EQ(events.back(), "close");
}

}  // namespace
}  // namespace harness
