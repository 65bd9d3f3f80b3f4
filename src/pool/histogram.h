// How long things took, counted by one thread and read by any.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>

#include "cohort/pool.h"

namespace cohort::pool {

class Histogram {
 public:
  void add(std::int64_t nanoseconds) {
    const auto value = static_cast<std::uint64_t>(nanoseconds < 1 ? 1 : nanoseconds);
    auto& count = counts_[std::min<std::size_t>(static_cast<std::size_t>(std::bit_width(value)) - 1,
                                                counts_.size() - 1)];
    count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  void add_to(TimeHistogram& sum) const {
    for (std::size_t i = 0; i < counts_.size(); ++i)
      sum.counts[i] += counts_[i].load(std::memory_order_relaxed);
  }

 private:
  std::array<std::atomic<std::uint64_t>, std::tuple_size_v<decltype(TimeHistogram::counts)>>
      counts_{};
};

}  // namespace cohort::pool
