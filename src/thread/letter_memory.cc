// Memory of letters. One thread makes them and another ends them, which is slow by malloc: each of
// the two takes the other's locks. Here letters go back in batches: whoever ends them fills one,
// and hands it over; whoever makes them takes one. What nobody takes goes to malloc.
#include <array>
#include <atomic>
#include <cstddef>
#include <new>
#include <utility>

#include "cohort/message_port.h"

namespace cohort::thread {
namespace {

// So that a tool which watches memory sees each letter's.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kReuses = false;
#else
constexpr bool kReuses = true;
#endif

constexpr std::size_t kLine = 64;
constexpr std::size_t kLinesMax = 3;  // larger ones are not reused
constexpr std::size_t kBatch = 64;
constexpr std::size_t kBatchesMax = 32;

struct Free {
  Free* next;
  Free* next_batch;
};

void to_malloc(Free* batch) {
  while (batch != nullptr) ::operator delete(std::exchange(batch, batch->next));
}

// The batches that nobody has, of one size. Nobody waits for it.
class alignas(kLine) Depot {
 public:
  bool put(Free* batch) {
    if (count_.load(std::memory_order_relaxed) >= kBatchesMax ||
        taken_.exchange(true, std::memory_order_acquire))
      return false;
    batch->next_batch = std::exchange(batches_, batch);
    count_.fetch_add(1, std::memory_order_relaxed);
    taken_.store(false, std::memory_order_release);
    return true;
  }
  Free* take() {
    if (count_.load(std::memory_order_relaxed) == 0 ||
        taken_.exchange(true, std::memory_order_acquire))
      return nullptr;
    Free* const batch = batches_;
    if (batch != nullptr) {
      batches_ = batch->next_batch;
      count_.fetch_sub(1, std::memory_order_relaxed);
    }
    taken_.store(false, std::memory_order_release);
    return batch;
  }

 private:
  std::atomic<bool> taken_ = false;
  std::atomic<std::size_t> count_ = 0;
  Free* batches_ = nullptr;
};

std::array<Depot, kLinesMax> depots;

// A thread's, of one size.
class Shelf {
 public:
  void* take(Depot& depot) {
    if (first_ == nullptr) {
      first_ = depot.take();
      count_ = first_ == nullptr ? 0 : kBatch;
    }
    if (first_ == nullptr) return nullptr;
    --count_;
    Free* const taken = std::exchange(first_, first_->next);
    // The other thread wrote it last: it has to come from that one's cache.
    __builtin_prefetch(first_, 1);
    return taken;
  }
  void give(Depot& depot, void* memory) {
    if (count_ == kBatch) {
      if (!depot.put(first_)) to_malloc(first_);
      first_ = nullptr;
      count_ = 0;
    }
    first_ = new (memory) Free{first_, nullptr};
    ++count_;
  }
  void clear() { to_malloc(std::exchange(first_, nullptr)); }

 private:
  Free* first_ = nullptr;
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
  return kReuses && lines_of(size) <= kLinesMax && !Shelves::gone;
}

}  // namespace
}  // namespace cohort::thread

namespace cohort::detail {

void* Letter::operator new(std::size_t size) {
  const std::size_t lines = thread::lines_of(size);
  if (!thread::is_reused(size)) return ::operator new(lines * thread::kLine);
  void* const memory = thread::t_shelves.shelves[lines - 1].take(thread::depots[lines - 1]);
  return memory != nullptr ? memory : ::operator new(lines * thread::kLine);
}

void Letter::operator delete(void* memory, std::size_t size) {
  if (!thread::is_reused(size)) return ::operator delete(memory);
  const std::size_t lines = thread::lines_of(size);
  thread::t_shelves.shelves[lines - 1].give(thread::depots[lines - 1], memory);
}

}  // namespace cohort::detail
