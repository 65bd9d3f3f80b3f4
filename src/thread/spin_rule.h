// Whether one who waits for another thread looks a while longer before it sleeps. Pure.
//
// To be woken costs some 5 us on one CPU and 30 us or more between two, so it pays to look for up to
// 15 us if what is waited for comes by then: only when the other side runs on another CPU, and
// answers at once. So it is tried now and then, and kept up while it finds something.
#pragma once

#include <chrono>

namespace cohort::thread {

class SpinRule {
 public:
  static constexpr std::chrono::microseconds kSpinMax{15};
  /// A try for every so many waits while it does not pay.
  static constexpr int kTryEvery = 32;
  static constexpr int kCreditMax = 8;

  /// `one_cpu`: there is nobody to wait for who could run meanwhile.
  explicit SpinRule(bool one_cpu) : never_{one_cpu} {}

  /// Before each wait.
  bool spins() {
    if (never_) return false;
    return credit_ > 0 || ++waits_ % kTryEvery == 0;
  }
  /// After each wait that `spins`: whether it found something.
  void spun(bool found) {
    if (found)
      credit_ = credit_ + 2 > kCreditMax ? kCreditMax : credit_ + 2;
    else if (credit_ > 0)
      --credit_;
  }

 private:
  bool never_;
  int credit_ = 0;
  int waits_ = 0;
};

}  // namespace cohort::thread
