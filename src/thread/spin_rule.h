// Whether one who waits for another thread looks a while longer before it sleeps. Pure.
//
// To be woken costs some 5 us on one CPU and 30 us or more between two. So it pays to look for up
// to 15 us if what is waited for comes by then: only when the other side runs, on another CPU, and
// answers at once. That is tried now and then, and kept up while it finds something. The trial is
// longer, since the other side may have to be woken itself; whoever answers one that looks is told
// (`encourage`), and looks then, too.
#pragma once

#include <algorithm>
#include <chrono>
#include <utility>

namespace cohort::thread {

class SpinRule {
 public:
  static constexpr std::chrono::microseconds kSpinMax{15};
  static constexpr std::chrono::microseconds kTrialMax{60};
  /// A trial for so many waits; twice as many after each in vain.
  static constexpr int kTrialEveryMin = 16;
  static constexpr int kTrialEveryMax = 1024;
  static constexpr int kCreditMax = 8;

  /// `one_cpu`: there is nobody to wait for who could run meanwhile.
  explicit SpinRule(bool one_cpu) : never_{one_cpu} {}

  /// How long to look, at the beginning of a wait. Not 0: `spun` follows.
  std::chrono::microseconds budget() {
    using std::chrono::microseconds;
    if (never_) return microseconds{0};
    if (credit_ > 0) return kSpinMax;
    if (encouraged_) return kSpinMax;
    if (++waits_ < trial_every_) return microseconds{0};
    waits_ = 0;
    return kTrialMax;
  }
  void spun(bool found) {
    const bool was_encouraged = std::exchange(encouraged_, false);
    if (found) {
      credit_ = std::min(credit_ + 2, kCreditMax);
      trial_every_ = kTrialEveryMin;
      deaf_ = 0;
    } else if (credit_ > 0) {
      --credit_;
    } else if (was_encouraged) {
      deaf_ = std::min(2 * deaf_ + 1, kTrialEveryMax);
      ignored_ = deaf_;
    } else {
      trial_every_ = std::min(2 * trial_every_, kTrialEveryMax);
    }
  }
  /// Somebody who was just posted to is awake, and may answer soon.
  void encourage() {
    if (ignored_ > 0)
      --ignored_;
    else
      encouraged_ = true;
  }

 private:
  bool never_;
  int credit_ = 0;
  int waits_ = 0;
  int trial_every_ = kTrialEveryMin;
  bool encouraged_ = false;
  int deaf_ = 0;     // so many encouragements count for nothing
  int ignored_ = 0;  // those that are left of them
};

}  // namespace cohort::thread
