// Records from one process to another, through memory that both have: one writes, one reads.
//
// A record lies in one piece, aligned to 8 bytes. It is the reader's from `publish` to `pop`, and
// what was published stays when the writer dies; so does what an open record has. Positions only
// grow; the place is the rest of the division by the size, a power of two.
//
// The reader trusts the writer with nothing but its own work: a record that does not fit is
// Malformed, and nothing is read beyond the memory. Pure, but for the memory.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace cohort::pool {

/// At the head of each record. What is atomic both sides write while it waits.
struct Record {
  std::atomic<std::uint32_t> state{0};  ///< Of the user's.
  std::uint32_t size = 0;               ///< Of the bytes behind this.
  std::uint64_t id = 0;
  std::uint32_t kind = 0;
  std::atomic<std::uint32_t> at{0};  ///< Of the user's.
  std::uint32_t index = 0;
  std::uint32_t flags = 0;
  std::uint64_t time_ns = 0;

  std::byte* bytes() { return reinterpret_cast<std::byte*>(this + 1); }
  std::string_view text() const { return {reinterpret_cast<const char*>(this + 1), size}; }
};
static_assert(sizeof(Record) % 8 == 0);

/// What comes before the records.
struct RingHead {
  alignas(64) std::atomic<std::uint64_t> read{0};
  std::atomic<std::uint32_t> reader_sleeps{0};
  alignas(64) std::atomic<std::uint64_t> written{0};
  /// Where the last open record begins, plus one; it is open still if it is not written.
  std::atomic<std::uint64_t> opened{0};
  std::atomic<std::uint32_t> writer_waits{0};  ///< For room.
  /// Futex words: records have come; there is room again.
  alignas(64) std::atomic<std::uint32_t> came{0};
  std::atomic<std::uint32_t> went{0};
};

class SharedRing {
 public:
  /// `memory` begins with a RingHead of zeros; what follows is a power of two.
  explicit SharedRing(std::span<std::byte> memory)
      : head_{*reinterpret_cast<RingHead*>(memory.data())},
        data_{memory.data() + sizeof(RingHead)},
        size_{memory.size() - sizeof(RingHead)} {}

  static constexpr std::size_t memory_for(std::size_t size) { return sizeof(RingHead) + size; }
  /// The largest record: then there is always room for one when the ring is empty.
  std::size_t record_max() const { return size_ / 2 - sizeof(Record); }
  RingHead& head() const { return head_; }

  // The writer.

  /// Room for a record with so many bytes behind it; null: there is none now.
  Record* reserve(std::size_t bytes) {
    const std::uint64_t need = rounded(sizeof(Record) + bytes);
    const std::uint64_t written = head_.written.load(std::memory_order_relaxed);
    const std::uint64_t free = size_ - (written - head_.read.load(std::memory_order_acquire));
    const std::uint64_t to_end = size_ - written % size_;
    const std::uint64_t skipped = to_end < need ? to_end : 0;
    if (free < need + skipped) return nullptr;
    if (skipped > 0) *reinterpret_cast<std::uint64_t*>(data_ + written % size_) = kSkip;
    reserved_ = written + skipped;
    auto* const record = new (data_ + reserved_ % size_) Record;
    record->size = static_cast<std::uint32_t>(bytes);
    return record;
  }
  /// The same for one that grows in place, up to so many bytes: whoever writes sets `size`, then
  /// `at`. `publish` ends that.
  Record* open(std::size_t bytes) {
    Record* const record = reserve(bytes);
    if (record == nullptr) return nullptr;
    record->size = 0;
    head_.opened.store(reserved_ + 1, std::memory_order_release);
    return record;
  }
  /// The reader may have it now; where it ends.
  std::uint64_t publish(const Record& record) {
    const std::uint64_t end = reserved_ + rounded(sizeof(Record) + record.size);
    head_.written.store(end, std::memory_order_seq_cst);
    return end;
  }

  // The reader.

  enum class Look { Record, Empty, Malformed };
  /// The oldest record, which stays until `pop`.
  Look front(Record*& record) {
    std::uint64_t read = head_.read.load(std::memory_order_relaxed);
    for (;;) {
      const std::uint64_t there = head_.written.load(std::memory_order_acquire) - read;
      if (there == 0) return Look::Empty;
      const std::uint64_t to_end = size_ - read % size_;
      if (there > size_ || read % 8 != 0) return Look::Malformed;
      std::byte* const place = data_ + read % size_;
      if (*reinterpret_cast<const std::uint64_t*>(place) == kSkip) {
        if (there < to_end) return Look::Malformed;
        read += to_end;
        head_.read.store(read, std::memory_order_release);
        continue;
      }
      record = reinterpret_cast<Record*>(place);
      if (std::min(there, to_end) < sizeof(Record)) return Look::Malformed;
      next_ = rounded(sizeof(Record) + record->size);
      if (next_ > std::min(there, to_end)) return Look::Malformed;
      return Look::Record;
    }
  }
  void pop() {
    head_.read.store(head_.read.load(std::memory_order_relaxed) + next_, std::memory_order_seq_cst);
  }
  /// What a writer that is dead had open, with `at` of it; null: nothing.
  Record* left_open() const {
    const std::uint64_t opened = head_.opened.load(std::memory_order_acquire);
    const std::uint64_t written = head_.written.load(std::memory_order_acquire);
    if (opened <= written || opened - 1 - written >= size_ || (opened - 1) % 8 != 0) return nullptr;
    const std::uint64_t to_end = size_ - (opened - 1) % size_;
    auto* const record = reinterpret_cast<Record*>(data_ + (opened - 1) % size_);
    if (to_end < sizeof(Record) || record->size > to_end - sizeof(Record)) return nullptr;
    return record;
  }
  bool is_empty() const {
    return head_.written.load(std::memory_order_seq_cst) ==
           head_.read.load(std::memory_order_relaxed);
  }

 private:
  // The first eight bytes of what is left at the end: `size` is never that large.
  static constexpr std::uint64_t kSkip = UINT64_MAX;
  static constexpr std::uint64_t rounded(std::uint64_t bytes) { return (bytes + 7) & ~std::uint64_t{7}; }

  RingHead& head_;
  std::byte* const data_;
  const std::size_t size_;
  std::uint64_t reserved_ = 0;
  std::uint64_t next_ = 0;
};

}  // namespace cohort::pool
