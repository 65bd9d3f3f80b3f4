#include "cli/memory_room.h"

#include <algorithm>
#include <string>

namespace cohort::cli {
namespace {

// `12345` behind a name that begins a line.
std::optional<long long> number_behind(const std::optional<std::string>& text,
                                       std::string_view name) {
  if (!text) return std::nullopt;
  const std::string lines = '\n' + *text, wanted = '\n' + std::string{name};
  const auto at = lines.find(wanted);
  const auto first = at == lines.npos ? at : lines.find_first_not_of(' ', at + wanted.size());
  if (first == lines.npos) return std::nullopt;
  const auto end = std::min(lines.find_first_not_of("0123456789", first), lines.size());
  return number_of(lines.substr(first, end - first));
}

// `MemAvailable:   12345 kB`
std::optional<std::uint64_t> available(const std::optional<std::string>& meminfo) {
  constexpr std::string_view kName = "MemAvailable:";
  const auto number = number_behind(meminfo, kName);
  return number ? std::optional{static_cast<std::uint64_t>(*number) * 1024} : std::nullopt;
}

// The files of a group in one of the two hierarchies. `cache`: in its memory.stat, what is given
// back when memory is wanted.
struct GroupFiles {
  const char *limit, *used, *cache;
};

std::optional<std::uint64_t> left_of(const ReadFile& read, const std::string& directory,
                                     const GroupFiles& files) {
  const auto most = read(directory + files.limit), now = read(directory + files.used);
  const auto bytes = most ? number_of(*most) : std::nullopt;
  const auto taken = now ? number_of(*now) : std::nullopt;
  if (!bytes || !taken || *bytes <= 0) return std::nullopt;
  const auto cached = number_behind(read(directory + "/memory.stat"), files.cache).value_or(0);
  return static_cast<std::uint64_t>(std::clamp(*bytes - *taken + cached, 0LL, *bytes));
}

}  // namespace

std::optional<std::uint64_t> memory_room(const ReadFile& read) {
  const auto machine = available(read("/proc/meminfo"));
  const auto cgroup = least_limit(
      read, "memory",
      [&](const std::string& directory) {
        return left_of(read, directory, {"/memory.max", "/memory.current", "inactive_file"});
      },
      [&](const std::string& directory) {
        return left_of(read, directory,
                       {"/memory.limit_in_bytes", "/memory.usage_in_bytes", "total_inactive_file"});
      });
  if (!machine || !cgroup) return machine ? machine : cgroup;
  return std::min(*machine, *cgroup);
}

unsigned MemoryNow::workers_more() const {
  if (is_enough()) return std::max(workers, 1U);
  const std::uint64_t each = std::max<std::uint64_t>(needed / std::max(workers, 1U), 1);
  return static_cast<unsigned>(std::max<std::uint64_t>(left / each, 1));
}

}  // namespace cohort::cli
