// `cohort run` as the first process of a container: nobody else takes what is left to PID 1.
#include <gtest/gtest.h>
#include <signal.h>

#include <memory>
#include <string>
#include <vector>

#include "harness/clients.h"
#include "harness/verbs.h"

namespace harness {
namespace {

class PidOne : public Verbs {
 protected:
  void SetUp() override {
    Program trial{{"unshare", "-pf", "--mount-proc", "true"}};
    if (!trial.exits_with(0)) GTEST_SKIP() << "no PID namespaces here";
  }
  // Each request leaves a process behind that ends by itself, and whose parent is gone.
  std::unique_ptr<Program> start(const std::string& more = {}) const {
    folder_.write("server.js", "const { exec } = require('child_process');\n" +
                                   script("hello world",
                                          "server.on('request', () => {\n"
                                          "  exec('(sleep 0.2; exit 3) & (setsid sleep 0.1 &)');\n"
                                          "});\n" +
                                              more));
    auto program = std::make_unique<Program>(
        std::vector<std::string>{"unshare", "-pf", "--mount-proc", command(), "run", "-w", "2",
                                 "server.js"},
        surroundings());
    return program;
  }
  // Outside the namespace.
  static pid_t primary_of(const Program& program) {
    const auto children = children_of(program.pid());
    return children.empty() ? 0 : children.front();
  }
};

TEST_F(PidOne, TakesWhatIsLeftToIt) {
  auto program = start();
  ASSERT_TRUE(program->wait_for_error("all 2 workers listen")) << program->transcript();
  EXPECT_TRUE(has(program->errors(), "(pid 1)")) << program->transcript();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(http_get(port).body, "hello world\n");
  const pid_t primary = primary_of(*program);
  EXPECT_TRUE(program->wait_until("the orphans to be gone", [&] {
    return children_of(primary).size() == 2;
  })) << program->transcript();
  kill(primary, SIGTERM);
  EXPECT_TRUE(program->exits_with(0)) << program->transcript();
  EXPECT_TRUE(has(program->errors(), "stopped")) << program->transcript();
}

// Each worker leaves processes behind, ten times a second, until there is a file.
TEST_F(PidOne, LosesNothingThroughReloadsAndScalesWhileItTakesWhatIsLeft) {
  folder_.write("server.js", script("hello world",
                                    "const { exec } = require('child_process');\n"
                                    "setInterval(() => {\n"
                                    "  if (require('fs').existsSync('enough')) return;\n"
                                    "  exec('(sleep 0.2; exit 3) & (setsid sleep 0.1 &)');\n"
                                    "}, 100).unref();\n"));
  Program program{{"unshare", "-pf", "--mount-proc", command(), "run", "-w", "2", "--prove", "0.2",
                   "server.js"},
                  surroundings()};
  ASSERT_TRUE(program.wait_for_error("all 2 workers listen")) << program.transcript();
  const pid_t primary = primary_of(program);
  const auto ask = [&](const std::vector<std::string>& words) { return verb(words); };
  expect_changes_lose_nothing(program, port, ask);
  folder_.write("enough", "");
  EXPECT_TRUE(program.wait_until("the orphans to be gone", [&] {
    return children_of(primary).size() == 2;
  })) << program.transcript();
  expect_a_killed_worker_loses_only_what_it_had(program, primary, port, ask);
  kill(primary, SIGTERM);
  EXPECT_TRUE(program.exits_with(0)) << program.transcript();
  EXPECT_TRUE(has(program.errors(), "cohort: stopped")) << program.transcript();
}

TEST_F(PidOne, ReplacesWhoDies) {
  auto program = start();
  ASSERT_TRUE(program->wait_for_error("all 2 workers listen")) << program->transcript();
  kill(children_of(primary_of(*program)).front(), SIGKILL);
  EXPECT_TRUE(program->wait_for_error("died: killed by SIGKILL")) << program->transcript();
  EXPECT_TRUE(program->wait_for_error("worker 3 \\(pid [0-9]+\\) listens"));
  kill(primary_of(*program), SIGINT);
  EXPECT_TRUE(program->exits_with(0)) << program->transcript();
}

TEST_F(PidOne, ItsExitCodeIsTheContainers) {
  auto program = start("process.exit(100);\n");
  EXPECT_TRUE(program->exits_with(100)) << program->transcript();
}

}  // namespace
}  // namespace harness
