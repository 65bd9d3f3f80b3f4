// How much more memory this process and its children may have. Pure.
#pragma once

#include <cstdint>
#include <optional>

#include "base/cgroups.h"

namespace cohort::cli {

/// Bytes: what the machine has available (/proc/meminfo), or what is left of a limit of its cgroup,
/// if that is less. Nothing: neither can be read. Cached files that are not in use count as free.
std::optional<std::uint64_t> memory_room(const ReadFile& read);

}  // namespace cohort::cli
