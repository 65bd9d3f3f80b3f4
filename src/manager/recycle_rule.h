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
#include <vector>

#include "cohort/status.h"

namespace cohort::manager {

struct RecycleLimits {
  std::optional<std::uint64_t> memory{};  ///< Bytes of a worker's own (its PSS).
  /// With more it is killed: so fast has it grown, or its successor did not come.
  std::optional<std::uint64_t> kill_memory{};
  /// Each worker has up to a tenth more, so that those which started together do not end so.
  std::optional<std::chrono::milliseconds> age{};

  bool any() const { return memory || kill_memory || age; }
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

  /// Of a worker, in bytes; asked only if that matters. Nothing: less than matters, or not known.
  using Memory = std::function<std::optional<std::uint64_t>(const WorkerStatus&)>;

  /// Who is to be replaced now.
  std::optional<Choice> choose(const ClusterStatus& status, TimePoint now, const Memory& memory);
  /// Who is to be killed now, whatever is under way, and why.
  std::vector<Choice> too_large(const ClusterStatus& status, const Memory& memory) const;

 private:
  std::optional<std::string> reason(const WorkerStatus& worker, const Memory& memory) const;

  RecycleLimits limits_;
  std::map<std::size_t, TimePoint> rests_until_;  ///< By slot.
};

}  // namespace cohort::manager
