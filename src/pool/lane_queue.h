// Work that one thread gives from outside, in the order in which it does: a queue for each of them,
// so that giving takes no lock, no locked instruction, and mostly no memory that others write.
//
// Pieces of 256 places, linked. The giver writes a place, then moves the end; whoever takes holds
// the lock of the takers, and moves the beginning. An empty piece goes back to the giver.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

#include "pool/work_queue.h"

namespace cohort::pool {

class LaneQueue {
 public:
  LaneQueue() : first_{new Piece}, last_{first_} {}
  ~LaneQueue() {
    delete spare_.load();
    while (first_ != nullptr) delete std::exchange(first_, first_->next);
  }
  LaneQueue(const LaneQueue&) = delete;
  LaneQueue& operator=(const LaneQueue&) = delete;

  /// A moment ago; any thread.
  std::size_t size() const {
    const std::size_t taken = taken_.load(std::memory_order_acquire);
    return given_.load(std::memory_order_acquire) - taken;
  }

  /// The giver's. It has to look afterwards whether somebody sleeps.
  void push(const Work& work) {
    const std::size_t given = given_.load(std::memory_order_relaxed);
    if (given % kPiece == 0 && given > 0) {
      Piece* next = spare_.exchange(nullptr, std::memory_order_acquire);
      if (next == nullptr) next = new Piece;
      next->next = nullptr;
      last_->next = next;
      last_ = next;
    }
    last_->works[given % kPiece] = work;
    given_.store(given + 1, std::memory_order_release);
  }
  /// The giver's: whether it has given so many since `counted`.
  bool is_due(std::size_t step) const {
    return given_.load(std::memory_order_relaxed) - counted_at_ >= step;
  }
  void counted() { counted_at_ = given_.load(std::memory_order_relaxed); }

  /// The oldest, at most so many; how many they were. None if another thread is taking. Any thread.
  std::size_t take(Work* to, std::size_t max) {
    if (taking_.exchange(true, std::memory_order_acquire)) return 0;
    std::size_t taken = taken_.load(std::memory_order_relaxed);
    const std::size_t count = std::min(max, given_.load(std::memory_order_acquire) - taken);
    for (std::size_t i = 0; i < count; ++i, ++taken) {
      if (taken % kPiece == 0 && taken > 0) {
        Piece* const empty = std::exchange(first_, first_->next);
        delete spare_.exchange(empty, std::memory_order_release);
      }
      to[i] = first_->works[taken % kPiece];
    }
    taken_.store(taken, std::memory_order_release);
    taking_.store(false, std::memory_order_release);
    return count;
  }

  /// Whether a thread gives here; one that has ended leaves its lane to another.
  std::atomic<bool> is_owned{true};

 private:
  static constexpr std::size_t kPiece = 256;
  struct Piece {
    Work works[kPiece];
    Piece* next = nullptr;
  };

  // The giver's.
  alignas(64) std::atomic<std::size_t> given_ = 0;
  std::size_t counted_at_ = 0;
  // The takers'.
  alignas(64) std::atomic<std::size_t> taken_ = 0;
  std::atomic<bool> taking_ = false;
  Piece* first_;
  // Both: rarely.
  alignas(64) std::atomic<Piece*> spare_ = nullptr;
  Piece* last_;  // the giver's
};

}  // namespace cohort::pool
