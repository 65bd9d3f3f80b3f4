#include "cluster/settling_rule.h"

#include <utility>

namespace cohort::cluster {
namespace {

constexpr std::chrono::milliseconds kSettleMin{100};
constexpr std::chrono::milliseconds kSettleMax{2000};
constexpr int kTurnsToSettle = 2;

}  // namespace

void SettlingRule::start(TimePoint now) {
  turns_left_ = kTurnsToSettle;
  asked_ = false;
  earliest_ = now + kSettleMin;
  latest_ = now + kSettleMax;
}

bool SettlingRule::turned(TimePoint now, const std::function<bool()>& any_waiting) {
  if (!under_way() || now < earliest_) return false;
  --turns_left_;
  if (any_waiting()) turns_left_ = kTurnsToSettle;
  return under_way();
}

SettlingRule::Due SettlingRule::time_passed(TimePoint now) {
  if (!under_way() || now < earliest_) return Due::Nothing;
  if (now < latest_) return std::exchange(asked_, true) ? Due::Nothing : Due::Probe;
  stop();
  return Due::Late;
}

std::optional<SettlingRule::TimePoint> SettlingRule::next() const {
  if (!under_way()) return std::nullopt;
  return asked_ ? latest_ : earliest_;
}

}  // namespace cohort::cluster
