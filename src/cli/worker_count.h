// How many workers `auto` is: one for each CPU that this process may use, and no more than its
// memory is enough for. Pure, but for `resources_now`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/cgroups.h"

namespace cohort::cli {

struct RunOptions;

/// What this process may use.
struct Resources {
  unsigned cpus = 1;                      ///< That it may run on.
  std::optional<unsigned> quota{};        ///< CPUs of its cgroup, rounded up.
  std::optional<std::uint64_t> memory{};  ///< Bytes of its cgroup.
};
/// Reads a few small files.
Resources resources_now();
/// The smallest memory limit of this process's cgroup and those above; nothing: there is none.
std::optional<std::uint64_t> cgroup_memory_limit(const ReadFile& read);

struct WorkerCount {
  unsigned count = 1;
  std::string why;  ///< `one for each CPU`
};
/// `budget`: what one worker may have (--max-memory), in bytes.
WorkerCount auto_count(const Resources& resources, std::optional<std::uint64_t> budget);
/// As the options say: a number, or `auto` as it is now.
WorkerCount count_now(const RunOptions& options);

}  // namespace cohort::cli
