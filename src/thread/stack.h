// A stack that any thread pushes to, and one takes as a whole: how threads hand things over without
// a lock.
//
// `T` has a member `T* next`. A push by a thread happens before whatever takes it.
#pragma once

#include <atomic>

namespace cohort::thread {

template <class T>
class Stack {
 public:
  /// Whether it was empty: whoever pushed first tells the one that takes.
  bool push(T* one) {
    T* top = top_.load(std::memory_order_relaxed);
    do one->next = top;
    while (!top_.compare_exchange_weak(top, one, std::memory_order_seq_cst,
                                       std::memory_order_relaxed));
    return top == nullptr;
  }
  bool empty() const { return top_.load(std::memory_order_seq_cst) == nullptr; }
  /// All of it, linked by `next`, the oldest first; null if there is none.
  T* take_all() {
    // A look is cheaper than taking the line from who pushes.
    if (empty()) return nullptr;
    T* oldest = nullptr;
    for (T* newest = top_.exchange(nullptr, std::memory_order_acquire); newest != nullptr;) {
      T* const older = newest->next;
      newest->next = oldest;
      oldest = newest;
      newest = older;
    }
    return oldest;
  }

 private:
  std::atomic<T*> top_ = nullptr;
};

}  // namespace cohort::thread
