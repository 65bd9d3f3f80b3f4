// What a CPU is told while it looks at memory again and again.
#pragma once

namespace cohort::thread {

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace cohort::thread
