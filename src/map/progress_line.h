// One line that says how far it is, as Python's tqdm has it:
//
//    37%|#######             | 37/100 [00:12<00:21, 3.02/s, 1 failed]
//
// Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace cohort::map {

struct MapProgress {
  std::uint64_t done = 0;
  std::uint64_t failed = 0;
  std::optional<std::uint64_t> total{};  ///< Once the end of the input was seen.
  std::chrono::milliseconds elapsed{};
};

/// At most so many columns, if it is not less than the numbers need.
std::string progress_line(const MapProgress& progress, unsigned columns);

}  // namespace cohort::map
