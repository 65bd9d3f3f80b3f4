// What one message costs in the codec: parse, classify, print. `Boost...` is the same work by
// Boost.JSON's own values with reused memory, to compare with in the same run; bench/run compares
// with Node.
#include <benchmark/benchmark.h>

#include <boost/json/parse.hpp>
#include <boost/json/parser.hpp>
#include <boost/json/serializer.hpp>
#include <boost/json/static_resource.hpp>
#include <string>

#include "ipc/framing.h"
#include "ipc/json.h"
#include "ipc/message.h"

namespace {

using cohort::Value;

// 50 bytes.
const std::string kSmall = R"({"cmd":"notifyRequest","worker":3,"requests":1234})";
const std::string kCluster = R"({"cmd":"NODE_CLUSTER","ack":1,"accepted":true,"seq":3})";

void Parse(benchmark::State& state, const std::string& text) {
  cohort::ipc::JsonParser parser;
  for (auto _ : state) benchmark::DoNotOptimize(parser.parse(text));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}
BENCHMARK_CAPTURE(Parse, small, kSmall);
BENCHMARK_CAPTURE(Parse, cluster, kCluster);

void Print(benchmark::State& state, const std::string& text) {
  const Value value = cohort::parse_json(text).value();
  std::string out;
  for (auto _ : state) {
    out.clear();
    benchmark::DoNotOptimize(cohort::ipc::encode_line(value, out));
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}
BENCHMARK_CAPTURE(Print, small, kSmall);
BENCHMARK_CAPTURE(Print, cluster, kCluster);

void BoostParse(benchmark::State& state) {
  boost::json::parser parser;
  unsigned char memory[4096];
  for (auto _ : state) {
    boost::json::static_resource resource(memory);
    parser.reset(&resource);
    parser.write(kSmall);
    benchmark::DoNotOptimize(parser.release());
  }
}
BENCHMARK(BoostParse);

void BoostPrint(benchmark::State& state) {
  const boost::json::value value = boost::json::parse(kSmall);
  boost::json::serializer serializer;
  char buffer[256];
  for (auto _ : state) {
    serializer.reset(&value);
    benchmark::DoNotOptimize(serializer.read(buffer));
  }
}
BENCHMARK(BoostPrint);

void BuildAndPrint(benchmark::State& state) {
  std::string out;
  for (auto _ : state) {
    out.clear();
    benchmark::DoNotOptimize(cohort::ipc::encode_line({{"cmd", "notifyRequest"}}, out));
  }
}
BENCHMARK(BuildAndPrint);

/// A read's worth of small messages, as the channel gets them.
void DecodeLines(benchmark::State& state) {
  std::string chunk;
  while (chunk.size() < 60'000) chunk += kSmall + "\n";
  cohort::ipc::Decoder decoder;
  std::int64_t messages = 0;
  for (auto _ : state) {
    decoder.feed(chunk);
    while (*decoder.next()) ++messages;
  }
  state.SetItemsProcessed(messages);
}
BENCHMARK(DecodeLines);

void ParseLargeString(benchmark::State& state) {
  Parse(state, "\"" + std::string(1 << 20, 'x') + "\"");
}
BENCHMARK(ParseLargeString);

void PrintLargeString(benchmark::State& state) {
  Print(state, "\"" + std::string(1 << 20, 'x') + "\"");
}
BENCHMARK(PrintLargeString);

void ParseObjectOfManyMembers(benchmark::State& state) {
  std::string text = "{";
  for (int i = 0; i < 10'000; ++i) text += "\"member " + std::to_string(i) + "\":1,";
  text.back() = '}';
  Parse(state, text);
}
BENCHMARK(ParseObjectOfManyMembers);

}  // namespace

BENCHMARK_MAIN();
