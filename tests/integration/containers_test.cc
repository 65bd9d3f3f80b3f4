// `cohort run` where a container lacks something: /proc, a directory that may be written to. It
// says so in one line at most, and serves, reloads and stops as elsewhere.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "harness/load.h"
#include "harness/verbs.h"

namespace harness {
namespace {

using Words = std::vector<std::string>;

class Containers : public Verbs {
 protected:
  // Once `setup`, a shell's command, is done in a mount namespace. Nothing: that is not allowed.
  std::unique_ptr<Program> run_in(const std::string& setup, const Words& before = {}) {
    Program trial{{"unshare", "-m", "sh", "-c", setup}};
    if (!trial.exits_with(0)) return nullptr;
    std::filesystem::permissions(folder_.path(), std::filesystem::perms{0755});
    std::filesystem::permissions(folder_.write("server.js", script("hello world")),
                                 std::filesystem::perms{0644});
    Words words{"unshare", "-m", "sh", "-c", setup + " && exec \"$@\"", "sh"};
    words.insert(words.end(), before.begin(), before.end());
    words.insert(words.end(), {command(), "run", "-w", "2", "--prove", "0.2", "server.js"});
    auto program = std::make_unique<Program>(words, surroundings());
    EXPECT_TRUE(program->wait_for_error("all 2 workers listen")) << program->transcript();
    return program;
  }
  static auto count_lines(const Program& program, const std::string& part) {
    const auto lines = program.error_lines();
    return std::count_if(lines.begin(), lines.end(),
                         [&](const std::string& line) { return has(line, part); });
  }
  void expect_reloaded_and_replaced(Program& program) {
    {
      LoadGenerator load{{.port = port, .connections = 4, .request = {.keep_alive = false}}};
      program.signal(SIGHUP);
      EXPECT_TRUE(program.wait_for_error("reloaded: generation 2")) << program.transcript();
      const LoadReport report = load.stop();
      EXPECT_EQ(report.failed, 0) << report.text() << program.transcript();
    }
    EXPECT_TRUE(program.wait_until("the end of those before", [&] {
      return children_of(program.pid()).size() == 2;
    })) << program.transcript();
    ::kill(children_of(program.pid()).front(), SIGKILL);
    EXPECT_TRUE(program.wait_for_error("worker 5 .*listens in place of")) << program.transcript();
    EXPECT_EQ(http_get(port).body, "hello world\n");
  }
  static void expect_stopped(Program& program) {
    program.signal(SIGTERM);
    EXPECT_TRUE(program.exits_with(0)) << program.transcript();
    EXPECT_TRUE(has(program.errors(), "cohort: stopped")) << program.transcript();
  }
};

class WithoutProc : public Containers, public testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(Ways, WithoutProc,
                         testing::Values("mount -t tmpfs none /proc", "umount -l /proc"),
                         [](const auto& test) {
                           return std::string{test.param[0] == 'm' ? "empty" : "unmounted"};
                         });

TEST_P(WithoutProc, ItServesReloadsReplacesScalesAndStops) {
  if (std::getenv("COHORT_SANITIZED") != nullptr) GTEST_SKIP() << "a sanitizer needs /proc";
  const auto program = run_in(GetParam());
  if (!program) GTEST_SKIP() << "no mount namespaces here";
  expect_reloaded_and_replaced(*program);
  const Said scaled = verb({"scale", "3"});
  EXPECT_EQ(scaled.code, 0) << scaled.text() << program->transcript();
  EXPECT_TRUE(has(verb({"status"}).out, "server: 3 of 3 workers listen, generation 2"));
  EXPECT_LE(count_lines(*program, "/proc"), 1) << program->transcript();
  expect_stopped(*program);
}

// As a user who has never run it here: what Node workers load first is kept.
TEST_F(Containers, AReadOnlyRootIsSaidOnceForEachFileThatIsMissingAndItServes) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root makes a file system read-only";
  const auto program = run_in(
      "while read -r a b c d point rest; do\n"
      "  case $point in /proc*|/sys*) ;; *) mount -o remount,bind,ro \"$point\" 2>/dev/null;; "
      "esac\n"
      "done < /proc/self/mountinfo\n"
      "! touch \"${TMPDIR:-/tmp}/x\" /dev/shm/x /x 2>/dev/null",
      {"setpriv", "--reuid=64398", "--regid=64398", "--clear-groups"});
  if (!program) GTEST_SKIP() << "no read-only root can be made here";
  EXPECT_TRUE(program->wait_for_error(
      "no control socket, so that `cohort ls` and the other verbs do not find this: mkdir: "
      "(read-only file system|permission denied) .*/run\\)"))
      << program->transcript();
  EXPECT_TRUE(
      program->wait_for_error("Node workers start without the preload, so their own "
                              "handlers run late .*: read-only file system"))
      << program->transcript();
  expect_reloaded_and_replaced(*program);
  EXPECT_EQ(count_lines(*program, "no control socket"), 1) << program->transcript();
  EXPECT_EQ(count_lines(*program, "without the preload"), 1) << program->transcript();
  expect_stopped(*program);
}

}  // namespace
}  // namespace harness
