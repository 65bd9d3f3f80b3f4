// What a worker of a pool that has gone mad leaves in the memory it shares with the pool: the pool
// reads nothing beyond it, and ends.
//
// The input is rounds: two bytes, how far the worker says it has written; two, where it has a
// record open; one, how many bytes follow (in units of 8) that it has written from where the pool
// reads.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "pool/shared_ring.h"
#include "pool/worker_link.h"

namespace {

using namespace cohort;
using pool::SharedRing;

constexpr std::size_t kSize = 512;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "violated: %s\n", what);
  std::abort();
}

std::uint8_t sum_of(std::string_view text) {
  std::uint8_t sum = 0;
  for (const char byte : text) sum = static_cast<std::uint8_t>(sum + byte);
  return sum;
}

// Looks at every byte, as its reader would: a copy first.
void read_record(std::string_view shared) {
  const std::string text{shared};
  pool::FrameReader frames{text};
  ipc::CloneDecoder decoder;
  std::size_t read = 0;
  while (frames.next()) {
    read += frames.value().size();
    std::ignore = pool::unpack(frames.value(), false, decoder);
  }
  require(read + frames.left().size() <= text.size(), "frames are parts of the record");
  std::ignore = pool::unpack(text, false, decoder);
  std::string_view inputs;
  if (const auto name = pool::name_of(text, inputs))
    require(sum_of(*name) + sum_of(inputs) >= 0, "they can be read");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Exactly as large as it says, so that a sanitizer sees what is beyond it.
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  const std::size_t whole = SharedRing::memory_for(kSize);
  const std::unique_ptr<std::byte, Free> memory{
      static_cast<std::byte*>(std::aligned_alloc(alignof(pool::RingHead), whole))};
  std::memset(memory.get(), 0, whole);
  new (memory.get()) pool::RingHead;
  SharedRing ring{{memory.get(), whole}};
  std::byte* const records = memory.get() + sizeof(pool::RingHead);

  std::string_view input{reinterpret_cast<const char*>(data), size};
  const auto take = [&input](auto number) {
    std::memcpy(&number, input.data(), std::min(sizeof number, input.size()));
    input.remove_prefix(std::min(sizeof number, input.size()));
    return number;
  };
  while (!input.empty()) {
    auto& head = ring.head();
    head.written.fetch_add(take(std::uint16_t{0}));
    head.opened.store(head.written.load() + take(std::uint16_t{0}));
    const std::uint64_t at = head.read.load() % kSize;
    const std::size_t bytes = std::min({std::size_t{take(std::uint8_t{0})} * 8, input.size(),
                                        static_cast<std::size_t>(kSize - at)});
    std::memcpy(records + at, input.data(), bytes);
    input.remove_prefix(bytes);

    pool::Record* record = nullptr;
    std::string_view text;
    auto look = SharedRing::Look::Empty;
    for (int count = 0; (look = ring.front(record, text)) == SharedRing::Look::Record; ++count) {
      require(count < static_cast<int>(kSize / sizeof(pool::Record)), "it ends");
      read_record(text);
      ring.pop();
    }
    if (ring.left_open(text) != nullptr) read_record(text);
    if (look == SharedRing::Look::Malformed) break;  // the pool kills such a worker
  }
  return 0;
}
