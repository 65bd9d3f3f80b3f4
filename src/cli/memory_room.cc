#include "cli/memory_room.h"

#include <algorithm>
#include <string>

namespace cohort::cli {
namespace {

// `MemAvailable:   12345 kB`
std::optional<std::uint64_t> available(const std::optional<std::string>& meminfo) {
  constexpr std::string_view kName = "MemAvailable:";
  const auto at = meminfo ? meminfo->find(kName) : std::string::npos;
  if (at == std::string::npos) return std::nullopt;
  const auto first = meminfo->find_first_of("0123456789", at);
  if (first == std::string::npos) return std::nullopt;
  const auto end = meminfo->find_first_not_of("0123456789", first);
  const auto number = number_of(meminfo->substr(first, end - first));
  return number ? std::optional{static_cast<std::uint64_t>(*number) * 1024} : std::nullopt;
}

std::optional<std::uint64_t> left_of(const ReadFile& read, const std::string& limit,
                                     const std::string& used) {
  const auto most = read(limit), now = read(used);
  const auto bytes = most ? number_of(*most) : std::nullopt;
  const auto taken = now ? number_of(*now) : std::nullopt;
  if (!bytes || !taken || *bytes <= 0) return std::nullopt;
  return static_cast<std::uint64_t>(std::max(*bytes - *taken, 0LL));
}

}  // namespace

std::optional<std::uint64_t> memory_room(const ReadFile& read) {
  const auto machine = available(read("/proc/meminfo"));
  const auto cgroup = least_limit(
      read, "memory",
      [&](const std::string& directory) {
        return left_of(read, directory + "/memory.max", directory + "/memory.current");
      },
      [&](const std::string& directory) {
        return left_of(read, directory + "/memory.limit_in_bytes",
                       directory + "/memory.usage_in_bytes");
      });
  if (!machine || !cgroup) return machine ? machine : cgroup;
  return std::min(*machine, *cgroup);
}

}  // namespace cohort::cli
