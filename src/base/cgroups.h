// What this process's cgroup and those above it limit: in the unified hierarchy (v2) and in the old
// one (v1). Pure: the files are read by whoever calls.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace cohort {

/// The contents of a file, or none if it cannot be read.
using ReadFile = std::function<std::optional<std::string>(const std::string& path)>;

/// What the files of one group's directory say. None: no limit, or it cannot be read.
using LimitOfGroup = std::function<std::optional<std::uint64_t>(const std::string& directory)>;

/// The smallest limit of this process's group and those above. `controller` is that of the old
/// hierarchy: `cpu`, `memory`, `pids`.
std::optional<std::uint64_t> least_limit(const ReadFile& read, std::string_view controller,
                                         const LimitOfGroup& unified, const LimitOfGroup& old);

/// How often the kernel has killed a process of this process's group for lack of memory, since the
/// group is there. None: it cannot be read.
std::optional<std::uint64_t> oom_kills(const ReadFile& read);

/// The number that a file consists of. None: there is none, as in `max`.
std::optional<long long> number_of(std::string_view text);

}  // namespace cohort
