#include "process/tree.h"

#include <gtest/gtest.h>

#include <csignal>

#include "base/sys.h"
#include "process/child_fixture_test.h"
#include "process/helpers_test.h"

namespace cohort::process {
namespace {

class Tree : public ChildTest {};

TEST_F(Tree, OfAProcessThatIsGoneIsEmpty) {
  const auto child = spawn(program_request("true"));
  ASSERT_TRUE(child);
  wait_exit(*child);
  EXPECT_TRUE(children_of(child->pid).empty());
  EXPECT_EQ(signal_tree(child->pid, SIGKILL), 0U);
}

TEST_F(Tree, IsSignalledToItsLeavesAndGoesOnWhereItHandlesThat) {
  OwnFd ends[2];
  ASSERT_EQ(sys::pipe(ends), 0);
  // Each level handles USR1; the leaf ends with it, and so the others one after another.
  const std::string level = "trap 'echo $0 >&1' USR1; ";
  SpawnRequest request = program_request(
      "sh", {"-c",
             level + "sh -c \"$LEAF\" leaf & echo ready; while kill -0 $! 2>/dev/null; do wait; "
                     "done; exit 3",
             "root"});
  request.env.emplace_back("LEAF=" + level +
                           "trap 'echo leaf; exit' USR1; echo ready; while :; do sleep 0.01; done");
  request.fds = {-1, ends[1].get(), 2};
  const auto child = spawn(request);
  ASSERT_TRUE(child) << child.error();
  ends[1].reset();
  EXPECT_EQ(read_line(ends[0].get()), "ready");
  EXPECT_EQ(read_line(ends[0].get()), "ready");
  EXPECT_FALSE(children_of(child->pid).empty());
  EXPECT_GE(signal_tree(child->pid, SIGUSR1), 2U);
  const std::string text = read_all(ends[0].get());
  EXPECT_NE(text.find("root"), std::string::npos) << text;
  EXPECT_NE(text.find("leaf"), std::string::npos) << text;
  EXPECT_EQ(wait_exit(*child).code(), 3);
  end_orphans();
}

TEST_F(Tree, IsSignalledOnceWhereTheCallerRemembersWhoWas) {
  OwnFd ends[2];
  ASSERT_EQ(sys::pipe(ends), 0);
  SpawnRequest request = program_request("sh", {"-c", "sleep 600 & echo ready; wait"});
  request.fds = {-1, ends[1].get(), 2};
  const auto child = spawn(request);
  ASSERT_TRUE(child) << child.error();
  EXPECT_EQ(read_line(ends[0].get()), "ready");
  std::set<pid_t> reached;
  EXPECT_EQ(signal_tree(child->pid, SIGWINCH, &reached), 2U);
  EXPECT_EQ(reached.size(), 2U);
  EXPECT_TRUE(reached.contains(child->pid));
  EXPECT_EQ(signal_tree(child->pid, SIGWINCH, &reached), 0U);
  EXPECT_EQ(signal_tree(child->pid, SIGKILL), 2U);
  wait_exit(*child);
  end_orphans();
}

TEST_F(Tree, NoneSurvivesWhileItForksAsFastAsItCan) {
  OwnFd ends[2];
  ASSERT_EQ(sys::pipe(ends), 0);
  SpawnRequest request = program_request(
      "sh", {"-c", "echo ready; while :; do sh -c 'sleep 0.05 & sleep 0.05'; done"});
  request.fds = {-1, ends[1].get(), 2};
  for (int i = 0; i < 5; ++i) {
    const auto child = spawn(request);
    ASSERT_TRUE(child) << child.error();
    EXPECT_EQ(read_line(ends[0].get()), "ready");
    EXPECT_GE(signal_tree(child->pid, SIGKILL), 1U);
    EXPECT_EQ(wait_exit(*child).signal(), SIGKILL);
  }
  ends[1].reset();
  EXPECT_EQ(read_all(ends[0].get()), "") << "its end comes when the last one is gone";
  end_orphans();  // dead ones, for us to reap
}

}  // namespace
}  // namespace cohort::process
