#include "ipc/bigint.h"

#include <algorithm>
#include <charconv>

namespace cohort::ipc {
namespace {

__extension__ using Wide = unsigned __int128;

constexpr std::size_t kDigitsMax = 10'000;
constexpr std::size_t kDecimalWordsMax = 1024;
// The largest power of ten below 2^64: so many digits are read or written at once.
constexpr std::uint64_t kChunk = 10'000'000'000'000'000'000u;
constexpr std::size_t kChunkDigits = 19;

void append_padded(std::uint64_t number, int base, std::size_t width, std::string& out) {
  char buffer[24];
  const char* end = std::to_chars(buffer, std::end(buffer), number, base).ptr;
  const auto size = static_cast<std::size_t>(end - buffer);
  out.append(width > size ? width - size : 0, '0').append(buffer, size);
}

}  // namespace

std::optional<std::vector<std::uint64_t>> parse_decimal(std::string_view digits) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (digits.empty() || digits.size() > kDigitsMax || !std::ranges::all_of(digits, is_digit))
    return std::nullopt;
  std::vector<std::uint64_t> words;
  while (!digits.empty()) {
    const std::string_view piece = digits.substr(0, std::min(kChunkDigits, digits.size()));
    digits.remove_prefix(piece.size());
    std::uint64_t carry = 0;
    std::from_chars(piece.data(), piece.data() + piece.size(), carry);
    std::uint64_t scale = 1;
    for (std::size_t i = 0; i < piece.size(); ++i) scale *= 10;
    for (std::uint64_t& word : words) {
      const Wide product = Wide{word} * scale + carry;
      word = static_cast<std::uint64_t>(product);
      carry = static_cast<std::uint64_t>(product >> 64);
    }
    if (carry) words.push_back(carry);
  }
  return words;
}

void append_integer(std::span<const std::uint64_t> words, std::string& out) {
  if (words.empty()) return void(out += '0');
  if (words.size() > kDecimalWordsMax) {
    out += "0x";
    for (std::size_t i = words.size(); i-- > 0;)
      append_padded(words[i], 16, i + 1 == words.size() ? 0 : 16, out);
    return;
  }
  std::vector<std::uint64_t> rest(words.begin(), words.end());
  std::vector<std::uint64_t> chunks;
  while (!rest.empty()) {
    std::uint64_t remainder = 0;
    for (std::size_t i = rest.size(); i-- > 0;) {
      const Wide dividend = Wide{remainder} << 64 | rest[i];
      rest[i] = static_cast<std::uint64_t>(dividend / kChunk);
      remainder = static_cast<std::uint64_t>(dividend % kChunk);
    }
    chunks.push_back(remainder);
    while (!rest.empty() && rest.back() == 0) rest.pop_back();
  }
  for (std::size_t i = chunks.size(); i-- > 0;)
    append_padded(chunks[i], 10, i + 1 == chunks.size() ? 0 : kChunkDigits, out);
}

}  // namespace cohort::ipc
