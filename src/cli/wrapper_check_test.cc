#include "cli/wrapper_check.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "base/sys.h"

namespace cohort::cli {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Pids = std::vector<pid_t>;
using Words = std::vector<std::string>;

TEST(ParseChildren, ReadsPidsBetweenBlanks) {
  EXPECT_EQ(parse_children("12 34 567 "), (Pids{12, 34, 567}));
  EXPECT_EQ(parse_children("12\n"), Pids{12});
  EXPECT_TRUE(parse_children("").empty());
}

TEST(ParseChildren, LeavesOutWhatIsNoPid) {
  EXPECT_EQ(parse_children("x 7 -3 0 99999999999999 8"), (Pids{7, 8}));
}

TEST(ParseSocketLink, KnowsSocketsOnly) {
  EXPECT_EQ(parse_socket_link("socket:[4711]"), 4711U);
  EXPECT_FALSE(parse_socket_link("pipe:[4711]"));
  EXPECT_FALSE(parse_socket_link("/dev/null"));
  EXPECT_FALSE(parse_socket_link("socket:[]"));
  EXPECT_FALSE(parse_socket_link("socket:[47x]"));
  EXPECT_FALSE(parse_socket_link(""));
}

constexpr const char* kTcp =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
    "inode\n"
    "   0: 00000000:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 "
    "555 1 0000000000000000 100 0 0 10 0\n"
    "   1: 0100007F:0BB9 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 "
    "556 1 0000000000000000 20 4 30 10 -1\n";
constexpr const char* kTcp6 =
    "  sl  local_address                         remote_address                        st tx_queue "
    "rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    "   0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A "
    "00000000:00000000 00:00000000 00000000     0        0 777 1 0000000000000000 100 0 0 10 0\n";

TEST(ParseListening, FindsThePortsOfListeningSockets) {
  EXPECT_EQ(parse_listening(kTcp), (std::map<std::uint64_t, std::uint16_t>{{555, 3000}}));
  EXPECT_EQ(parse_listening(kTcp6), (std::map<std::uint64_t, std::uint16_t>{{777, 8080}}));
}

TEST(ParseListening, BrokenLinesAreLeftOut) {
  EXPECT_TRUE(parse_listening("").empty());
  EXPECT_TRUE(parse_listening("\n\nx\n").empty());
  EXPECT_TRUE(parse_listening("0: nocolon x 0A q t r u o 12").empty());
  EXPECT_TRUE(parse_listening("0: 0:XYZ x 0A q t r u o 12").empty());
  EXPECT_TRUE(parse_listening("0: 0:0BB8 x 0A q t r u o").empty());
}

TEST(Suggestion, LeavesNodeAway) {
  const PortHolder holder{.words = {"/usr/bin/node", "server.js", "--port", "1"},
                          .directory = "/app"};
  EXPECT_EQ(suggestion(holder, "/app"), "cohort run server.js --port 1");
}

TEST(Suggestion, GoesWhereTheProgramRuns) {
  const PortHolder holder{.words = {"node", "x.js"}, .directory = "/app/api"};
  EXPECT_EQ(suggestion(holder, "/app"), "cd api && cohort run x.js");
  EXPECT_EQ(suggestion(holder, "/other"), "cd /app/api && cohort run x.js");
}

TEST(Suggestion, KeepsAnotherProgram) {
  const PortHolder holder{.words = {"./server", "-v"}, .directory = "/app"};
  EXPECT_EQ(suggestion(holder, "/app"), "cohort run ./server -v");
}

TEST(Suggestion, KeepsTheOptionsOfNode) {
  const PortHolder holder{.words = {"/usr/bin/node", "--import", "x", "a.js"}, .directory = "/a"};
  EXPECT_EQ(suggestion(holder, "/a"), "cohort run node --import x a.js");
  EXPECT_FALSE(suggestion({.words = {"node"}, .directory = "/a"}, "/a"));
  EXPECT_FALSE(suggestion({}, "/a"));
}

TEST(Suggestion, LeavesOutWhatTsxAdds) {
  const PortHolder holder{
      .words = {"/usr/bin/node", "--require", "/a/node_modules/tsx/dist/preflight.cjs", "--import",
                "file:///a/node_modules/tsx/dist/loader.mjs", "app.ts", "3000"},
      .directory = "/a"};
  EXPECT_EQ(suggestion(holder, "/a"), "cohort run app.ts 3000");
}

/// A small /proc: `process(10, {11})` is a process with one child.
class FakeProc : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "cohort_proc_XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  void TearDown() override { fs::remove_all(root_); }

