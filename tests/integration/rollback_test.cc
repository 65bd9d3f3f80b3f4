// `cohort rollback`: the workers before the last reload are parked, and serve again at once.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "harness/load.h"
#include "harness/verbs.h"

namespace harness {
namespace {

class Rollback : public Verbs {
 protected:
  std::unique_ptr<Program> start(const std::vector<std::string>& more = {}) {
    folder_.write("server.js", script("one"));
    std::vector<std::string> options{"-w", "2", "--prove", "0.2"};
    options.insert(options.end(), more.begin(), more.end());
    options.emplace_back("server.js");
    return run(options);
  }
  void reload_to(const std::string& answer) {
    folder_.write("server.js", script(answer));
    const Said said = verb({"reload"});
    EXPECT_EQ(said.code, 0) << said.text();
    EXPECT_EQ(http_get(port).body, answer + "\n");
  }
  void expect_only(const std::string& answer) const {
    for (int i = 0; i < 20; ++i) EXPECT_EQ(http_get(port).body, answer + "\n");
  }
};

TEST_F(Rollback, IsAFlipToTheWorkersBefore) {
  auto program = start({"--park", "600"});
  const auto before = children_of(program->pid());
  reload_to("two");
  EXPECT_TRUE(program->wait_for_error("the workers before it stay, for `cohort rollback`"));
  EXPECT_EQ(children_of(program->pid()).size(), 4U) << program->transcript();
  const Said parked = verb({"status"});
  EXPECT_TRUE(has(parked.out, "parked   generation 1, for ")) << parked.text();
  EXPECT_TRUE(has(parked.out, "2 of 2 workers listen, generation 2")) << parked.text();
  EXPECT_TRUE(has(verb({"status", "--json"}).out, R"("parked":{"generation":1,"left":)"));
  const Said said = verb({"rollback"});
  EXPECT_EQ(said.code, 0) << said.text();
  EXPECT_EQ(said.out, "server is rolled back: generation 1\n");
  expect_only("one");
  EXPECT_TRUE(
      program->wait_for_error("rolled back: generation 1 serves; the workers after it end"));
  EXPECT_TRUE(program->wait_until("the newer ones to end", [&] {
    return children_of(program->pid()) == before;
  })) << program->transcript();
  const Said again = verb({"rollback"});
  EXPECT_EQ(again.code, 111);
  EXPECT_EQ(again.err,
            "cohort: no generation before this one is parked, and no reload is under way\n");
  reload_to("three");
  EXPECT_TRUE(has(verb({"status"}).out, "generation 3"));
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Rollback, LosesNoRequest) {
  auto program = start({"--park", "600"});
  reload_to("one");
  LoadGenerator load{LoadOptions{.port = port, .body = "one\n"}};
  EXPECT_EQ(verb({"rollback"}).code, 0);
  expect_only("one");
  const LoadReport report = load.stop();
  EXPECT_GT(report.ok, 10) << report.text();
  EXPECT_EQ(report.failed, 0) << report.text();
  EXPECT_TRUE(program->ends_on_interrupt());
}

// Those that come back find it as it was.
TEST_F(Rollback, WhoIsParkedLetsItsHttpClientsGo) {
  auto program = start({"--park", "600"});
  std::vector<TcpClient> clients(4);
  for (TcpClient& client : clients) {
    ASSERT_EQ(client.connect(port), "");
    EXPECT_EQ(exchange(client, {.keep_alive = true}).body, "one\n");
  }
  reload_to("two");
  EXPECT_EQ(clients[0].receive(), "");  // within a moment: it was idle
  EXPECT_EQ(clients[0].reason(), "closed");
  EXPECT_EQ(verb({"rollback"}).code, 0);
  TcpClient back;
  ASSERT_EQ(back.connect(port), "");
  for (int i = 0; i < 3; ++i) {
    const HttpResponse response = exchange(back, {.keep_alive = true});
    EXPECT_EQ(response.body, "one\n");
    EXPECT_TRUE(response.keep_alive);
  }
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Rollback, WhereOneHasDiedAnotherIsStarted) {
  auto program = start({"--park", "600"});
  const auto before = children_of(program->pid());
  reload_to("two");
  kill(before.front(), SIGKILL);
  EXPECT_TRUE(program->wait_for_error("died"));
  folder_.write("server.js", script("one"));
  EXPECT_EQ(verb({"rollback"}).code, 0);
  expect_only("one");
  EXPECT_TRUE(has(verb({"status"}).out, "2 of 2 workers listen, generation 1"));
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Rollback, WithoutParkThereIsNoWayBack) {
  auto program = start();
  reload_to("two");
  EXPECT_EQ(verb({"rollback"}).code, 111);
  expect_only("two");
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Rollback, OfAReloadThatIsUnderWayGivesItUp) {
  auto program = start();
  folder_.write("server.js", "setTimeout(() => {}, 1e9);\n");
  EXPECT_EQ(verb({"reload", "--no-wait"}).code, 0);
  const Said said = verb({"rollback"});
  EXPECT_EQ(said.out, "server is rolled back: generation 1\n") << said.text();
  EXPECT_TRUE(program->wait_for_error("not reloaded: generation 1 was wanted back"));
  expect_only("one");
  EXPECT_TRUE(program->ends_on_interrupt());
}

// It has replaced nobody: who serves stays, and so do those who are parked.
TEST_F(Rollback, OfAReloadThatIsPreparedGivesThatUp) {
  auto program = start({"--park", "600", "--once", "while test -e busy; do sleep 0.05; done"});
  reload_to("two");
  folder_.write("busy", "");
  EXPECT_EQ(verb({"reload", "--no-wait"}).code, 0);
  const Said given_up = verb({"rollback"});
  EXPECT_EQ(given_up.out, "server is rolled back: generation 2\n") << given_up.text();
  expect_only("two");
  const Said back = verb({"rollback"});
  EXPECT_EQ(back.out, "server is rolled back: generation 1\n") << back.text();
  expect_only("one");
  EXPECT_TRUE(program->ends_on_interrupt());
}

// Both would accept from the one socket.
TEST_F(Rollback, NobodyIsParkedUnderShared) {
  auto program = start({"--park", "600", "-b", "shared"});
  folder_.write("server.js", script("two"));
  EXPECT_EQ(verb({"reload"}).code, 0);
  EXPECT_EQ(verb({"rollback"}).code, 111);
  EXPECT_TRUE(program->wait_until("the old ones to end",
                                  [&] { return children_of(program->pid()).size() == 2; }));
  EXPECT_TRUE(program->ends_on_interrupt());
}

// A group with a limit of its memory, below that of this process.
class LimitedGroup {
 public:
  LimitedGroup(const std::string& hierarchy, const char* limit, const std::string& bytes) {
    path_ = "/sys/fs/cgroup" + hierarchy + "/cohort-test-" + std::to_string(::getpid());
    std::error_code error;
    if (!std::filesystem::create_directory(path_, error)) path_.clear();
    // Elsewhere it would be a folder, and its files would be any.
    const bool is_one = !path_.empty() && std::filesystem::exists(processes());
    if (!is_one || !(std::ofstream{path_ + limit} << bytes << std::flush)) remove();
  }
  ~LimitedGroup() { remove(); }
  LimitedGroup(const LimitedGroup&) = delete;
  LimitedGroup& operator=(const LimitedGroup&) = delete;

