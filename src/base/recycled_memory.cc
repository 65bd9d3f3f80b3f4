#include "base/recycled_memory.h"

#include <array>
#include <atomic>
#include <new>

namespace cohort {
namespace {

// So that a tool which watches memory sees each piece.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kReuses = false;
#else
constexpr bool kReuses = true;
#endif

constexpr std::size_t kLine = 64;
constexpr std::size_t kLinesMax = 3;  // larger pieces are not reused
constexpr std::size_t kBatch = 64;
constexpr std::size_t kBatchesMax = 128;
// So many pieces before one is given out its memory is asked for: another CPU's cache has it.
constexpr std::size_t kAhead = 3;

// Asks for the first line's worth of a piece, which may lie in two.
void fetch_to_write(std::byte* piece) {
  for (std::byte* const place : {piece, piece + kLine - alignof(std::max_align_t)})
#if defined(__x86_64__)
    asm volatile("prefetchw %0" ::"m"(*place));  // the builtin asks for a copy, to read
#else
    __builtin_prefetch(place, 1);
#endif
}

using Batch = std::array<void*, kBatch>;

// The full batches that no thread has, of one size. Nobody waits for it.
class alignas(kLine) Depot {
 public:
  /// False: no room, or somebody is here.
  bool put(const Batch& batch) {
    if (count_.load(std::memory_order_relaxed) == kBatchesMax || !enter()) return false;
    const auto count = count_.load(std::memory_order_relaxed);
    const bool has_room = count < kBatchesMax;
    if (has_room) {
      batches_[count] = batch;
      count_.store(count + 1, std::memory_order_relaxed);
    }
    leave();
    return has_room;
  }
  /// False: there is none, or somebody is here.
  bool take(Batch& batch) {
    if (count_.load(std::memory_order_relaxed) == 0 || !enter()) return false;
    const auto count = count_.load(std::memory_order_relaxed);
    if (count > 0) {
      batch = batches_[count - 1];
      count_.store(count - 1, std::memory_order_relaxed);
    }
    leave();
    return count > 0;
  }

 private:
  bool enter() { return !taken_.exchange(true, std::memory_order_acquire); }
  void leave() { taken_.store(false, std::memory_order_release); }

  std::atomic<bool> taken_ = false;
  std::atomic<std::size_t> count_ = 0;
  std::array<Batch, kBatchesMax> batches_;
};

std::array<Depot, kLinesMax> depots;

// A thread's, of one size.
class Shelf {
 public:
  void* take(Depot& depot) {
    if (count_ == 0 && depot.take(pieces_)) count_ = kBatch;
    if (count_ == 0) return nullptr;
    void* const taken = pieces_[--count_];
    if (count_ >= kAhead) fetch_to_write(static_cast<std::byte*>(pieces_[count_ - kAhead]));
    return taken;
  }
  void give(Depot& depot, void* memory) {
    if (count_ == kBatch) {
      if (!depot.put(pieces_)) clear();
      count_ = 0;
    }
    pieces_[count_++] = memory;
  }
  void clear() {
    while (count_ > 0) ::operator delete(pieces_[--count_]);
  }

 private:
  Batch pieces_;
  std::size_t count_ = 0;
};

// Of a thread. What ends after it, in the thread's last moments, goes to malloc.
struct Shelves {
  ~Shelves() {
    gone = true;
    for (Shelf& shelf : shelves) shelf.clear();
  }
  std::array<Shelf, kLinesMax> shelves;
  static thread_local bool gone;  // trivial: may be asked for when the shelves are no more
};
thread_local bool Shelves::gone = false;
thread_local Shelves t_shelves;

std::size_t lines_of(std::size_t size) { return (size + kLine - 1) / kLine; }
bool is_reused(std::size_t size) {
  return kReuses && size > 0 && lines_of(size) <= kLinesMax && !Shelves::gone;
}

}  // namespace

void* take_recycled(std::size_t size) {
  if (!is_reused(size)) return ::operator new(size);
  const std::size_t lines = lines_of(size);
  void* const memory = t_shelves.shelves[lines - 1].take(depots[lines - 1]);
  return memory != nullptr ? memory : ::operator new(lines * kLine);
}

void give_recycled(void* memory, std::size_t size) noexcept {
  if (!is_reused(size)) return ::operator delete(memory);
  const std::size_t lines = lines_of(size);
  t_shelves.shelves[lines - 1].give(depots[lines - 1], memory);
}

}  // namespace cohort