  void write(const fs::path& path, std::string_view text) {
    fs::create_directories(path.parent_path());
    std::ofstream{path} << text;
  }
  void process(pid_t pid, const std::string& children, const char* socket = nullptr) {
    const fs::path path = root_ / std::to_string(pid);
    write(path / "task" / std::to_string(pid) / "children", children);
    write(path / "cmdline", std::string_view{"/usr/bin/node\0s.js\0", 19});
    write(path / "net/tcp", kTcp);
    write(path / "net/tcp6", kTcp6);
    fs::create_directories(path / "fd");
    fs::create_symlink("/dev/null", path / "fd/0");
    fs::create_symlink("/app", path / "cwd");
    if (socket != nullptr) fs::create_symlink(socket, path / "fd/20");
  }

  fs::path root_;
};

TEST_F(FakeProc, ADescendantThatListensIsFound) {
  process(10, "11 ");
  process(11, "12 ");
  process(12, "", "socket:[555]");
  const auto found = find_listeners(10, root_);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].pid, 12);
  EXPECT_EQ(found[0].port, 3000);
  EXPECT_FALSE(found[0].is_worker);
  EXPECT_EQ(found[0].words, (Words{"/usr/bin/node", "s.js"}));
  EXPECT_EQ(found[0].directory, "/app");
}

TEST_F(FakeProc, TheWorkerItselfIsFoundFirst) {
  process(10, "11 ", "socket:[777]");
  process(11, "", "socket:[555]");
  const auto found = find_listeners(10, root_);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_TRUE(found[0].is_worker);
  EXPECT_EQ(found[0].port, 8080);
  EXPECT_EQ(found[1].pid, 11);
}

TEST_F(FakeProc, ChildrenOfEveryThreadAreSeen) {
  process(10, "");
  write(root_ / "10/task/15/children", "11 ");
  process(11, "", "socket:[555]");
  EXPECT_EQ(find_listeners(10, root_).size(), 1U);
}

TEST_F(FakeProc, ConnectedSocketsAndOthersAreNotListeners) {
  process(10, "11 12 ", "socket:[556]");  // 556 is connected; 12 is gone
  process(11, "", "socket:[999]");        // of another kind
  EXPECT_TRUE(find_listeners(10, root_).empty());
  EXPECT_TRUE(find_listeners(4242, root_).empty());
}

TEST_F(FakeProc, ALongTableIsReadInPieces) {
  process(10, "", "socket:[555]");
  std::string table;
  for (int i = 0; i < 200; ++i) table += "0: 0:0001 0:0 06 q t r u o 0 and so on, with padding\n";
  write(root_ / "10/net/tcp", table + kTcp + table);
  const auto found = find_listeners(10, root_);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].port, 3000);
}

TEST_F(FakeProc, ACircleEnds) {
  process(10, "11 ");
  process(11, "10 11 ");
  EXPECT_TRUE(find_listeners(10, root_).empty());
}

TEST(FindListeners, SeesTheSocketOfARealChild) {
  OwnFd ends[2];
  ASSERT_EQ(sys::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const OwnFd socket = sys::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (sys::bind(socket.get(), reinterpret_cast<sockaddr*>(&any), sizeof any) != 0 ||
        sys::listen(socket.get(), 1) != 0)
      ::_exit(1);
    socklen_t size = sizeof any;
    sockaddr_storage bound{};
    sys::getsockname(socket.get(), bound, size);
    const std::uint16_t port = ntohs(reinterpret_cast<sockaddr_in&>(bound).sin_port);
    sys::write(ends[1].get(), &port, sizeof port);
    ::pause();
    ::_exit(0);
  }
  ASSERT_GT(child, 0);
  ends[1].reset();
  std::uint16_t port = 0;
  ASSERT_EQ(sys::read(ends[0].get(), &port, sizeof port), static_cast<ssize_t>(sizeof port));
  const auto found = find_listeners(::getpid());
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].pid, child);
  EXPECT_EQ(found[0].port, port);
  EXPECT_EQ(found[0].directory, fs::current_path());
}

