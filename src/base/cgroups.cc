#include "base/cgroups.h"

#include <algorithm>
#include <charconv>
#include <sstream>

namespace cohort {
namespace {

constexpr std::string_view kMount = "/sys/fs/cgroup";

// From `path` up to the mount's root, until it has seen enough. In a container the path may be the
// host's, which does not exist below the mount: what cannot be read is passed over.
void climb(const std::string& mount, std::string_view path,
           const std::function<bool(const std::string& directory)>& has_seen_enough) {
  for (;;) {
    while (!path.empty() && path.back() == '/') path.remove_suffix(1);
    if (has_seen_enough(mount + std::string{path}) || path.empty()) return;
    path = path.substr(0, path.rfind('/') + 1);
  }
}

// The groups of this process: in the unified hierarchy, and in the old one of `controller`.
using Visit = std::function<void(const std::string& mount, const std::string& path, bool unified)>;
void for_own_groups(const ReadFile& read, std::string_view controller, const Visit& visit) {
  const auto groups = read("/proc/self/cgroup");
  if (!groups) return;
  std::istringstream lines{*groups};
  for (std::string line; std::getline(lines, line);) {  // id:controllers:path
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    if (controllers.empty())
      visit(std::string{kMount}, path, true);
    else if ((',' + controllers + ',').find(',' + std::string{controller} + ',') != line.npos)
      visit(std::string{kMount} + '/' + controllers, path, false);
  }
}

// The number behind `oom_kill`.
std::optional<std::uint64_t> oom_kills_in(const std::optional<std::string>& events) {
  std::istringstream lines{events.value_or("")};
  std::string name;
  for (std::uint64_t count = 0; lines >> name >> count;)
    if (name == "oom_kill") return count;
  return std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> least_limit(const ReadFile& read, std::string_view controller,
                                         const LimitOfGroup& unified, const LimitOfGroup& old) {
  std::optional<std::uint64_t> least;
  for_own_groups(read, controller,
                 [&](const std::string& mount, const std::string& path, bool is_unified) {
                   climb(mount, path, [&](const std::string& directory) {
                     const auto limit = is_unified ? unified(directory) : old(directory);
                     if (limit && (!least || *limit < *least)) least = limit;
                     return false;
                   });
                 });
  return least;
}

std::optional<std::uint64_t> oom_kills(const ReadFile& read) {
  std::optional<std::uint64_t> kills;
  for_own_groups(read, "memory",
                 [&](const std::string& mount, const std::string& path, bool is_unified) {
                   if (kills) return;
                   climb(mount, path, [&](const std::string& directory) {
                     kills = oom_kills_in(
                         read(directory + (is_unified ? "/memory.events" : "/memory.oom_control")));
                     return kills.has_value();
                   });
                 });
  return kills;
}

std::optional<long long> number_of(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  long long value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace cohort
