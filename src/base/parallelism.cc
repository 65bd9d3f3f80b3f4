#include "base/parallelism.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <thread>
#include <vector>

#include "base/read_file.h"
#include "cohort/parallelism.h"

namespace cohort {
namespace {

constexpr std::string_view kMount = "/sys/fs/cgroup";

// Splits at each `separator`; the parts do not contain it.
std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t end = std::min(text.find(separator, start), text.size());
    parts.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return parts;
}

std::optional<long long> number(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  long long value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<unsigned> whole_cpus(std::optional<long long> quota,
                                   std::optional<long long> period) {
  // "max" is not a number and the old hierarchy writes -1: both are no limit.
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;
  const long long cpus = *quota / *period + (*quota % *period != 0 ? 1 : 0);
  return static_cast<unsigned>(std::min(cpus, 1LL << 20));
}

std::optional<unsigned> unified_limit(const ReadFile& read, const std::string& directory) {
  const auto text = read(directory + "/cpu.max");
  if (!text) return std::nullopt;
  const auto parts = split(*text, ' ');
  return parts.size() == 2 ? whole_cpus(number(parts[0]), number(parts[1])) : std::nullopt;
}

std::optional<unsigned> old_limit(const ReadFile& read, const std::string& directory) {
  const auto quota = read(directory + "/cpu.cfs_quota_us");
  const auto period = read(directory + "/cpu.cfs_period_us");
  if (!quota || !period) return std::nullopt;
  return whole_cpus(number(*quota), number(*period));
}

// The smallest limit from `path` up to the mount's root. In a container the path may be the host's,
// which does not exist below the mount: what cannot be read is passed over.
template <class Limit>
void apply(std::optional<unsigned>& least, const std::string& mount, std::string_view path,
           const ReadFile& read, Limit limit) {
  for (;;) {
    while (!path.empty() && path.back() == '/') path.remove_suffix(1);
    const auto cpus = limit(read, mount + std::string{path});
    if (cpus && (!least || *cpus < *least)) least = cpus;
    if (path.empty()) return;
    path = path.substr(0, path.rfind('/') + 1);
  }
}

unsigned affinity() {
  // As large as Linux can be built for; sched_getaffinity fails if the set is too small.
  constexpr std::size_t kCpusMax = 8192;
  std::vector<cpu_set_t> set(kCpusMax / CPU_SETSIZE);
  const std::size_t size = set.size() * sizeof(cpu_set_t);
  if (::sched_getaffinity(0, size, set.data()) == -1) return std::thread::hardware_concurrency();
  return static_cast<unsigned>(CPU_COUNT_S(size, set.data()));
}

}  // namespace

std::optional<unsigned> cgroup_cpu_limit(const ReadFile& read) {
  const auto groups = read("/proc/self/cgroup");
  if (!groups) return std::nullopt;
  std::optional<unsigned> least;
  for (const std::string_view line : split(*groups, '\n')) {  // id:controllers:path
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    const auto controllers = line.substr(first + 1, second - first - 1);
    const auto path = line.substr(second + 1);
    if (controllers.empty()) {
      apply(least, std::string{kMount}, path, read, unified_limit);
      continue;
    }
    for (const std::string_view controller : split(controllers, ','))
      if (controller == "cpu")
        apply(least, std::string{kMount} + '/' + std::string{controllers}, path, read, old_limit);
  }
  return least;
}

unsigned available_parallelism() {
  const unsigned cpus = std::max(affinity(), 1U);
  return std::min(cpus, cgroup_cpu_limit(read_file).value_or(cpus));
}

}  // namespace cohort
