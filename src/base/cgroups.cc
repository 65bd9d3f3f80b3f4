#include "base/cgroups.h"

#include <algorithm>
#include <charconv>
#include <sstream>

namespace cohort {
namespace {

constexpr std::string_view kMount = "/sys/fs/cgroup";

// The smallest limit from `path` up to the mount's root. In a container the path may be the host's,
// which does not exist below the mount: what cannot be read is passed over.
void apply(std::optional<std::uint64_t>& least, const std::string& mount, std::string_view path,
           const LimitOfGroup& limit_of) {
  for (;;) {
    while (!path.empty() && path.back() == '/') path.remove_suffix(1);
    const auto limit = limit_of(mount + std::string{path});
    if (limit && (!least || *limit < *least)) least = limit;
    if (path.empty()) return;
    path = path.substr(0, path.rfind('/') + 1);
  }
}

}  // namespace

std::optional<std::uint64_t> least_limit(const ReadFile& read, std::string_view controller,
                                         const LimitOfGroup& unified, const LimitOfGroup& old) {
  const auto groups = read("/proc/self/cgroup");
  if (!groups) return std::nullopt;
  std::optional<std::uint64_t> least;
  std::istringstream lines{*groups};
  for (std::string line; std::getline(lines, line);) {  // id:controllers:path
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    if (controllers.empty())
      apply(least, std::string{kMount}, path, unified);
    else if ((',' + controllers + ',').find(',' + std::string{controller} + ',') != line.npos)
      apply(least, std::string{kMount} + '/' + controllers, path, old);
  }
  return least;
}

std::optional<long long> number_of(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  long long value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace cohort
