// Looking at memory again and again, for as long as it pays on this thread (spin_rule.h).
#pragma once

#include <chrono>

#include "thread/spin_rule.h"

namespace cohort::thread {

/// What a CPU is told meanwhile.
inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// This thread's, whatever it waits for.
SpinRule& spin_rule();

/// Whether `there` came to be true.
template <class Condition>
bool spin_until(const Condition& there) {
  SpinRule& rule = spin_rule();
  const auto budget = rule.budget();
  if (budget.count() == 0) return false;
  const auto until = std::chrono::steady_clock::now() + budget;
  bool found = false;
  do {
    for (int i = 0; i < 16 && !(found = there()); ++i) pause();
  } while (!found && std::chrono::steady_clock::now() < until);
  rule.spun(found);
  return found;
}

}  // namespace cohort::thread
