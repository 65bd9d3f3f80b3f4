#include "cli/memory_groups.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "process/cgroup_tree_test.h"

namespace cohort::cli {
namespace {

constexpr std::uint64_t kMegabyte = 1 << 20;

RunOptions with_limits(std::uint64_t soft, std::optional<std::uint64_t> hard = {}) {
  RunOptions options;
  options.max_memory = soft * kMegabyte;
  if (hard) options.kill_memory = *hard * kMegabyte;
  return options;
}

// This process is alone in a group.
process::CgroupTree alone() { return process::CgroupTree{"/web", "memory", ::getpid()}; }

TEST(MemoryLimits, KillOrStopAWorkerButNeverSlowOneThatIsToBeReplaced) {
  const auto both = memory_limits(with_limits(512, 1024));
  EXPECT_EQ(both.memory_max, 1024 * kMegabyte);
  EXPECT_EQ(both.memory_high, std::nullopt) << "it dies at once, instead of standing still first";
  const auto soft = memory_limits(with_limits(512));
  EXPECT_EQ(soft.memory_high, 1024 * kMegabyte);
  EXPECT_EQ(soft.memory_max, std::nullopt) << "nobody asked for a kill";
  EXPECT_FALSE(memory_limits({}).any());
}

TEST(MemoryGroups, AreMadeBesideThisProcess) {
  auto tree = alone();
  MemoryGroups groups{tree};
  SpawnOptions spawn;
  EXPECT_EQ(groups.limit(with_limits(512, 1024), spawn), std::nullopt);
  EXPECT_EQ(spawn.cgroup_parent, "/cg/web");
  EXPECT_EQ(spawn.memory_max, 1024 * kMegabyte);
  EXPECT_EQ(spawn.memory_high, 0U);
  EXPECT_EQ(tree.directories("/cg/web"), std::vector<std::string>{"cohort-primary"})
      << "the one to try it with is gone";
  groups.end();
  EXPECT_TRUE(tree.directories("/cg/web").empty());
}

TEST(MemoryGroups, OfALimitThatIsGoneHaveNone) {
  auto tree = alone();
  MemoryGroups groups{tree};
  SpawnOptions first, second;
  groups.limit(with_limits(512, 1024), first);
  EXPECT_EQ(groups.limit({}, second), std::nullopt);
  EXPECT_EQ(second.memory_max, 0U);
  EXPECT_EQ(second.memory_high, 0U);
}

TEST(MemoryGroups, AreNotMadeOnceThereAreWorkersWithout) {
  auto tree = alone();
  MemoryGroups groups{tree};
  SpawnOptions first, second;
  EXPECT_EQ(groups.limit({}, first), std::nullopt);
  EXPECT_EQ(groups.limit(with_limits(512), second),
            "its workers run without; after `cohort restart` there may be some");
  EXPECT_EQ(groups.limit(with_limits(256), second), std::nullopt) << "said once";
  EXPECT_EQ(tree.changes, 0);
  for (const SpawnOptions& spawn : {first, second}) EXPECT_EQ(spawn.memory_max, std::nullopt);
}

TEST(MemoryGroups, ThatCannotBeSayWhyOnceAndLimitNothing) {
  auto tree = alone();
  tree.files["/cg/web/cgroup.procs"] += "1\n";
  MemoryGroups groups{tree};
  SpawnOptions spawn;
  EXPECT_EQ(groups.limit(with_limits(512), spawn), "another process is in its cgroup");
  EXPECT_EQ(groups.limit(with_limits(256), spawn), std::nullopt);
  EXPECT_EQ(spawn.memory_high, std::nullopt);
  EXPECT_EQ(spawn.cgroup_parent, "");
}

TEST(MemoryGroups, AreNotBegunIfAnyChangeIsRefused) {
  auto whole = alone();
  SpawnOptions ignored;
  MemoryGroups{whole}.limit(with_limits(512, 1024), ignored);
  for (int change = 0; change < whole.changes; ++change) {
    auto tree = alone();
    tree.fails_at = change;
    MemoryGroups groups{tree};
    SpawnOptions spawn;
    const auto why = groups.limit(with_limits(512, 1024), spawn);
    EXPECT_EQ(why.has_value(), !spawn.memory_max) << change;
    if (!why) continue;  // there is no swap; or it is of the end
    EXPECT_NE(why->find("/cg/web/"), std::string::npos) << *why;
    EXPECT_EQ(spawn.cgroup_parent, "");
    EXPECT_TRUE(tree.directories("/cg/web").empty()) << change;
    EXPECT_EQ(tree.where(), "/cg/web") << change;
  }
}

}  // namespace
}  // namespace cohort::cli
