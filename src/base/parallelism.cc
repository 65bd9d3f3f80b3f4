#include "base/parallelism.h"

#include <sched.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "base/read_file.h"
#include "cohort/parallelism.h"

namespace cohort {
namespace {

std::optional<std::uint64_t> whole_cpus(std::optional<long long> quota,
                                        std::optional<long long> period) {
  // "max" is not a number and the old hierarchy writes -1: both are no limit.
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;
  const long long cpus = *quota / *period + (*quota % *period != 0 ? 1 : 0);
  return static_cast<std::uint64_t>(std::min(cpus, 1LL << 20));
}

}  // namespace

std::optional<unsigned> cgroup_cpu_limit(const ReadFile& read) {
  const auto in = [&](const std::string& file) { return read(file).value_or(""); };
  const auto least = least_limit(
      read, "cpu",
      [&](const std::string& directory) {
        const std::string text = in(directory + "/cpu.max");  // quota and period
        const std::size_t space = std::min(text.find(' '), text.size());
        return whole_cpus(number_of(text.substr(0, space)),
                          number_of(text.substr(std::min(space + 1, text.size()))));
      },
      [&](const std::string& directory) {
        return whole_cpus(number_of(in(directory + "/cpu.cfs_quota_us")),
                          number_of(in(directory + "/cpu.cfs_period_us")));
      });
  if (!least) return std::nullopt;
  return static_cast<unsigned>(*least);
}

unsigned cpus_allowed() {
  // As large as Linux can be built for; sched_getaffinity fails if the set is too small.
  constexpr std::size_t kCpusMax = 8192;
  std::vector<cpu_set_t> set(kCpusMax / CPU_SETSIZE);
  const std::size_t size = set.size() * sizeof(cpu_set_t);
  const unsigned count = ::sched_getaffinity(0, size, set.data()) == -1
                             ? std::thread::hardware_concurrency()
                             : static_cast<unsigned>(CPU_COUNT_S(size, set.data()));
  return std::max(count, 1U);
}

unsigned available_parallelism() {
  const unsigned cpus = cpus_allowed();
  return std::min(cpus, cgroup_cpu_limit(read_file).value_or(cpus));
}

}  // namespace cohort
