// How much more memory this process and its children may have. Pure.
#pragma once

#include <cstdint>
#include <optional>

#include "base/cgroups.h"

namespace cohort::cli {

/// Bytes: what the machine has available (/proc/meminfo), or what is left of a limit of its cgroup,
/// if that is less. Nothing: neither can be read. Cached files that are not in use count as free.
std::optional<std::uint64_t> memory_room(const ReadFile& read);

/// Of a reload, which needs as much as the workers have, once more.
struct MemoryNow {
  unsigned workers = 0;
  std::uint64_t needed = 0;  ///< Bytes, as is `left`.
  std::uint64_t left = 0;

  bool is_enough() const { return left >= needed; }
  /// How many more workers fit; at least 1.
  unsigned workers_more() const;
};

}  // namespace cohort::cli
