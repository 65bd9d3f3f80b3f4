#include "pool/shared_ring.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace cohort::pool {
namespace {

constexpr std::size_t kSize = 4096;

struct Memory {
  alignas(64) std::byte bytes[SharedRing::memory_for(kSize)]{};
  std::span<std::byte> span() { return bytes; }
};

bool write(SharedRing& ring, std::uint64_t id, std::string_view text) {
  Record* const record = ring.reserve(text.size());
  if (record == nullptr) return false;
  record->id = id;
  std::memcpy(record->bytes(), text.data(), text.size());
  ring.publish(*record);
  return true;
}

TEST(SharedRing, WhatIsWrittenIsReadInOrder) {
  Memory memory;
  SharedRing writer{memory.span()}, reader{memory.span()};
  Record* record = nullptr;
  std::string_view text;
  EXPECT_EQ(reader.front(record, text), SharedRing::Look::Empty);
  EXPECT_TRUE(write(writer, 1, "one"));
  EXPECT_TRUE(write(writer, 2, ""));
  ASSERT_EQ(reader.front(record, text), SharedRing::Look::Record);
  EXPECT_EQ(text, "one");
  reader.pop();
  ASSERT_EQ(reader.front(record, text), SharedRing::Look::Record);
  EXPECT_EQ(record->id, 2u);
  EXPECT_EQ(text, "");
  reader.pop();
  EXPECT_EQ(reader.front(record, text), SharedRing::Look::Empty);
}

TEST(SharedRing, AFullOneTakesNothingUntilThereIsRoom) {
  Memory memory;
  SharedRing ring{memory.span()};
  const std::string long_one(ring.record_max() / 2, 'x');
  int count = 0;
  while (write(ring, 1, long_one)) ++count;
  EXPECT_GE(count, 3);
  Record* record = nullptr;
  std::string_view text;
  ASSERT_EQ(ring.front(record, text), SharedRing::Look::Record);
  ring.pop();
  ASSERT_EQ(ring.front(record, text), SharedRing::Look::Record);
  ring.pop();
  EXPECT_TRUE(write(ring, 2, long_one));
}

TEST(SharedRing, TheLargestRecordFitsIntoAnEmptyOneWhereverItStands) {
  for (std::size_t before = 0; before < kSize; before += 40) {
    Memory memory;
    SharedRing ring{memory.span()};
    Record* record = nullptr;
    std::string_view text;
    for (std::size_t i = 0; i < before; i += 40 + sizeof(Record)) {
      ASSERT_TRUE(write(ring, 1, std::string(40, 'a')));
      ASSERT_EQ(ring.front(record, text), SharedRing::Look::Record);
      ring.pop();
    }
    ASSERT_TRUE(write(ring, 7, std::string(ring.record_max(), 'b'))) << before;
    ASSERT_EQ(ring.front(record, text), SharedRing::Look::Record);
    EXPECT_EQ(record->id, 7u);
  }
}

void append(Record& record, std::string_view text) {
  std::memcpy(record.bytes() + record.size, text.data(), text.size());
  record.size += static_cast<std::uint32_t>(text.size());
  record.at.fetch_add(1);
}

TEST(SharedRing, WhatGrowsIsReadOnceItIsPublished) {
  Memory memory;
  SharedRing writer{memory.span()}, reader{memory.span()};
  Record* const open = writer.open(1000);
  ASSERT_NE(open, nullptr);
  append(*open, "one");
  append(*open, "two");
  Record* record = nullptr;
  std::string_view text;
  EXPECT_EQ(reader.front(record, text), SharedRing::Look::Empty);
  writer.publish(*open);
  EXPECT_TRUE(write(writer, 2, "next")) << "only what it has is taken";
  ASSERT_EQ(reader.front(record, text), SharedRing::Look::Record);
  EXPECT_EQ(text, "onetwo");
  EXPECT_EQ(reader.left_open(text), nullptr);
  reader.pop();
  ASSERT_EQ(reader.front(record, text), SharedRing::Look::Record);
  EXPECT_EQ(text, "next");
}

TEST(SharedRing, WhatADeadWriterHadOpenIsThereWhereverItStood) {
  for (std::size_t before = 0; before < kSize; before += 40) {
    Memory memory;
    SharedRing writer{memory.span()}, reader{memory.span()};
    Record* record = nullptr;
    std::string_view text;
    for (std::size_t i = 0; i < before; i += 40 + sizeof(Record)) {
      ASSERT_TRUE(write(writer, 1, std::string(40, 'a')));
      ASSERT_EQ(reader.front(record, text), SharedRing::Look::Record);
      reader.pop();
    }
    EXPECT_EQ(reader.left_open(text), nullptr);
    Record* const open = writer.open(1000);
    ASSERT_NE(open, nullptr);
    append(*open, "text");
    const Record* const left = reader.left_open(text);
    ASSERT_NE(left, nullptr) << before;
    EXPECT_EQ(left->at.load(), 1u);
    EXPECT_EQ(text, "text");
  }
}

TEST(SharedRing, NothingIsReadBeyondTheMemoryWhateverItHolds) {
  std::mt19937 random{7};
  for (int round = 0; round < 20'000; ++round) {
    Memory memory;
    SharedRing ring{memory.span()};
    for (std::byte& each : memory.bytes) each = static_cast<std::byte>(random());
    // A position that is likely to be taken for a good one.
    if (round % 2 == 0) ring.head().written = random() % (kSize + 64) / 8 * 8;
    if (round % 4 == 0)
      ring.head().opened = ring.head().written + random() % (kSize + 64) / 8 * 8 + 1;
    std::string_view text;
    if (ring.left_open(text) != nullptr) {
      ASSERT_LE(reinterpret_cast<const std::byte*>(text.data()) + text.size(),
                memory.bytes + sizeof memory.bytes);
    }
    for (int i = 0; i < 10; ++i) {
      Record* record = nullptr;
      if (ring.front(record, text) != SharedRing::Look::Record) break;
      const auto* const begin = reinterpret_cast<const std::byte*>(record);
      ASSERT_GE(begin, memory.bytes + sizeof(RingHead));
      ASSERT_LE(reinterpret_cast<const std::byte*>(text.data()) + text.size(),
                memory.bytes + sizeof memory.bytes);
      ring.pop();
    }
  }
}

TEST(SharedRing, TwoThreadsPassManyRecordsOfAllSizes) {
  constexpr std::uint64_t kCount = 100'000;
  Memory memory;
  std::thread writing{[&] {
    SharedRing ring{memory.span()};
    for (std::uint64_t i = 0; i < kCount;)
      if (write(ring, i, std::string(i * 37 % 1500, static_cast<char>('a' + i % 26)))) ++i;
  }};
  SharedRing ring{memory.span()};
  for (std::uint64_t i = 0; i < kCount;) {
    Record* record = nullptr;
    std::string_view text;
    if (ring.front(record, text) != SharedRing::Look::Record) continue;
    EXPECT_EQ(record->id, i);
    EXPECT_EQ(text, std::string(i * 37 % 1500, static_cast<char>('a' + i % 26)));
    ring.pop();
    ++i;
  }
  writing.join();
}

}  // namespace
}  // namespace cohort::pool
