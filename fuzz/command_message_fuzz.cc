// What a command of a pool prints, in any pieces: the same lines come out, each is an answer or an
// error that says what is wrong, and none is about a call that cannot be.
//
// The first byte of the input seeds the sizes of the pieces.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "pool/command_message.h"

namespace {

using namespace cohort;

constexpr std::size_t kLineMax = 1000;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "violated: %s\n", what);
  std::abort();
}

struct Outcome {
  std::vector<std::string> lines;
  bool went_well = true;
  bool operator==(const Outcome&) const = default;
};

Outcome read(std::string_view text, unsigned seed, std::size_t piece_max) {
  Outcome outcome;
  pool::LineReader reader{kLineMax};
  while (!text.empty() && outcome.went_well) {
    seed = seed * 1664525 + 1013904223;
    const std::string_view piece = text.substr(0, 1 + (seed >> 8) % piece_max);
    text.remove_prefix(piece.size());
    outcome.went_well = reader.feed(piece, [&](std::string_view line) {
      outcome.lines.emplace_back(line);
      return true;
    });
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text{reinterpret_cast<const char*>(data) + 1, size - 1};
  const Outcome outcome = read(text, data[0], 7);
  const Outcome whole = read(text, data[0], std::max<std::size_t>(text.size(), 1));
  // Both stop at the line that is too long.
  require(outcome == whole, "the pieces make no difference");
  for (const std::string& line : outcome.lines) {
    require(line.size() <= kLineMax, "no line is too long");
    const auto message = pool::message_of_line(line);
    require(message || !message.error().message().empty(), "it says what is wrong");
    require(!pool::beginning_of(line).empty(), "it can be shown");
    if (const auto value = parse_json(line)) std::ignore = pool::message_of_channel(*value);
  }
  return 0;
}
