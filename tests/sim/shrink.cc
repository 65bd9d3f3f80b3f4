#include "sim/shrink.h"

#include <algorithm>

namespace cohort::cluster::sim {

std::vector<bool> shrink(int steps, const FailsWithout& fails, int runs) {
  const auto count = static_cast<std::size_t>(steps) + 1;
  std::vector<bool> skipped(count, false);
  const std::string violated = fails(skipped);
  bool is_minimal = false;
  for (std::size_t part = std::max<std::size_t>(steps / 2, 1); !is_minimal; part = (part + 1) / 2) {
    bool any = false;
    for (std::size_t at = 1; at < count; at += part) {
      auto fewer = skipped;
      std::fill(fewer.begin() + static_cast<std::ptrdiff_t>(at),
                fewer.begin() + static_cast<std::ptrdiff_t>(std::min(at + part, count)), true);
      if (fewer == skipped) continue;
      if (runs-- == 0) return skipped;
      if (fails(fewer) != violated) continue;
      skipped = std::move(fewer);
      any = true;
    }
    // One step may matter only as long as another is there.
    is_minimal = part == 1 && !any;
  }
  return skipped;
}

}  // namespace cohort::cluster::sim
