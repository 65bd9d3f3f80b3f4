#include "process/cgroup_home.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "base/read_file.h"
#include "process/cgroup_tree_test.h"
#include "process/helpers_test.h"

namespace cohort::process {
namespace {

constexpr pid_t kSelf = CgroupTree::kSelf;

Result<CgroupPlan> plan_of(CgroupTree& tree) { return plan_cgroups(tree, kSelf, "memory"); }

std::string why_not(CgroupTree& tree) {
  const auto plan = plan_of(tree);
  return plan ? "it may" : plan.error().detail;
}

TEST(CgroupPlan, OneThatIsAloneMovesIntoAGroupBelow) {
  CgroupTree tree{"/pod/app"};
  EXPECT_EQ(plan_of(tree).value(), (CgroupPlan{"/cg/pod/app", true}));
  EXPECT_EQ(tree.changes, 0) << "a plan changes nothing";
}

TEST(CgroupPlan, NobodyMovesWhereOneIsInTheLeafOrInTheRoot) {
  CgroupTree leaf{"/pod/cohort-primary"};
  leaf.files["/cg/pod/cohort-primary/cgroup.procs"] += "8\n";  // its parent, or a brother
  EXPECT_EQ(plan_of(leaf).value(), (CgroupPlan{"/cg/pod", false}));
  CgroupTree root{"/"};
  root.files["/cg/cgroup.procs"] += "1\n2\n";
  EXPECT_EQ(plan_of(root).value(), (CgroupPlan{"/cg", false}));
}

TEST(CgroupPlan, OthersInTheGroupAreInTheWay) {
  CgroupTree tree;
  tree.files["/cg/group/cgroup.procs"] += "8\n";
  EXPECT_EQ(why_not(tree), "another process is in its cgroup");
  EXPECT_EQ(plan_of(tree).error().code.value(), EBUSY);
  tree.files["/cg/group/cgroup.procs"] += "0\n";  // which this namespace does not see
  EXPECT_EQ(why_not(tree), "2 other processes are in its cgroup");
  tree.files.erase("/cg/group/cgroup.procs");
  EXPECT_EQ(why_not(tree), "who is in its cgroup cannot be read");
}

TEST(CgroupPlan, WhatTheKernelDoesNotHaveIsSaid) {
  CgroupTree tree{"/group", "cpu pids"};
  EXPECT_EQ(why_not(tree), "its cgroup (v2) has no memory controller");
  EXPECT_EQ(plan_of(tree).error().code.value(), ENOENT);
  tree.files["/cg/group/cgroup.controllers"] = "hugememory memory2";
  EXPECT_EQ(why_not(tree), "its cgroup (v2) has no memory controller") << "the whole name counts";
  tree.files["/proc/self/mountinfo"] = "33 31 0:35 / /cg/memory rw - cgroup cgroup rw,memory\n";
  EXPECT_EQ(why_not(tree), "there are no cgroups (v2) here");
}

TEST(CgroupPlan, OneThatMayNotBeWrittenIsLeftAlone) {
  CgroupTree tree;
  tree.read_only = true;
  EXPECT_EQ(why_not(tree), "its cgroup cannot be written: Read-only file system");
  EXPECT_EQ(plan_of(tree).error().code.value(), EROFS);
}

TEST(CgroupPlan, OfAUnitOfSystemdOnlyWhatWasDelegated) {
  for (const std::string name : {"/web.service", "/run-u1.scope"}) {
    CgroupTree tree{name};
    EXPECT_EQ(why_not(tree), "systemd has not delegated its cgroup");
    EXPECT_EQ(plan_of(tree).error().code.value(), EPERM);
    for (const char* mark : {"user.delegate", "trusted.delegate"}) {
      tree.files["/cg" + name + '#' + mark] = "1";
      EXPECT_TRUE(plan_of(tree).has_value()) << mark;
      tree.files.erase("/cg" + name + '#' + mark);
    }
  }
}

TEST(CgroupHome, MovesOnlyThisProcessAndGoesBack) {
  CgroupTree tree{"/web"};
  const auto before = tree.all();
  {
    const auto home = CgroupHome::make(tree, kSelf, "memory").value();
    EXPECT_EQ(home->parent(), "/cg/web");
    EXPECT_EQ(tree.where(), "/cg/web/cohort-primary");
    EXPECT_EQ(tree.files["/cg/web/cgroup.subtree_control"], "memory");
    const auto group = ChildCgroup::make(tree, home->parent(), {.memory_max = 4096});
    EXPECT_TRUE(group) << group.error();
  }
  EXPECT_EQ(tree.where(), "/cg/web");
  EXPECT_EQ(tree.files["/cg/web/cgroup.subtree_control"], "");
  EXPECT_EQ(tree.all(), before);
}

TEST(CgroupHome, WhoseParentMovedLeavesWhatThatOneDid) {
  CgroupTree tree{"/web"};
  const auto outer = CgroupHome::make(tree, kSelf, "memory").value();
  {
    const auto inner = CgroupHome::make(tree, kSelf, "memory").value();
    EXPECT_EQ(inner->parent(), "/cg/web");
  }
  EXPECT_EQ(tree.where(), "/cg/web/cohort-primary");
  EXPECT_EQ(tree.files["/cg/web/cgroup.subtree_control"], "memory");
}

TEST(CgroupHome, AfterAFailureAllIsAsItWas) {
  CgroupTree whole{"/web"};
  const int changes = [&] {
    const auto home = CgroupHome::make(whole, kSelf, "memory");
    return whole.changes;
  }();
  EXPECT_EQ(changes, 3) << "make the leaf, enter it, enable the controller";
  for (int change = 0; change < changes; ++change) {
    CgroupTree tree{"/web"};
    const auto before = tree.all();
    tree.fails_at = change;
    const auto home = CgroupHome::make(tree, kSelf, "memory");
    ASSERT_FALSE(home) << change;
    EXPECT_EQ(home.error().code.value(), EACCES);
    EXPECT_EQ(tree.where(), "/cg/web");
    EXPECT_EQ(tree.all(), before);
    EXPECT_EQ(tree.files["/cg/web/cgroup.subtree_control"], "");
  }
}

TEST(CgroupHome, RemovesWhatDeadProcessesLeftAndNothingElse) {
  CgroupTree tree{"/web"};
  tree.files["/proc/9/stat"] = "9 (cohort) S";
  for (const char* name :
       {"cohort-primary", "cohort-8-1", "cohort-8-2", "cohort-9-1", "cohort-7-4", "mine"})
    tree.add(std::string{"/cg/web/"} + name, "");
  tree.files["/cg/web/cohort-8-2/cgroup.procs"] = "12\n";
  const auto home = CgroupHome::make(tree, kSelf, "memory").value();
  EXPECT_EQ(tree.directories("/cg/web"),
            (std::vector<std::string>{"cohort-8-2", "cohort-9-1", "cohort-primary", "mine"}));
  tree.files["/cg/web/cohort-8-2/cgroup.procs"] = "";
  home->sweep();
  EXPECT_EQ(tree.directories("/cg/web"),
            (std::vector<std::string>{"cohort-9-1", "cohort-primary", "mine"}));
}

// The kernel's, with a controller that suffers no inner processes, as `memory` does: `hugetlb`
// where the others are in the old hierarchy. This process goes into a group of its own for it.
class RealCgroup : public testing::Test {
 protected:
  void SetUp() override {
    const auto own = own_cgroup(read_file("/proc/self/cgroup").value_or(""),
                                read_file("/proc/self/mountinfo").value_or(""));
    if (!own) GTEST_SKIP() << "there are no cgroups (v2) here";
    from_ = *own;
    // One at a time: each gives the controller back.
    turn_ = sys::open(from_.c_str(), O_RDONLY | O_DIRECTORY);
    ASSERT_EQ(::flock(turn_.get(), LOCK_EX), 0);
    const std::string controllers = ' ' + read_file(from_ + "/cgroup.controllers").value_or("");
    for (const char* name : {"memory", "hugetlb", "io", "rdma"})
      if (controllers.find(std::string{' '} + name) != std::string::npos) controller_ = name;
    if (controller_.empty()) GTEST_SKIP() << "cgroup v2 has no controller of this kind here";
    shares_ = read_file(from_ + "/cgroup.subtree_control").value_or("").find(controller_) !=
              std::string::npos;
    std::ignore = files_.write(from_ + "/cgroup.subtree_control", '+' + controller_);
    group_ = from_ + "/cohort-test-" + std::to_string(::getpid());
    if (!files_.make_directory(group_)) GTEST_SKIP() << "no cgroup can be made in " << from_;
    if (read_file(group_ + "/cgroup.controllers").value_or("").find(controller_) ==
        std::string::npos)
      GTEST_SKIP() << controller_ << " cannot be enabled in " << from_;
    if (!files_.write(group_ + "/cgroup.procs", "0")) GTEST_SKIP() << "no group can be entered";
  }
  void TearDown() override {
    if (group_.empty()) return;
    std::ignore = files_.write(from_ + "/cgroup.procs", "0");
    EXPECT_TRUE(files_.remove_directory(group_)) << "something is left in " << group_;
    if (!shares_) std::ignore = files_.write(from_ + "/cgroup.subtree_control", '-' + controller_);
  }
  std::string read(const std::string& name) const { return read_file(group_ + name).value_or("?"); }

