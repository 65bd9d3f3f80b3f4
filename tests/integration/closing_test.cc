// Workers that exit with 100: they are not started again before a reload (docs/cohort-run.md).
#include <gtest/gtest.h>
#include <signal.h>

#include "harness/verbs.h"

namespace harness {
namespace {

constexpr const char* kFailsInSlot1 = "if (process.env.COHORT_SLOT === '1') process.exit(100);\n";

class Closing : public Verbs {
 protected:
  // One of two workers serves.
  std::unique_ptr<Program> serve_in_one() {
    folder_.write("server.js", script("one", kFailsInSlot1));
    auto program = run({"-w", "2", "--prove", "0.2", "server.js"},
                       "in slot 1 ended with exit code 100: it is not started again; "
                       "`cohort reload` starts it again");
    EXPECT_TRUE(program->wait_for_error("listening on")) << program->transcript();
    return program;
  }
};

TEST_F(Closing, OneThatExitsWith100IsNotStartedAgainBeforeAReload) {
  auto program = serve_in_one();
  EXPECT_EQ(http_get(port).body, "one\n");
  const Said status = verb({"status"});
  EXPECT_TRUE(has(status.out, "1 of 2 workers listen")) << status.text();
  EXPECT_TRUE(has(status.out, "closed")) << status.text();
  const Said json = verb({"status", "--json"});
  EXPECT_TRUE(has(json.out, R"("closed":[{"slot":1,"worker":2}])")) << json.text();
  const Said why = verb({"why"});
  EXPECT_TRUE(has(why.out, "exited with code 100")) << why.text();
  EXPECT_TRUE(has(why.out, "its place is closed: `cohort reload` starts it again")) << why.text();
  folder_.write("server.js", script("two"));
  const Said reload = verb({"reload"});
  EXPECT_EQ(reload.code, 0) << reload.text();
  const Said after = verb({"status"});
  EXPECT_TRUE(has(after.out, "2 of 2 workers listen")) << after.text();
  EXPECT_FALSE(has(after.out, "closed")) << after.text();
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Closing, AReloadThatFailsSoLeavesEverythingAsItWas) {
  auto program = serve_in_one();
  const Said bad = verb({"reload"});
  EXPECT_EQ(bad.code, 111) << bad.text();
  EXPECT_TRUE(has(bad.err, "exited with code 100")) << bad.text();
  const Said status = verb({"status"});
  EXPECT_TRUE(has(status.out, "closed")) << status.text();
  EXPECT_EQ(http_get(port).body, "one\n");
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Closing, FewerWorkersAreThoseThatServe) {
  auto program = serve_in_one();
  const Said fewer = verb({"scale", "1"});
  EXPECT_EQ(fewer.code, 0) << fewer.text();
  const Said status = verb({"status"});
  EXPECT_TRUE(has(status.out, "1 of 1 workers listen")) << status.text();
  EXPECT_EQ(http_get(port).body, "one\n");
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Closing, WhenAllExitWith100SoDoesTheCommandAtOnce) {
  folder_.write("server.js", "console.error('no such database');\nprocess.exit(100);\n");
  folder_.write("fails.sh", "#!/bin/sh\necho 'no such database' >&2\nexit 100\n");
  for (const char* program : {"server.js", "./fails.sh"}) {
    auto running = run({"-w", "2", program},
                       "every worker ended with exit code 100, so none is started again");
    EXPECT_TRUE(running->exits_with(100)) << running->transcript();
    EXPECT_TRUE(has(running->errors(), "no such database")) << running->errors();
    EXPECT_FALSE(has(running->errors(), "worker 3")) << "nobody is tried again";
  }
}

TEST_F(Closing, TheLastOneThatExitsSoEndsAServiceThatServed) {
  folder_.write("server.js", script("one", "process.on('SIGUSR2', () => process.exit(100));\n"));
  auto program = run({"-w", "2", "server.js"});
  for (const pid_t pid : children_of(program->pid())) ::kill(pid, SIGUSR2);
  EXPECT_TRUE(program->exits_with(100)) << program->transcript();
}

}  // namespace
}  // namespace harness