class Judge : public testing::Test {
 protected:
  using Seen = WrapperJudge::Seen;
  std::vector<Seen> wrapper(int worker = 1, pid_t pid = 20) {
    return {{worker, {{.pid = pid, .port = 3000}}}};
  }
  std::vector<Seen> own_listener() { return {{1, {{.pid = 10, .port = 3000, .is_worker = true}}}}; }

  WrapperJudge judge_;
  WrapperJudge::TimePoint start_{};
};

TEST_F(Judge, AHelperThatListensGetsTimeBeforeItIsTakenForTheServer) {
  EXPECT_FALSE(judge_.judge(wrapper(), start_));
  EXPECT_FALSE(judge_.judge(wrapper(), start_ + 4s));
  ASSERT_TRUE(judge_.judge(wrapper(), start_ + 5s));
}

TEST_F(Judge, ASiblingThatDiedMakesItCertainSooner) {
  EXPECT_FALSE(judge_.judge(wrapper(), start_));
  judge_.died_early();
  EXPECT_FALSE(judge_.judge(wrapper(), start_ + 900ms));
  const auto holder = judge_.judge(wrapper(), start_ + 1s);
  ASSERT_TRUE(holder);
  EXPECT_EQ(holder->pid, 20);
}

TEST_F(Judge, AnotherProcessStartsTheClockAnew) {
  judge_.died_early();
  EXPECT_FALSE(judge_.judge(wrapper(1, 20), start_));
  EXPECT_FALSE(judge_.judge(wrapper(2, 21), start_ + 1s));
  EXPECT_FALSE(judge_.judge(wrapper(1, 20), start_ + 2s));
  EXPECT_TRUE(judge_.judge(wrapper(1, 20), start_ + 3s));
}

TEST_F(Judge, AProgramThatBindsByItselfIsInTheWayOnlyOfThoseThatDie) {
  EXPECT_FALSE(judge_.judge(own_listener(), start_));
  EXPECT_FALSE(judge_.judge(own_listener(), start_ + 60s));
  judge_.died_early();
  EXPECT_FALSE(judge_.judge(own_listener(), start_ + 61s));
  judge_.died_early();
  EXPECT_TRUE(judge_.judge(own_listener(), start_ + 62s));
}

TEST_F(Judge, WhoHoldsThePortAtTheLastTryIsInTheWay) {
  for (int i = 0; i < 4; ++i) judge_.died_early();
  EXPECT_FALSE(judge_.judge(own_listener(), start_)) << "seen for the first time";
  judge_.died_early();
  EXPECT_TRUE(judge_.judge(own_listener(), start_ + 1ms)) << "the cluster gives up now";
}

TEST_F(Judge, WorkersThatShareAPortByThemselvesAreLeftAlone) {
  const std::vector<Seen> both{{1, {{.pid = 20, .port = 3000}}}, {2, {{.pid = 21, .port = 3000}}}};
  judge_.died_early();
  judge_.died_early();
  EXPECT_FALSE(judge_.judge(both, start_));
  EXPECT_FALSE(judge_.judge(both, start_ + 60s));
}

// The others of them may have been told to end: by a scale, or a reload.
TEST_F(Judge, OfThoseThatSharedAPortTheLastIsNotInTheWay) {
  const std::vector<Seen> both{{1, {{.pid = 10, .port = 3000, .is_worker = true}}},
                               {2, {{.pid = 21, .port = 3000, .is_worker = true}}}};
  EXPECT_FALSE(judge_.judge(both, start_));
  for (int i = 0; i < 5; ++i) judge_.died_early();
  EXPECT_FALSE(judge_.judge(own_listener(), start_ + 60s));
}

TEST_F(Judge, NothingSeenIsNoVerdict) {
  judge_.died_early();
  EXPECT_FALSE(judge_.judge({}, start_));
  EXPECT_FALSE(judge_.judge({{1, {}}}, start_ + 60s));
}

}  // namespace
}  // namespace cohort::cli