  CgroupFiles& files_ = CgroupFiles::system();
  std::string from_, group_, controller_;
  bool shares_ = false;  // before
  OwnFd turn_;
};

TEST_F(RealCgroup, IsMovedOutOfUsedAndGivenBack) {
  const std::string self = std::to_string(::getpid()) + '\n';
  ASSERT_EQ(read("/cgroup.procs"), self);
  EXPECT_FALSE(files_.write(group_ + "/cgroup.subtree_control", '+' + controller_))
      << "what it is for: no inner processes";
  {
    const auto home = CgroupHome::make(files_, ::getpid(), controller_);
    ASSERT_TRUE(home) << home.error();
    EXPECT_EQ((*home)->parent(), group_);
    EXPECT_EQ(read("/cohort-primary/cgroup.procs"), self);
    EXPECT_EQ(read("/cgroup.subtree_control"), controller_ + '\n');

    auto group = ChildCgroup::make(files_, group_, {});
    ASSERT_TRUE(group) << group.error();
    SpawnRequest request = program_request("cat", {"/proc/self/cgroup"});
    request.cgroup_procs = (*group)->procs();
    const std::string name = (*group)->path().substr(group_.size());
    EXPECT_NE(run(std::move(request)).text.find(name), std::string::npos);

    // As after SIGKILL: a group whose object is not there, of a process that is no more.
    const Child dead = spawn(program_request("true")).value();
    const std::string left = group_ + "/cohort-" + std::to_string(dead.pid) + "-1";
    ASSERT_TRUE(files_.make_directory(left));
    wait_exit(dead);
    (*home)->sweep();
    EXPECT_EQ(files_.directories(group_), std::vector<std::string>{"cohort-primary"});
  }
  EXPECT_EQ(read("/cgroup.procs"), self);
  EXPECT_EQ(read("/cgroup.subtree_control"), "");
  EXPECT_TRUE(files_.directories(group_).empty());
}

TEST_F(RealCgroup, InWhichAnotherLivesIsLeftAlone) {
  OwnFd ends[2];
  ASSERT_EQ(sys::pipe(ends), 0);
  SpawnRequest request = program_request("cat");
  request.fds = {ends[0].get()};
  const Child other = spawn(request).value();
  ends[0].reset();
  const auto home = CgroupHome::make(files_, ::getpid(), controller_);
  ASSERT_FALSE(home);
  EXPECT_EQ(home.error().detail, "another process is in its cgroup");
  EXPECT_TRUE(files_.directories(group_).empty());
  ends[1].reset();
  wait_exit(other);
}

}  // namespace
}  // namespace cohort::process
