#include "base/cgroups.h"

#include <gtest/gtest.h>

#include <map>

namespace cohort {
namespace {

using Files = std::map<std::string, std::string>;

std::optional<std::uint64_t> memory_limit(const Files& files) {
  const ReadFile read = [&](const std::string& path) -> std::optional<std::string> {
    const auto file = files.find(path);
    if (file == files.end()) return std::nullopt;
    return file->second;
  };
  const auto in = [&](const char* name) {
    return [&read, name](const std::string& directory) -> std::optional<std::uint64_t> {
      const auto number = number_of(read(directory + '/' + name).value_or(""));
      if (!number) return std::nullopt;
      return static_cast<std::uint64_t>(*number);
    };
  };
  return least_limit(read, "memory", in("memory.max"), in("memory.limit_in_bytes"));
}

TEST(Cgroups, TheSmallestLimitOfBothHierarchiesCounts) {
  Files files{{"/proc/self/cgroup", "4:memory:/m\n3:cpu,cpuacct:/\n0::/a/b\n"},
              {"/sys/fs/cgroup/memory/m/memory.limit_in_bytes", "700\n"},
              {"/sys/fs/cgroup/memory.max", "max\n"},
              {"/sys/fs/cgroup/a/b/memory.max", "600\n"},
              {"/sys/fs/cgroup/a/memory.max", "500\n"}};
  EXPECT_EQ(memory_limit(files), 500U);
  files["/sys/fs/cgroup/memory/memory.limit_in_bytes"] = "400\n";
  EXPECT_EQ(memory_limit(files), 400U);
}

TEST(Cgroups, WhatCannotBeReadIsNoLimit) {
  EXPECT_EQ(memory_limit({}), std::nullopt);
  EXPECT_EQ(memory_limit({{"/proc/self/cgroup", "0::/gone\nnonsense\n"}}), std::nullopt);
}

TEST(Cgroups, AnotherControllerIsNotAsked) {
  EXPECT_EQ(memory_limit({{"/proc/self/cgroup", "4:memory2,pids:/\n"},
                          {"/sys/fs/cgroup/memory2,pids/memory.limit_in_bytes", "1\n"}}),
            std::nullopt);
}

TEST(Cgroups, WhatTheKernelHasKilledIsCountedInTheOwnGroup) {
  Files files{{"/proc/self/cgroup", "4:memory:/m/own\n0::/a/b\n"},
              {"/sys/fs/cgroup/memory/m/own/memory.oom_control",
               "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"},
              {"/sys/fs/cgroup/memory/m/memory.oom_control", "oom_kill 9\n"}};
  const auto kills = [&] {
    return oom_kills([&](const std::string& path) -> std::optional<std::string> {
      const auto file = files.find(path);
      if (file == files.end()) return std::nullopt;
      return file->second;
    });
  };
  EXPECT_EQ(kills(), 3U);
  files = {{"/proc/self/cgroup", "0::/a/b\n"},
           {"/sys/fs/cgroup/memory.events", "low 0\noom 7\noom_kill 5\noom_group_kill 1\n"}};
  EXPECT_EQ(kills(), 5U) << "in a container its own group is the root";
  files["/sys/fs/cgroup/a/b/memory.events"] = "oom 7\noom_kill 4\n";
  EXPECT_EQ(kills(), 4U);
  files = {{"/proc/self/cgroup", "0::/\n"}, {"/sys/fs/cgroup/memory.events", "oom_kill many\n"}};
  EXPECT_EQ(kills(), std::nullopt);
  EXPECT_EQ(oom_kills([](const std::string&) { return std::nullopt; }), std::nullopt);
}

TEST(Cgroups, ANumberIsOneAsAWhole) {
  EXPECT_EQ(number_of("42\n"), 42);
  EXPECT_EQ(number_of("-1"), -1);
  for (const char* text : {"", "max\n", "42 43", "99999999999999999999"})
    EXPECT_EQ(number_of(text), std::nullopt) << text;
}

}  // namespace
}  // namespace cohort
