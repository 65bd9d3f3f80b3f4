// The status of an application as the control socket gives it (docs/control.md): JSON with stable
// names. Pure, but for what a process uses, which is read from /proc.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "cohort/rollout.h"
#include "cohort/status.h"
#include "cohort/value.h"

namespace cohort::manager {

/// What an application is, from its start to its end.
struct Application {
  std::string name;
  std::string program;  ///< With its arguments, for people.
  std::string version;  ///< Of cohort.
  pid_t pid = 0;
  std::chrono::system_clock::time_point since{};  ///< For people: it may be set back.
  std::chrono::steady_clock::time_point begun = std::chrono::steady_clock::now();
};

/// What a process has used so far.
struct Usage {
  std::chrono::milliseconds cpu_time{0};
  std::uint64_t memory_bytes = 0;  ///< Its resident set.
};
/// Of `/proc/PID/stat`; nothing if there is no such process any more.
std::optional<Usage> parse_usage(std::string_view stat, long ticks_per_second,
                                 std::uint64_t page_size);
std::optional<Usage> usage_of(pid_t pid, const std::filesystem::path& root = "/proc");

/// The memory that is a process's own, and its share of what it shares (PSS); nothing if that
/// cannot be read. The kernel counts pages for it: some milliseconds of a large process.
std::optional<std::uint64_t> own_memory_of(pid_t pid, const std::filesystem::path& root = "/proc");

Value to_value(const RolloutResult& result);
/// `rollouts`: those that are over, oldest first.
Value status_value(const Application& application, const std::string& directory,
                   const ClusterStatus& status, const std::deque<RolloutResult>& rollouts,
                   std::chrono::steady_clock::time_point now,
                   const std::function<std::optional<Usage>(pid_t)>& usage);

}  // namespace cohort::manager
