// Work that waits, in the order in which it came: one for each worker, and one for each priority.
//
// Any thread. What is held under the lock is some copies of 64 bytes; whoever finds it taken looks
// again, and lets others run after a while.
#pragma once

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <memory>

#include "cohort/pool.h"
#include "thread/spin.h"

namespace cohort::pool {

using detail::Work;

class SpinLock {
 public:
  void lock() {
    for (int looks = 0; taken_.exchange(true, std::memory_order_acquire);) {
      while (taken_.load(std::memory_order_relaxed)) {
        if (++looks % 64 == 0)
          ::sched_yield();
        else
          thread::pause();
      }
    }
  }
  void unlock() { taken_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> taken_ = false;
};

class alignas(64) WorkQueue {
 public:
  /// A moment ago. Sequentially consistent: who pushes and then looks who sleeps, and who goes to
  /// sleep and then looks here, do not miss each other.
  std::size_t size() const { return size_.load(std::memory_order_seq_cst); }

  void push(const Work& work) {
    const Guard guard{lock_};
    if (count_ == capacity_) grow();
    slot(count_) = work;
    counted(count_ + 1);
  }
  /// So that the first of them is taken first by `pop_newest`.
  void push_reversed(const Work* works, std::size_t count) {
    const Guard guard{lock_};
    while (capacity_ - count_ < count) grow();
    for (std::size_t i = 0; i < count; ++i) slot(count_ + i) = works[count - 1 - i];
    counted(count_ + count);
  }
  /// False: there is none.
  bool pop_newest(Work& work) {
    if (size_.load(std::memory_order_relaxed) == 0) return false;
    const Guard guard{lock_};
    if (count_ == 0) return false;
    work = slot(count_ - 1);
    counted(count_ - 1);
    return true;
  }
  /// The oldest, at most so many; how many they were.
  std::size_t take(Work* to, std::size_t max) {
    if (size_.load(std::memory_order_relaxed) == 0) return 0;
    const Guard guard{lock_};
    const std::size_t count = std::min(max, count_);
    for (std::size_t i = 0; i < count; ++i) to[i] = slot(i);
    first_ = (first_ + count) & (capacity_ - 1);
    counted(count_ - count);
    return count;
  }

 private:
  struct Guard {
    explicit Guard(SpinLock& which) : lock{which} { lock.lock(); }
    ~Guard() { lock.unlock(); }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    SpinLock& lock;
  };

  Work& slot(std::size_t index) { return ring_[(first_ + index) & (capacity_ - 1)]; }
  void counted(std::size_t count) {
    count_ = count;
    size_.store(count, std::memory_order_seq_cst);
  }
  void grow() {
    const std::size_t larger = std::max<std::size_t>(64, capacity_ * 2);
    auto ring = std::make_unique<Work[]>(larger);
    for (std::size_t i = 0; i < count_; ++i) ring[i] = slot(i);
    ring_ = std::move(ring);
    capacity_ = larger;
    first_ = 0;
  }

  SpinLock lock_;
  std::unique_ptr<Work[]> ring_;
  std::size_t capacity_ = 0;  // a power of two
  std::size_t first_ = 0;
  std::size_t count_ = 0;
  alignas(64) std::atomic<std::size_t> size_ = 0;  // the same, for a look without the lock
};

}  // namespace cohort::pool
