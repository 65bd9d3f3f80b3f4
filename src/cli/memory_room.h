// How much more memory this process and its children may have. Pure.
#pragma once

#include <cstdint>
#include <optional>

#include "base/cgroups.h"

namespace cohort::cli {

/// Bytes: what the machine has available (/proc/meminfo), or what is left of a limit of its cgroup,
/// if that is less. Nothing: neither can be read. Page cache counts as used in a cgroup, so this
/// says too little rather than too much.
std::optional<std::uint64_t> memory_room(const ReadFile& read);

}  // namespace cohort::cli
