// Reloads while something runs out: descriptors, the disk of the runtime directory; or
// while an old worker is stopped. The workers before serve on, and it says what was missing.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "harness/load.h"
#include "harness/verbs.h"

namespace harness {
namespace {

// A lower limit of a process, until the end.
class Limited {
 public:
  Limited(pid_t pid, __rlimit_resource what, rlim_t limit) : pid_{pid}, what_{what} {
    EXPECT_EQ(::prlimit(pid, what, nullptr, &before_), 0);
    const rlimit less{.rlim_cur = limit, .rlim_max = before_.rlim_max};
    EXPECT_EQ(::prlimit(pid, what, &less, nullptr), 0);
  }
  ~Limited() { EXPECT_EQ(::prlimit(pid_, what_, &before_, nullptr), 0); }
  Limited(const Limited&) = delete;
  Limited& operator=(const Limited&) = delete;

 private:
  const pid_t pid_;
  const __rlimit_resource what_;
  rlimit before_{};
};

// That leaves a process so many descriptors: for the verb itself, and not for a worker.
rlim_t limit_with(int free, pid_t pid) {
  std::set<int> open;
  for (const auto& fd : std::filesystem::directory_iterator{"/proc/" + std::to_string(pid) + "/fd"})
    open.insert(std::stoi(fd.path().filename()));
  int limit = 0;
  for (; free > 0; ++limit) free -= open.contains(limit) ? 0 : 1;
  return static_cast<rlim_t>(limit);
}

class Shortage : public Verbs {
 protected:
  // The reload fails, with this in its reason; the workers before it serve on.
  void expect_undone(Program& program, const std::string& reason) {
    const auto before = children_of(program.pid());
    const Said said = verb({"reload"});
    EXPECT_EQ(said.code, 111) << said.text();
    EXPECT_TRUE(has(said.err, reason)) << said.text() << program.transcript();
    EXPECT_TRUE(program.wait_until("the workers before, alone", [&] {
      return children_of(program.pid()) == before;
    })) << program.transcript();
    EXPECT_EQ(http_get(port).body, "hello world\n");
  }
  // Now that there is enough.
  void expect_reloaded(Program& program) const {
    const Said said = verb({"reload"});
    EXPECT_EQ(said.code, 0) << said.text() << program.transcript();
    EXPECT_EQ(http_get(port).body, "hello world\n");
  }
};

TEST_F(Shortage, OfDescriptorsUndoesAReload) {
  auto program = serve();
  LoadGenerator generator{{.port = port, .connections = 4}};
  {
    const Limited limited{program->pid(), RLIMIT_NOFILE, limit_with(3, program->pid())};
    expect_undone(*program, "too many open files");
  }
  expect_reloaded(*program);
  const LoadReport report = generator.stop();
  EXPECT_EQ(report.failed, 0) << report.text() << program->transcript();
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Shortage, OfRoomForTheRuntimeDirectoryIsSaidAndTheServiceRuns) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root mounts a small disk";
  folder_.write("server.js", script("hello world"));
  std::filesystem::create_directory(runtime_);
  Program program{{"unshare", "--mount", "sh", "-c",
                   "mount -t tmpfs -o nr_inodes=1,mode=700 none \"$0\" && exec \"$@\"", runtime_,
                   command(), "run", "-w", "2", "server.js"},
                  surroundings()};
  EXPECT_TRUE(program.wait_for_error("all 2 workers listen")) << program.transcript();
  EXPECT_TRUE(program.wait_for_error("no control socket, so that .*: no space left on device"))
      << program.transcript();
  EXPECT_EQ(http_get(port).body, "hello world\n");
  program.signal(SIGHUP);
  EXPECT_TRUE(program.wait_for_error("reloaded: generation 2")) << program.transcript();
  EXPECT_TRUE(program.ends_on_interrupt());
}

// It is woken when it is told to end.
TEST_F(Shortage, OfAWorkerThatIsStoppedWhileItDrainsEndsTheReloadAllTheSame) {
  auto program = serve();
  LoadGenerator generator{{.port = port, .connections = 4, .request = {.keep_alive = false}}};
  const auto before = children_of(program->pid());
  EXPECT_EQ(verb({"reload", "--no-wait"}).code, 0);
  for (const pid_t old : before) {
    EXPECT_TRUE(program->wait_until("its successor to serve", [&] {
      return has(verb({"status"}).out, "held") || has(program->errors(), "reloaded");
    })) << program->transcript();
    ::kill(old, SIGSTOP);
  }
  EXPECT_TRUE(program->wait_for_error("reloaded: generation 2")) << program->transcript();
  EXPECT_TRUE(program->wait_until("the end of those before", [&] {
    const auto now = children_of(program->pid());
    return now.size() == 2 &&
           std::find_first_of(now.begin(), now.end(), before.begin(), before.end()) == now.end();
  })) << program->transcript();
  const LoadReport report = generator.stop();
  // Those whose worker was stopped under them have waited for it.
  EXPECT_EQ(report.failed, 0) << report.text() << program->transcript();
  EXPECT_TRUE(program->ends_on_interrupt());
}

}  // namespace
}  // namespace harness
