// How the benches of pools count what is done, without a line of memory that two threads write.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>

class TasksDone {
 public:
  /// On whichever thread runs the task.
  void one() {
    thread_local std::size_t mine = last_.fetch_add(1) % lines_.size();
    auto& count = lines_[mine].count;
    count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  /// Sleeps until there are so many, and a fifth of a millisecond more at most.
  void wait_for(std::uint64_t count) const {
    while (sum() < count) std::this_thread::sleep_for(std::chrono::microseconds{200});
  }
  void reset() {
    for (Line& line : lines_) line.count.store(0);
  }

 private:
  struct alignas(128) Line {
    std::atomic<std::uint64_t> count = 0;
  };
  std::uint64_t sum() const {
    std::uint64_t all = 0;
    for (const Line& line : lines_) all += line.count.load(std::memory_order_relaxed);
    return all;
  }

  std::array<Line, 256> lines_;  // more than there are threads
  alignas(128) inline static std::atomic<std::size_t> last_ = 0;
};

inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Work for a CPU, some 10 ms of it, that the compiler cannot leave out.
inline std::uint64_t compute() {
  std::uint64_t x = 88172645463325252ULL;
  for (int i = 0; i < 6'000'000; ++i) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
  }
  return x;
}
