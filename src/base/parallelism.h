// The pure half of `available_parallelism()`: what the files about cgroups say.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace cohort {

/// The contents of a file, or none if it cannot be read.
using ReadFile = std::function<std::optional<std::string>(const std::string& path)>;

/// The CPU quota in whole CPUs, rounded up: the smallest of this process's cgroup and those above,
/// in the unified hierarchy (`cpu.max`) and in the old one (`cpu.cfs_quota_us`). None: no limit.
std::optional<unsigned> cgroup_cpu_limit(const ReadFile& read);

}  // namespace cohort
