#include "base/parallelism.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <map>

#include "cohort/parallelism.h"

namespace cohort {
namespace {

using Files = std::map<std::string, std::string>;

std::optional<unsigned> limit(const Files& files) {
  return cgroup_cpu_limit([&](const std::string& path) -> std::optional<std::string> {
    const auto file = files.find(path);
    if (file == files.end()) return std::nullopt;
    return file->second;
  });
}

TEST(Parallelism, AUnifiedQuotaIsRoundedUp) {
  const auto quota = [](const char* text) {
    return limit({{"/proc/self/cgroup", "0::/\n"}, {"/sys/fs/cgroup/cpu.max", text}});
  };
  EXPECT_EQ(quota("200000 100000\n"), 2U);
  EXPECT_EQ(quota("150000 100000\n"), 2U);
  EXPECT_EQ(quota("1000 100000\n"), 1U);
}

TEST(Parallelism, NoQuotaIsNoLimit) {
  EXPECT_EQ(limit({}), std::nullopt);
  EXPECT_EQ(limit({{"/proc/self/cgroup", "0::/\n"}}), std::nullopt);
  for (const char* text : {"max 100000\n", "", "\n", "100000\n", "0 0\n", "1 0\n", "-5 100000\n",
                           "1e5 7\n", "100000 100000 1\n", "99999999999999999999 100000\n"})
    EXPECT_EQ(limit({{"/proc/self/cgroup", "0::/\n"}, {"/sys/fs/cgroup/cpu.max", text}}),
              std::nullopt)
        << text;
}

TEST(Parallelism, TheSmallestQuotaOfTheGroupsAboveCounts) {
  EXPECT_EQ(limit({{"/proc/self/cgroup", "0::/a.slice/b.service\n"},
                   {"/sys/fs/cgroup/a.slice/b.service/cpu.max", "800000 100000\n"},
                   {"/sys/fs/cgroup/a.slice/cpu.max", "300000 100000\n"}}),
            3U);
}

TEST(Parallelism, TheOldHierarchyIsReadToo) {
  const std::string groups = "5:memory:/m\n4:cpu,cpuacct:/docker/1a2b\n0::/docker/1a2b\n";
  // A container without a cgroup namespace: the path is the host's, the mount is the container's.
  EXPECT_EQ(limit({{"/proc/self/cgroup", groups},
                   {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "250000\n"},
                   {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"}}),
            3U);
  EXPECT_EQ(limit({{"/proc/self/cgroup", groups},
                   {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n"},
                   {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"}}),
            std::nullopt);
}

TEST(Parallelism, LinesThatAreNotGroupsArePassedOver) {
  EXPECT_EQ(limit({{"/proc/self/cgroup", "\n:\nnonsense\n1:cpuset:/x\n0::/\n"},
                   {"/sys/fs/cgroup/cpu.max", "100000 100000\n"}}),
            1U);
}

TEST(Parallelism, TheAffinityOfThisProcessLimits) {
  cpu_set_t before;
  ASSERT_EQ(::sched_getaffinity(0, sizeof before, &before), 0);
  EXPECT_LE(available_parallelism(), static_cast<unsigned>(CPU_COUNT(&before)));
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int cpu = 0; CPU_COUNT(&one) == 0; ++cpu)
    if (CPU_ISSET(cpu, &before)) CPU_SET(cpu, &one);
  ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
  EXPECT_EQ(available_parallelism(), 1U);
  ASSERT_EQ(::sched_setaffinity(0, sizeof before, &before), 0);
}

}  // namespace
}  // namespace cohort
