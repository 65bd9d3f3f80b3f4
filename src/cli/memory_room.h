// How much more memory this process and its children may have. Pure.
#pragma once

#include <cstdint>
#include <optional>

#include "base/cgroups.h"

namespace cohort::cli {

/// Bytes: what the machine has available (/proc/meminfo), or what is left of a limit of its cgroup,
/// if that is less. Nothing: neither can be read. Cached files that are not in use count as free.
std::optional<std::uint64_t> memory_room(const ReadFile& read);

/// Whether the workers before a reload may stay (`--park`) beside as many new ones, which need
/// `needed` bytes. `room`: as above; if that is not known, they may. `freed`: what ends first gives
/// so much back.
bool may_stay(std::optional<std::uint64_t> room, std::uint64_t needed, std::uint64_t freed);

}  // namespace cohort::cli