  bool is_there() const { return !path_.empty(); }
  std::string processes() const { return path_ + "/cgroup.procs"; }

 private:
  void remove() {
    if (path_.empty()) return;
    EXPECT_TRUE(eventually("the end of " + path_, [&] { return ::rmdir(path_.c_str()) == 0; }));
    path_.clear();
  }

  std::string path_;
};

TEST_F(Rollback, NobodyIsParkedWhereTheMemoryForThatIsNotLeft) {
  const std::string limit = std::to_string(700 << 20);
  auto group = std::make_unique<LimitedGroup>("", "/memory.max", limit);
  if (!group->is_there())
    group = std::make_unique<LimitedGroup>("/memory", "/memory.limit_in_bytes", limit);
  if (!group->is_there()) GTEST_SKIP() << "no cgroup can be made here";
  folder_.write("server.js", script("one", "globalThis.hoard = Buffer.alloc(200 << 20, 1);\n"));
  Program program{{"sh", "-c", "echo $$ > \"$0\" && exec \"$@\"", group->processes(), command(),
                   "run", "-w", "2", "--prove", "0.2", "--park", "600", "server.js"},
                  surroundings()};
  ASSERT_TRUE(program.wait_for_error("all 2 workers listen")) << program.transcript();
  reload_to("two");
  EXPECT_TRUE(program.wait_for_error(
      "there is no memory for as many new workers beside the old ones \\(they need [45][0-9][0-9] "
      "MB, "
      "[0-9]+ MB are left\\): at most 1 at a time, old ones end to make room"))
      << program.transcript();
  EXPECT_TRUE(program.wait_for_error("generation 2 serves; the workers before it end"));
  EXPECT_TRUE(program.wait_until("the old ones to end", [&] {
    return children_of(program.pid()).size() == 2;
  })) << program.transcript();
  EXPECT_FALSE(has(verb({"status"}).out, "parked"));
  EXPECT_EQ(verb({"rollback"}).code, 111);
  // Those that serve now are small: there is room for them beside the next.
  reload_to("three");
  EXPECT_TRUE(program.wait_for_error("generation 3 serves; the workers before it stay"))
      << program.transcript();
  EXPECT_TRUE(program.ends_on_interrupt());
}

TEST_F(Rollback, WhoIsParkedEndsInTime) {
  auto program = start({"--park", "1"});
  reload_to("two");
  EXPECT_TRUE(program->wait_until("the old ones to end",
                                  [&] { return children_of(program->pid()).size() == 2; }));
  EXPECT_FALSE(has(verb({"status"}).out, "parked"));
  expect_only("two");
  EXPECT_TRUE(program->ends_on_interrupt());
}

}  // namespace
}  // namespace harness
