#include "process/child_watch.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <csignal>
#include <list>

#include "base/sys.h"
#include "process/helpers_test.h"

namespace cohort::process {
namespace {

using namespace std::chrono_literals;

class ChildWatchTest : public ::testing::Test {
 protected:
  Child start(const SpawnRequest& request) {
    auto child = spawn(request);
    EXPECT_TRUE(child) << child.error();
    return child ? std::move(*child) : Child{};
  }
  Child exiting(int code) {
    return start(program_request("sh", {"-c", "exit " + std::to_string(code)}));
  }
  Child sleeping() { return start(program_request("sleep", {"100"})); }

  boost::asio::io_context io_{1};
  Loop loop_{io_, io_.get_executor()};
};

TEST_F(ChildWatchTest, ReportsTheEndOnceAndLetsTheLoopEnd) {
  std::vector<Exit> exits;
  ChildWatch watch{loop_, exiting(3), [&](const Exit& exit) { exits.push_back(exit); }};
  EXPECT_TRUE(watch.alive());
  const pid_t pid = watch.pid();
  EXPECT_GT(pid, 0);
  io_.run_for(30s);
  ASSERT_EQ(exits.size(), 1U);
  EXPECT_EQ(exits[0].code(), 3);
  EXPECT_GT(exits[0].peak_memory_bytes(), 0U);
  EXPECT_FALSE(watch.alive());
  EXPECT_EQ(watch.pid(), pid);
  EXPECT_TRUE(io_.stopped()) << "nothing keeps the loop running";
}

TEST_F(ChildWatchTest, SignalsTheChildUntilItIsReaped) {
  std::optional<Exit> exit;
  ChildWatch watch{loop_, sleeping(), [&](const Exit& end) { exit = end; }};
  EXPECT_TRUE(watch.signal(0));
  EXPECT_FALSE(watch.signal(1000));
  EXPECT_TRUE(watch.signal(SIGTERM));
  io_.run_for(30s);
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->signal(), SIGTERM);
  const auto late = watch.signal(SIGTERM);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code.value(), ESRCH);
  EXPECT_EQ(late.error().message(),
            "kill " + std::to_string(watch.pid()) + " with SIGTERM: no such process");
}

TEST_F(ChildWatchTest, MarksAllThatDiedBeforeItCallsBack) {
  std::list<ChildWatch> watches;
  int alive_seen = 0;
  int called = 0;
  const auto count = [&](const Exit&) {
    ++called;
    for (const ChildWatch& watch : watches) alive_seen += watch.alive();
  };
  for (int i = 0; i < 8; ++i) {
    Child child = exiting(0);
    ASSERT_TRUE(ends_within(child.pidfd.get(), 30s));
    watches.emplace_back(loop_, std::move(child), count);
  }
  io_.run_for(30s);
  EXPECT_EQ(called, 8);
  EXPECT_EQ(alive_seen, 0);
}

TEST_F(ChildWatchTest, SeesEveryEndOfMany) {
  std::list<ChildWatch> watches;
  int sum = 0;
  for (int i = 0; i < 100; ++i)
    watches.emplace_back(loop_, exiting(i), [&](const Exit& exit) { sum += exit.code(); });
  io_.run_for(60s);
  EXPECT_EQ(sum, 99 * 100 / 2);
}

TEST_F(ChildWatchTest, MayBeDestroyedByItsCallback) {
  std::unique_ptr<ChildWatch> watch;
  const std::string large_capture(100, 'x');  // still readable afterwards
  std::string seen;
  watch = std::make_unique<ChildWatch>(loop_, exiting(0), [&, large_capture](const Exit&) {
    watch.reset();
    seen = large_capture;
  });
  io_.run_for(30s);
  EXPECT_EQ(seen, large_capture);
}

// Asio reports a descriptor as ready whose predecessor was, when both fall into one turn.
TEST_F(ChildWatchTest, AWakeUpThatWasForAnotherDoesNotReachALivingChildsGroup) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  const OwnFd writer{ends[1]};
  ASSERT_EQ(::write(ends[1], "x", 1), 1);
  Watch first{loop_, OwnFd{ends[0]}};
  Child ended = exiting(0);
  ASSERT_TRUE(ends_within(ended.pidfd.get(), 30s));
  const pid_t unreaped = ended.pid;
  auto replaced = std::make_unique<ChildWatch>(loop_, std::move(ended), [](const Exit&) {});
  SpawnRequest request = program_request("sleep", {"100"});
  request.new_session = true;
  std::unique_ptr<ChildWatch> living;
  bool called = false;
  first.wait_readable([&] {
    replaced.reset();
    living = std::make_unique<ChildWatch>(
        loop_, start(request), [&](const Exit&) { called = true; }, ChildWatch::Ends::WithItsGroup);
  });
  io_.run_for(300ms);
  EXPECT_FALSE(called) << "the child that lives was sent TERM";
  living->kill_and_reap();
  EXPECT_EQ(::waitpid(unreaped, nullptr, 0), unreaped);
}

TEST_F(ChildWatchTest, DestroyedFirstDoesNotCallBack) {
  Child child = sleeping();
  const OwnFd pidfd = sys::duplicate(child.pidfd.get());
  const pid_t pid = child.pid;
  bool called = false;
  auto watch =
      std::make_unique<ChildWatch>(loop_, std::move(child), [&](const Exit&) { called = true; });
  watch->signal(SIGKILL).value();
  ASSERT_TRUE(ends_within(pidfd.get(), 30s));
  watch.reset();
  io_.run_for(30s);
  EXPECT_FALSE(called);
  EXPECT_EQ(::waitpid(pid, nullptr, 0), pid) << "it was not reaped";
}

TEST_F(ChildWatchTest, DestroyedKillsAChildThatDiesWithItsParent) {
  SpawnRequest request = program_request("sleep", {"100"});
  request.die_with_parent = true;
  Child child = start(request);
  const pid_t pid = child.pid;
  {
    const ChildWatch watch{loop_, std::move(child), [](const Exit&) {}};
  }
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFSIGNALED(status));
  io_.run_for(30s);
}

TEST_F(ChildWatchTest, ReportsAnEndWhoseStatusSomebodyElseTook) {
  Child child = exiting(0);
  ASSERT_EQ(::waitpid(child.pid, nullptr, 0), child.pid);
  std::optional<Exit> exit;
  ChildWatch watch{loop_, std::move(child), [&](const Exit& end) { exit = end; }};
  io_.run_for(30s);
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->code(), Exit::kUnknownCode);
  EXPECT_EQ(exit->cause(), ExitCause::ReapedByOther);
}

TEST_F(ChildWatchTest, ReportsAnEndWhoseStatusNobodyGetsAsSigchldIsIgnored) {
  struct sigaction ignore{}, before{};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGCHLD, &ignore, &before);
  std::optional<Exit> exit;
  ChildWatch watch{loop_, exiting(3), [&](const Exit& end) { exit = end; }};
  io_.run_for(30s);
  ::sigaction(SIGCHLD, &before, nullptr);
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->code(), Exit::kUnknownCode);
  EXPECT_EQ(exit->cause(), ExitCause::SigchldIgnored);
}

}  // namespace
}  // namespace cohort::process
