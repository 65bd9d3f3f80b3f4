#include "cli/worker_count.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "cli/options.h"

namespace cohort::cli {
namespace {

constexpr std::uint64_t kMega = 1 << 20;

void expect(const Resources& resources, std::optional<std::uint64_t> budget, unsigned count,
            const std::string& why) {
  const WorkerCount found = auto_count(resources, budget);
  EXPECT_EQ(found.count, count);
  EXPECT_EQ(found.why, why);
}

TEST(WorkerCount, IsTheSmallestOfWhatThereIs) {
  expect({.cpus = 8}, {}, 8, "one for each CPU");
  expect({.cpus = 8, .quota = 3}, {}, 3, "one for each CPU of the quota of its cgroup");
  expect({.cpus = 2, .quota = 3}, {}, 2, "one for each CPU");
  expect({.cpus = 8, .memory = 1000 * kMega}, {}, 8, "one for each CPU");
  expect({.cpus = 8, .quota = 4, .memory = 1000 * kMega}, 400 * kMega, 2,
         "as many as fit the 1000 MB of its cgroup, with --max-memory");
  expect({.cpus = 8, .memory = 100 * kMega}, 400 * kMega, 1,
         "as many as fit the 100 MB of its cgroup, with --max-memory");
  expect({.cpus = 2, .memory = 1000 * kMega}, 400 * kMega, 2, "one for each CPU");
}

TEST(WorkerCount, IsWhatWasAskedFor) {
  EXPECT_EQ(count_now({.workers = 7}).count, 7U);
  EXPECT_EQ(count_now({.workers = 7}).why, "as asked");
  EXPECT_GE(count_now({}).count, 1U);
}

TEST(CgroupMemory, IsTheSmallestLimitOfBothHierarchies) {
  std::map<std::string, std::string> files{
      {"/proc/self/cgroup", "4:memory:/docker/one\n0::/a/b\n"},
      {"/proc/self/mountinfo",
       "1 0 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
       "2 0 0:2 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"},
      {"/sys/fs/cgroup/a/b/memory.max", "max\n"},
  };
  const ReadFile read = [&](const std::string& path) -> std::optional<std::string> {
    const auto found = files.find(path);
    return found == files.end() ? std::nullopt : std::optional{found->second};
  };
  EXPECT_EQ(cgroup_memory_limit(read), std::nullopt);
  files["/sys/fs/cgroup/memory/docker/one/memory.limit_in_bytes"] = "9223372036854771712\n";
  EXPECT_EQ(cgroup_memory_limit(read), std::nullopt);
  files["/sys/fs/cgroup/a/memory.max"] = "1073741824\n";
  EXPECT_EQ(cgroup_memory_limit(read), 1073741824U);
  files["/sys/fs/cgroup/memory/docker/one/memory.limit_in_bytes"] = "536870912\n";
  EXPECT_EQ(cgroup_memory_limit(read), 536870912U);
}

}  // namespace
}  // namespace cohort::cli
