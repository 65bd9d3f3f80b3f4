// When a worker that serves is replaced by a new one: it has too much memory, is too old, or has
// answered enough. Pure.
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
  std::optional<std::uint64_t> requests{};  ///< The same of requests that it has answered.

  bool any() const { return memory || kill_memory || age || requests; }
};

class RecycleRule {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  /// A slot is left alone for so long after its worker was to be replaced; but for one that has
  /// answered enough since then: who has much to do does it again soon.
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
  /// Whether there is a limit for requests, and this worker serves and says nothing of them.
  bool hides_requests(const WorkerStatus& worker, const ClusterStatus& status) const;
  /// Who is to be killed now, whatever is under way, and why.
  std::vector<Choice> too_large(const ClusterStatus& status, const Memory& memory) const;

 private:
  struct Rest {
    TimePoint until{};
    int worker = 0;  ///< That was to be replaced.
  };
  std::optional<std::string> answered_enough(const WorkerStatus& worker) const;
  std::optional<std::string> reason(const WorkerStatus& worker, const Memory& memory) const;

  RecycleLimits limits_;
  std::map<std::size_t, Rest> rests_;  ///< By slot.
};

}  // namespace cohort::manager
