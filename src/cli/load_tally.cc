#include "cli/load_tally.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace cohort::cli {

const char* to_string(LoadKind kind) {
  static constexpr const char* kNames[] = {"get", "kept get", "kept post", "slow reader",
                                           "late sender"};
  return kNames[static_cast<std::size_t>(kind)];
}

// Below kSteps each microsecond has a bucket; above, each doubling has kSteps.
void Durations::add(std::chrono::microseconds time) {
  const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(time.count(), 0));
  const auto shift = static_cast<std::size_t>(std::bit_width(value / kSteps));
  // The leading bit of a shifted value says its doubling; it is left out of the step.
  const std::size_t index = shift == 0 ? value : shift * kSteps + (value >> (shift - 1)) % kSteps;
  ++buckets_[std::min(index, buckets_.size() - 1)];
  ++count_;
}

std::optional<std::chrono::microseconds> Durations::quantile(double share) const {
  if (count_ == 0) return std::nullopt;
  auto left = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_)));
  std::size_t index = 0;
  for (; index + 1 < buckets_.size() && buckets_[index] < left; ++index) left -= buckets_[index];
  const std::size_t shift = index / kSteps, step = index % kSteps;
  const std::uint64_t value = shift == 0 ? index : ((kSteps + step + 1) << (shift - 1)) - 1;
  return std::chrono::microseconds{value};
}

void LoadTally::add(LoadKind kind, const LoadMoment& moment, const LoadOutcome& outcome) {
  Row& its = row(kind);
  ++its.requests;
  its.slowest = std::max(its.slowest, outcome.time);
  if (outcome.answered) {
    (moment.reload == 0 ? outside_ : during_).add(outcome.time);
    return;
  }
  ++its.failed;
  if (outcome.closed_idle) ++its.closed_idle;
  if (failures_.size() < kFailuresMax) failures_.push_back({kind, moment, outcome.what});
}

LoadTally::Row LoadTally::sum() const {
  Row sum;
  for (const Row& row : rows_) {
    sum.requests += row.requests;
    sum.failed += row.failed;
    sum.closed_idle += row.closed_idle;
    sum.reopened += row.reopened;
    sum.slowest = std::max(sum.slowest, row.slowest);
  }
  return sum;
}

}  // namespace cohort::cli
