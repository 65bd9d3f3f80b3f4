#include "base/recycled_memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

namespace cohort {
namespace {

// Larger than any that is reused, the last one.
const std::vector<std::size_t> kSizes{1, 40, 64, 65, 192, 5000};

TEST(RecycledMemory, PiecesThatAreInUseDoNotOverlap) {
  for (const std::size_t size : kSizes) {
    std::set<char*> pieces;
    for (int i = 0; i < 1000; ++i) pieces.insert(static_cast<char*>(take_recycled(size)));
    ASSERT_EQ(pieces.size(), 1000U);
    for (auto each = pieces.begin(), next = std::next(each); next != pieces.end(); ++each, ++next)
      EXPECT_LE(*each + size, *next);
    for (char* const piece : pieces) give_recycled(piece, size);
  }
}

TEST(RecycledMemory, WhatIsThereWhenAThreadTakesTheMemoryOfAnotherIsItsOwn) {
  struct Piece {
    unsigned char* bytes;
    std::size_t size;
    unsigned char mark;
  };
  std::mutex mutex;
  std::deque<Piece> on_their_way;
  constexpr int kCount = 50'000;
  std::thread maker{[&] {
    for (int i = 0; i < kCount; ++i) {
      const std::size_t size = kSizes[static_cast<std::size_t>(i) % kSizes.size()];
      const Piece piece{static_cast<unsigned char*>(take_recycled(size)), size,
                        static_cast<unsigned char>(i)};
      std::memset(piece.bytes, piece.mark, size);
      const std::lock_guard lock{mutex};
      on_their_way.push_back(piece);
    }
  }};
  int whole = 0;
  for (int taken = 0; taken < kCount;) {
    std::deque<Piece> came;
    {
      const std::lock_guard lock{mutex};
      came.swap(on_their_way);
    }
    for (const Piece& piece : came) {
      whole += std::all_of(piece.bytes, piece.bytes + piece.size,
                           [&](unsigned char byte) { return byte == piece.mark; });
      give_recycled(piece.bytes, piece.size);
    }
    taken += static_cast<int>(came.size());
    if (came.empty()) std::this_thread::yield();
  }
  maker.join();
  EXPECT_EQ(whole, kCount);
}

TEST(RecycledMemory, ContainersWork) {
  std::vector<int, RecyclingAllocator<int>> numbers;
  for (int i = 0; i < 1000; ++i) numbers.push_back(i);
  const auto copy = numbers;
  numbers.clear();
  numbers.shrink_to_fit();
  EXPECT_EQ(copy[999], 999);
}

TEST(RecycledMemory, AThreadsLastMomentsMayGiveSomeBack) {
  // Made before the thread's own memory is: it goes after it.
  struct Late {
    void* piece = nullptr;
    ~Late() {
      give_recycled(piece, 64);
      give_recycled(take_recycled(64), 64);
    }
  };
  std::thread{[] {
    thread_local Late late;
    late.piece = take_recycled(64);
    EXPECT_NE(late.piece, nullptr);
  }}.join();
}

}  // namespace
}  // namespace cohort
