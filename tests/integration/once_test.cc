// `cohort run --once COMMAND`: it runs to its end before workers start, and before each reload.
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "harness/verbs.h"

namespace harness {
namespace {

namespace fs = std::filesystem;

class Once : public Verbs {
 protected:
  std::vector<std::string> words(const std::string& once) const {
    return {"-w", "2", "--prove", "0.2", "--once", once, "server.js"};
  }
  std::unique_ptr<Program> start(const std::string& once, const std::string& until) {
    folder_.write("server.js", script("hello world"));
    return run(words(once), until);
  }
  bool there_is(const std::string& file) const { return fs::exists(folder_.path() + '/' + file); }
  void make(const std::string& file) const { folder_.write(file, ""); }
  std::size_t lines_of(const std::string& file) const {
    std::ifstream stream{folder_.path() + '/' + file};
    std::size_t count = 0;
    for (std::string line; std::getline(stream, line);) ++count;
    return count;
  }
  std::string phase() const { return verb({"status", "--json"}).out; }
};

TEST_F(Once, EndsBeforeAnyWorkerStarts) {
  folder_.write(
      "server.js",
      script("hello world", "if (!require('fs').existsSync('migrated')) process.exit(3);\n"));
  auto program = run(words("sleep 0.5; touch migrated"));
  EXPECT_TRUE(program->wait_for_error("`sleep 0.5; touch migrated` runs first \\(--once\\)"));
  EXPECT_EQ(program->errors().find("died"), std::string::npos) << program->transcript();
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Once, NoWorkerStartsWhenItFails) {
  auto program = start("echo no such table >&2; exit 3", "no worker is started");
  const auto ended = program->wait_exit();
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->code, 111);
  EXPECT_TRUE(has(program->errors(), "no such table")) << program->transcript();
  EXPECT_TRUE(has(program->errors(),
                  "`echo no such table >&2; exit 3` exited with code 3; no worker is started"))
      << program->transcript();
  EXPECT_FALSE(has(program->errors(), "worker 1")) << program->transcript();
}

TEST_F(Once, MaySayThatTryingAgainIsInVain) {
  auto program = start("exit 100", "no worker is started");
  const auto ended = program->wait_exit();
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->code, 100);
}

TEST_F(Once, AReloadBeginsWhenItHasSucceeded) {
  auto program = start("echo >>runs; test ! -e bad", "all 2 workers listen");
  make("bad");
  const Said bad = verb({"reload"});
  EXPECT_EQ(bad.code, 111);
  EXPECT_EQ(bad.err,
            "cohort: server is not reloaded: generation 2: "
            "`echo >>runs; test ! -e bad` exited with code 1\n");
  EXPECT_TRUE(program->wait_for_error("not reloaded: `echo >>runs; test ! -e bad` exited"));
  EXPECT_EQ(http_get(port).body, "hello world\n");
  EXPECT_FALSE(has(program->errors(), "worker 3")) << program->transcript();
  fs::remove(folder_.path() + "/bad");
  const Said good = verb({"reload"});
  EXPECT_EQ(good.code, 0) << good.text();
  EXPECT_EQ(good.out, "server is reloaded: generation 3: every worker is of it\n");
  EXPECT_EQ(lines_of("runs"), 3U);
  EXPECT_TRUE(program->ends_on_interrupt());
}

// A migration is never cut short, and two never run at a time.
TEST_F(Once, ReloadsThatOverlapRunItOneAfterTheOther) {
  const std::string once =
      "mkdir here || touch overlapped; echo >>runs; "
      "while test -e busy; do sleep 0.05; done; rmdir here";
  auto program = start(once, "all 2 workers listen");
  make("busy");
  for (int i = 0; i < 4; ++i) EXPECT_EQ(verb({"reload", "--no-wait"}).code, 0);
  EXPECT_TRUE(has(phase(), R"("phase":"preparing")")) << phase();
  fs::remove(folder_.path() + "/busy");
  EXPECT_TRUE(program->wait_for_error("reloaded: generation 5 serves")) << program->transcript();
  EXPECT_FALSE(there_is("overlapped"));
  // The start's, the first's, and the last's: those between were superseded.
  EXPECT_EQ(lines_of("runs"), 3U);
  for (const char* given_up : {"generation 2 is", "generation 3 is", "generation 4 is"})
    EXPECT_TRUE(has(program->errors(), given_up)) << program->transcript();
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Once, EndsWithTheService) {
  auto program = start("touch begun; sleep 1000", "runs first");
  EXPECT_TRUE(program->wait_until("the command to run", [&] { return there_is("begun"); }));
  EXPECT_EQ(verb({"scale", "3", "--no-wait"}).code, 0);
  EXPECT_TRUE(has(verb({"reload"}).err, "its --once command has not ended"));
  program->signal(SIGTERM);
  EXPECT_TRUE(program->leaves_no_process()) << program->transcript();
  const auto ended = program->wait_exit();
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->code, 0) << program->transcript();
  EXPECT_FALSE(has(program->errors(), "worker 1")) << program->transcript();
}

TEST_F(Once, AStopDuringAReloadEndsIt) {
  auto program = start("test ! -e slow || { touch begun; sleep 1000; }", "all 2 workers listen");
  make("slow");
  EXPECT_EQ(verb({"reload", "--no-wait"}).code, 0);
  EXPECT_TRUE(program->wait_until("the command to run", [&] { return there_is("begun"); }));
  program->signal(SIGTERM);
  EXPECT_TRUE(program->leaves_no_process()) << program->transcript();
  EXPECT_TRUE(has(program->errors(), "generation 2 is given up: the service ends"))
      << program->transcript();
}

}  // namespace
}  // namespace harness
