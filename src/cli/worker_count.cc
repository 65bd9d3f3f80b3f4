#include "cli/worker_count.h"

#include <algorithm>

#include "base/parallelism.h"
#include "base/read_file.h"
#include "cli/options.h"

namespace cohort::cli {
namespace {

constexpr std::uint64_t kMebibyte = std::uint64_t{1} << 20;
// The old hierarchy writes a number that is larger than any memory.
constexpr long long kNoLimit = 1LL << 60;

std::optional<std::uint64_t> bytes_of(const std::optional<std::string>& text) {
  const auto number = text ? number_of(*text) : std::nullopt;
  if (!number || *number <= 0 || *number >= kNoLimit) return std::nullopt;
  return static_cast<std::uint64_t>(*number);
}

}  // namespace

std::optional<std::uint64_t> cgroup_memory_limit(const ReadFile& read) {
  return least_limit(
      read, "memory",
      [&](const std::string& directory) { return bytes_of(read(directory + "/memory.max")); },
      [&](const std::string& directory) {
        return bytes_of(read(directory + "/memory.limit_in_bytes"));
      });
}

Resources resources_now() {
  return {cpus_allowed(), cgroup_cpu_limit(read_file), cgroup_memory_limit(read_file)};
}

WorkerCount auto_count(const Resources& resources, std::optional<std::uint64_t> budget) {
  WorkerCount result{resources.cpus, "one for each CPU"};
  if (resources.quota && *resources.quota < resources.cpus)
    result = {std::max(*resources.quota, 1U), "one for each CPU of the quota of its cgroup"};
  if (!budget || !resources.memory) return result;
  const auto fit =
      static_cast<unsigned>(std::clamp<std::uint64_t>(*resources.memory / *budget, 1, kWorkersMax));
  if (fit >= result.count) return result;
  return {fit, "as many as fit the " + std::to_string(*resources.memory / kMebibyte) +
                   " MB of its cgroup, with --max-memory"};
}

WorkerCount count_now(const RunOptions& options) {
  if (options.workers) return {*options.workers, "as asked"};
  return auto_count(resources_now(), options.max_memory);
}

}  // namespace cohort::cli
