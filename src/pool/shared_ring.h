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
    const std::uint64_t written = written_;
    const std::uint64_t used = written - head_.read.load(std::memory_order_acquire);
    if (used > size_) return nullptr;  // whoever reads has lost its mind
    const std::uint64_t free = size_ - used;
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
    written_ = reserved_ + rounded(sizeof(Record) + record.size);
    head_.written.store(written_, std::memory_order_seq_cst);
    return written_;
  }

  // The reader.

  enum class Look { Record, Empty, Malformed };
  /// The oldest record and its bytes, which stay until `pop`. The writer may change them: what is
  /// looked at more than once is copied first.
  Look front(Record*& record, std::string_view& text) {
    for (;;) {
      const std::uint64_t there = head_.written.load(std::memory_order_acquire) - read_;
      if (there == 0) return Look::Empty;
      const std::uint64_t to_end = size_ - read_ % size_;
      if (there > size_ || there % 8 != 0) return Look::Malformed;
      std::byte* const place = data_ + read_ % size_;
      if (std::atomic_ref{*reinterpret_cast<std::uint64_t*>(place)}.load() == kSkip) {
        if (there < to_end) return Look::Malformed;
        read_ += to_end;
        head_.read.store(read_, std::memory_order_release);
        continue;
      }
      record = reinterpret_cast<Record*>(place);
      if (std::min(there, to_end) < sizeof(Record)) return Look::Malformed;
      const std::uint64_t size = std::atomic_ref{record->size}.load();
      next_ = rounded(sizeof(Record) + size);
      if (next_ > std::min(there, to_end)) return Look::Malformed;
      text = {reinterpret_cast<const char*>(record->bytes()), size};
      return Look::Record;
    }
  }
  void pop() {
    read_ += next_;
    head_.read.store(read_, std::memory_order_seq_cst);
  }
  /// What a writer that is dead had open, with `at` of it; null: nothing.
  Record* left_open(std::string_view& text) const {
    const std::uint64_t opened = head_.opened.load(std::memory_order_acquire);
    const std::uint64_t written = head_.written.load(std::memory_order_acquire);
    if (opened <= written || opened - 1 - written >= size_ || (opened - 1) % 8 != 0) return nullptr;
    const std::uint64_t to_end = size_ - (opened - 1) % size_;
    auto* const record = reinterpret_cast<Record*>(data_ + (opened - 1) % size_);
    if (to_end < sizeof(Record)) return nullptr;
    const std::uint64_t size = std::atomic_ref{record->size}.load();
    if (size > to_end - sizeof(Record)) return nullptr;
    text = {reinterpret_cast<const char*>(record->bytes()), size};
    return record;
  }
  bool is_empty() const { return head_.written.load(std::memory_order_seq_cst) == read_; }

 private:
  // The first eight bytes of what is left at the end: `size` is never that large.
  static constexpr std::uint64_t kSkip = UINT64_MAX;
  static constexpr std::uint64_t rounded(std::uint64_t bytes) {
    return (bytes + 7) & ~std::uint64_t{7};
  }

  RingHead& head_;
  std::byte* const data_;
  const std::size_t size_;
  // Each side's own: what lies in the memory the other could change.
  std::uint64_t written_ = 0;
  std::uint64_t reserved_ = 0;
  std::uint64_t read_ = 0;
  std::uint64_t next_ = 0;
};

}  // namespace cohort::pool
