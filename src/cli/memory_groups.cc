#include "cli/memory_groups.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

namespace cohort::cli {
namespace {

const Result<void> kTooLate = system_error(
    EBUSY, "make cgroups", "its workers run without; after `cohort restart` there may be some");

std::string text_of(const Error& error) {
  return error.op == "make cgroups" ? error.detail : error.op + ": " + error.code.message();
}

}  // namespace

process::CgroupLimits memory_limits(const RunOptions& options) {
  if (!options.max_memory) return {};
  if (options.kill_memory) return {.memory_max = options.kill_memory};
  return {.memory_high = 2 * *options.max_memory};
}

MemoryGroups::MemoryGroups(process::CgroupFiles& files) : files_{files} {}

std::optional<std::string> MemoryGroups::limit(const RunOptions& options, SpawnOptions& spawn) {
  const process::CgroupLimits limits = memory_limits(options);
  const bool is_first = !std::exchange(begun_, true);
  if (!home_) {
    if (!limits.any() || told_) return std::nullopt;
    const auto done = is_first ? begin(limits) : kTooLate;
    told_ = !done;
    if (!done) return text_of(done.error());
  }
  // Given, also when there is none any more: it counts no more then.
  spawn.memory_max = limits.memory_max.value_or(0);
  spawn.memory_high = limits.memory_high.value_or(0);
  spawn.cgroup_parent = home_->parent();
  return std::nullopt;
}

// Tried with a group that goes again: what does not work is known before the first worker needs it.
Result<void> MemoryGroups::begin(const process::CgroupLimits& limits) {
  auto home = process::CgroupHome::make(files_, ::getpid(), "memory");
  if (!home) return home.error();
  if (const auto group = process::ChildCgroup::make(files_, (*home)->parent(), limits); !group)
    return group.error();
  home_ = *std::move(home);
  return {};
}

void MemoryGroups::sweep() {
  if (home_) home_->sweep();
}

}  // namespace cohort::cli
