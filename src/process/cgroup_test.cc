#include "process/cgroup.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "process/cgroup_tree_test.h"
#include "process/child_fixture_test.h"

namespace cohort::process {
namespace {

// Of the changes that `make` makes: not every kernel has swap.
constexpr int kSwapChange = 3;

const CgroupLimits kLimits{
    .memory_max = 1 << 20, .memory_high = 1 << 19, .cpu_max = 1.5, .processes_max = 10};

// As if its own processes were elsewhere.
CgroupTree delegated() {
  CgroupTree tree;
  tree.enter("/cg");
  return tree;
}

TEST(ChildCgroup, HasTheLimitsAndGoesWithItsObject) {
  CgroupTree tree = delegated();
  auto group = ChildCgroup::make(tree, "/cg/group", kLimits);
  ASSERT_TRUE(group) << group.error();
  const std::string path = (*group)->path();
  EXPECT_TRUE(path.starts_with("/cg/group/cohort-" + std::to_string(::getpid()) + '-')) << path;
  EXPECT_EQ(tree.files["/cg/group/cgroup.subtree_control"], "cpu memory pids");
  EXPECT_EQ(tree.files[path + "/memory.max"], "1048576");
  EXPECT_EQ(tree.files[path + "/memory.high"], "524288");
  EXPECT_EQ(tree.files[path + "/memory.oom.group"], "1");
  EXPECT_EQ(tree.files[path + "/cpu.max"], "150000 100000");
  EXPECT_EQ(tree.files[path + "/pids.max"], "10");
  EXPECT_GE((*group)->procs(), 0);
  (*group)->joined();
  EXPECT_EQ((*group)->procs(), -1);
  EXPECT_TRUE(tree.all().contains(path));
  group->reset();
  EXPECT_FALSE(tree.all().contains(path));
}

TEST(ChildCgroup, OfMemoryHighAloneIsNotEnded) {
  CgroupTree tree = delegated();
  const auto group = ChildCgroup::make(tree, "/cg/group", {.memory_high = 4096}).value();
  EXPECT_EQ(tree.files["/cg/group/cgroup.subtree_control"], "memory");
  EXPECT_EQ(tree.files[group->path() + "/memory.high"], "4096");
  EXPECT_EQ(
      tree.files[group->path() + "/memory.max"] + tree.files[group->path() + "/memory.oom.group"],
      "");
}

TEST(ChildCgroup, KnowsThatTheKernelKilled) {
  CgroupTree tree = delegated();
  const auto group = ChildCgroup::make(tree, "/cg/group", {.memory_max = 1 << 20}).value();
  std::string& events = tree.files[group->path() + "/memory.events"];
  EXPECT_FALSE(group->out_of_memory());
  events = "low 0\nhigh 0\nmax 12\noom 1\noom_kill 0\n";
  EXPECT_FALSE(group->out_of_memory());
  events = "low 0\nhigh 0\nmax 12\noom 1\noom_kill 1\noom_group_kill 0\n";
  EXPECT_TRUE(group->out_of_memory());
  EXPECT_TRUE(group->kill());
  EXPECT_EQ(tree.files[group->path() + "/cgroup.kill"], "1");
}

TEST(ChildCgroup, SaysWhichFileRefused) {
  CgroupTree tree;  // with processes of its own
  auto group = ChildCgroup::make(tree, "/cg/group", kLimits);
  ASSERT_FALSE(group);
  EXPECT_NE(group.error().op.find("/memory.max"), std::string::npos) << group.error();
  EXPECT_NE(group.error().detail.find("cgroup_parent"), std::string::npos);
  EXPECT_EQ(tree.all().size(), 2U);
  group = ChildCgroup::make(tree, "", kLimits);
  EXPECT_NE(group.error().op.find("/cg/group/cohort-"), std::string::npos) << "it is its own";
  tree.files.erase("/proc/self/cgroup");
  group = ChildCgroup::make(tree, "", kLimits);
  EXPECT_EQ(group.error().op, "find the own cgroup");
}

TEST(ChildCgroup, LeavesNothingBehindWhicheverChangeFails) {
  CgroupTree whole = delegated();
  ASSERT_TRUE(ChildCgroup::make(whole, "/cg/group", kLimits));
  ASSERT_GT(whole.changes, 7);
  for (int change = 1; change < whole.changes; ++change) {
    CgroupTree tree = delegated();
    tree.fails_at = change;
    const auto group = ChildCgroup::make(tree, "/cg/group", kLimits);
    EXPECT_EQ(group.has_value(), change == kSwapChange) << change;
    if (group) continue;
    EXPECT_EQ(group.error().code.value(), EACCES) << change;
    EXPECT_EQ(tree.all().size(), 2U) << change;
  }
}

TEST(ChildCgroup, TakesAnotherNameWhereOneIsTaken) {
  CgroupTree tree = delegated();
  std::string last;
  {
    last = ChildCgroup::make(tree, "/cg/group", kLimits).value()->path();
  }
  const auto at = last.rfind('-') + 1;
  const auto next = [&](int by) {
    return last.substr(0, at) + std::to_string(std::stoi(last.substr(at)) + by);
  };
  tree.add(next(1), "");
  tree.add(next(2), "");
  EXPECT_EQ(ChildCgroup::make(tree, "/cg/group", kLimits).value()->path(), next(3));
}

TEST(ChildCgroup, SaysByItsNameWhoMadeIt) {
  EXPECT_EQ(maker_of("cohort-17-3"), 17);
  for (const char* other : {"cohort-primary", "cohort-17", "cohort--1", "cohort-0-1", "x-17-3", ""})
    EXPECT_EQ(maker_of(other), std::nullopt) << other;
}

TEST(ChildCgroup, IsMadeBelowOurOwn) {
  const std::string mounts =
      "24 30 0:22 / /proc rw - proc proc rw\n"
      "35 24 0:30 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
  EXPECT_EQ(own_cgroup("0::/user.slice/x.scope\n", mounts), "/sys/fs/cgroup/user.slice/x.scope");
  EXPECT_EQ(own_cgroup("4:memory:/a\n0::/\n", mounts), "/sys/fs/cgroup");
  EXPECT_EQ(own_cgroup("4:memory:/a\n", mounts), std::nullopt);
  EXPECT_EQ(own_cgroup("0::/x\n", "24 30 0:22 / /proc rw - proc proc rw\n"), std::nullopt);
  EXPECT_EQ(own_cgroup("0::/pod/a/b\n", "35 24 0:30 /pod/a /cg rw - cgroup2 cgroup2 rw\n"),
            "/cg/b");
}

class CgroupOption : public ChildTest {};

// Where this machine has one that we may use, or says so.
TEST_F(CgroupOption, TheRealOneHoldsTheChildOrTheErrorSaysWhy) {
  const auto child = cohort::spawn(io(), "sh", {"-c", "cat /proc/self/cgroup; sleep 600 & wait"},
                                   {.memory_max = 64 << 20});
  record(child);
  std::string text;
  child.stdout_().on_data([&](std::string_view data) {
    text += data;
    child.kill_tree();
  });
  run();
  if (child.pid() != 0) {
    EXPECT_NE(text.find("cohort-"), std::string::npos) << text;
    EXPECT_EQ(exits.at(0).signal(), SIGKILL);
    end_orphans();  // what it had started
  } else {
    EXPECT_EQ(events, (Strings{"error", "close"}));
    EXPECT_NE(errors.at(0).detail.find("cgroup_parent"), std::string::npos) << errors[0];
  }
}

}  // namespace
}  // namespace cohort::process
