// What one message costs in the codec of advanced mode; json_bench has the same for JSON.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <tuple>
#include <vector>

#include "ipc/framing.h"
#include "ipc/message.h"

namespace {

using cohort::Serialization;
using cohort::Value;
using cohort::ipc::Decoder;
using cohort::ipc::kMessageSizeMax;

// 50 bytes as JSON.
const Value kSmall = {{"cmd", "notifyRequest"}, {"worker", 3}, {"requests", 1234}};
const Value kLarge = Value::buffer(std::string(8u << 20, 'x'));

std::string encoded(const Value& value) {
  std::string out;
  std::ignore = cohort::ipc::encode_message(value, Serialization::Advanced, out);
  return out;
}

void Encode(benchmark::State& state, const Value& value) {
  std::string out;
  std::vector<cohort::ipc::Attached> attached;
  for (auto _ : state) {
    out.clear();
    attached.clear();
    benchmark::DoNotOptimize(cohort::ipc::encode_message(value, Serialization::Advanced, out,
                                                         kMessageSizeMax, &attached));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK_CAPTURE(Encode, small, kSmall);
BENCHMARK_CAPTURE(Encode, buffer_of_8_mb, kLarge);

/// A read's worth of small messages, as the channel gets them.
void DecodeFrames(benchmark::State& state) {
  std::string chunk;
  while (chunk.size() < 60'000) chunk += encoded(kSmall);
  Decoder decoder(kMessageSizeMax, Serialization::Advanced);
  std::int64_t messages = 0;
  for (auto _ : state) {
    decoder.feed(chunk);
    while (*decoder.next()) ++messages;
  }
  state.SetItemsProcessed(messages);
}
BENCHMARK(DecodeFrames);

/// Reads of 64 KiB into the place that the decoder offers; beside it, the copy alone.
void DecodeLargeInPlace(benchmark::State& state) {
  const std::string frame = encoded(kLarge);
  Decoder decoder(kMessageSizeMax, Serialization::Advanced);
  std::vector<char> buffer(65'536);
  for (auto _ : state) {
    for (std::size_t read = 0; read < frame.size();) {
      std::span<char> space = decoder.space();
      if (space.empty()) space = buffer;
      const std::size_t size = std::min({space.size(), buffer.size(), frame.size() - read});
      std::memcpy(space.data(), frame.data() + read, size);
      read += size;
      decoder.feed({space.data(), size});
      benchmark::DoNotOptimize(decoder.next());
    }
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(frame.size()));
}
BENCHMARK(DecodeLargeInPlace);

void CopyLarge(benchmark::State& state) {
  const std::string frame = encoded(kLarge);
  for (auto _ : state) {
    std::string copy = frame;
    benchmark::DoNotOptimize(copy.data());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(frame.size()));
}
BENCHMARK(CopyLarge);

}  // namespace

BENCHMARK_MAIN();
