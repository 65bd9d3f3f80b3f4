#include "map/machine_load.h"

#include <cstdlib>
#include <limits>
#include <string>

#include "base/read_file.h"

namespace cohort::map {

std::uint64_t memory_available() {
  constexpr std::uint64_t kKibi = 1024;
  const std::string text = read_file("/proc/meminfo").value_or("");
  const std::string name = "MemAvailable:";
  const auto at = text.find(name);
  if (at == text.npos) return std::numeric_limits<std::uint64_t>::max();
  return std::strtoull(text.c_str() + at + name.size(), nullptr, 10) * kKibi;
}

double load_average() {
  return std::strtod(read_file("/proc/loadavg").value_or("").c_str(), nullptr);
}

}  // namespace cohort::map
