#include "cli/memory_room.h"

#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <string>

namespace cohort::cli {
namespace {

class MemoryRoom : public testing::Test {
 protected:
  std::optional<std::uint64_t> room() const {
    return memory_room([this](const std::string& path) -> std::optional<std::string> {
      const auto found = files_.find(path);
      return found == files_.end() ? std::nullopt : std::optional{found->second};
    });
  }

  std::map<std::string, std::string> files_{
      {"/proc/meminfo", "MemTotal:  4000 kB\nMemFree:  10 kB\nMemAvailable:    3000 kB\n"},
      {"/proc/self/cgroup", "4:memory:/docker/one\n0::/a/b\n"},
      {"/proc/self/mountinfo",
       "1 0 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
       "2 0 0:2 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"}};
};

TEST_F(MemoryRoom, IsWhatTheMachineHasAvailable) {
  EXPECT_EQ(room(), 3000U * 1024);
  files_["/sys/fs/cgroup/a/b/memory.max"] = "max\n";
  files_["/sys/fs/cgroup/a/b/memory.current"] = "5000000\n";
  EXPECT_EQ(room(), 3000U * 1024);
}

TEST_F(MemoryRoom, IsWhatIsLeftOfTheCgroupOrOneAboveIt) {
  files_["/sys/fs/cgroup/a/memory.max"] = "1000000\n";
  files_["/sys/fs/cgroup/a/memory.current"] = "400000\n";
  EXPECT_EQ(room(), 600'000U);
  files_["/sys/fs/cgroup/a/memory.current"] = "1000001\n";
  EXPECT_EQ(room(), 0U) << "it is over its limit";
  files_["/sys/fs/cgroup/a/memory.stat"] = "anon 100\nfile 7\ninactive_file 900000\nx 1\n";
  EXPECT_EQ(room(), 899'999U) << "cached files are given back";
  files_["/sys/fs/cgroup/a/memory.stat"] = "inactive_file 9000000\n";
  EXPECT_EQ(room(), 1'000'000U) << "no more than there is";
}

TEST_F(MemoryRoom, IsThatOfTheOldHierarchyToo) {
  files_["/sys/fs/cgroup/memory/docker/one/memory.limit_in_bytes"] = "2000000\n";
  files_["/sys/fs/cgroup/memory/docker/one/memory.usage_in_bytes"] = "500000\n";
  EXPECT_EQ(room(), 1'500'000U);
  files_["/sys/fs/cgroup/memory/docker/one/memory.limit_in_bytes"] = "9223372036854771712\n";
  EXPECT_EQ(room(), 3000U * 1024) << "no limit";
}

TEST_F(MemoryRoom, IsNotKnownWithoutAnyOfIt) {
  files_.clear();
  EXPECT_EQ(room(), std::nullopt);
  files_["/proc/meminfo"] = "MemAvailable:";
  EXPECT_EQ(room(), std::nullopt);
}

TEST(MemoryNow, IsEnoughForAllOrForSomeAndAtLeastForOne) {
  EXPECT_EQ((MemoryNow{.workers = 4, .needed = 400, .left = 400}.workers_more()), 4U);
  EXPECT_EQ((MemoryNow{.workers = 4, .needed = 400, .left = 399}.workers_more()), 3U);
  EXPECT_EQ((MemoryNow{.workers = 4, .needed = 400, .left = 99}.workers_more()), 1U);
  EXPECT_EQ((MemoryNow{.workers = 4, .needed = 400, .left = 0}.workers_more()), 1U);
  EXPECT_EQ(MemoryNow{}.workers_more(), 1U) << "nobody is there to be measured";
}

}  // namespace
}  // namespace cohort::cli
