// When a worker that serves is replaced by a new one: it has too much memory, or is too old. Pure.
//
// One at a time, make-before-break, and never while anything else is under way: a worker that
// starts or ends, a reload. One whose successor failed is left alone for a while.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "cohort/status.h"

namespace cohort::manager {

struct RecycleLimits {
  std::optional<std::uint64_t> memory{};  ///< Bytes of a worker's own (its PSS).
  /// Each worker has up to a tenth more, so that those which started together do not end so.
  std::optional<std::chrono::milliseconds> age{};

  bool any() const { return memory || age; }
};

class RecycleRule {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  /// A slot is left alone for so long after its worker was to be replaced.
  static constexpr std::chrono::minutes kRest{1};

  struct Choice {
    int worker = 0;
    std::size_t slot = 0;
    std::string why;  ///< `it has 620 MB, of 512 MB`
  };

  explicit RecycleRule(const RecycleLimits& limits) : limits_{limits} {}

  /// Who is to be replaced now. `memory`: of a worker, in bytes; asked only if that matters.
  std::optional<Choice> choose(
      const ClusterStatus& status, TimePoint now,
      const std::function<std::optional<std::uint64_t>(const WorkerStatus&)>& memory);

 private:
  std::optional<std::string> reason(
      const WorkerStatus& worker,
      const std::function<std::optional<std::uint64_t>(const WorkerStatus&)>& memory) const;

  RecycleLimits limits_;
  std::map<std::size_t, TimePoint> rests_until_;  ///< By slot.
};

}  // namespace cohort::manager
