#include "ipc/utf8.h"

#include <cstdint>
#include <cstring>

namespace cohort::ipc {
namespace {

/// From 0xa0 on, a second byte behind 0xed makes a surrogate.
char32_t decode(std::string_view text, std::size_t& position, unsigned second_max_of_ed) noexcept {
  const auto lead = static_cast<unsigned char>(text[position++]);
  if (lead < 0x80) return lead;
  if (lead < 0xc2 || lead > 0xf4) return kNotUtf8;
  const int more = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
  char32_t code = lead & (0x3fU >> more);
  for (int i = 0; i < more; ++i) {
    if (position == text.size()) return kNotUtf8;
    const auto byte = static_cast<unsigned char>(text[position]);
    // The second byte is limited further: no over-long forms, nothing above
    // U+10FFFF.
    unsigned low = 0x80;
    unsigned high = 0xbf;
    if (i == 0 && lead == 0xe0) low = 0xa0;
    if (i == 0 && lead == 0xed) high = second_max_of_ed;
    if (i == 0 && lead == 0xf0) low = 0x90;
    if (i == 0 && lead == 0xf4) high = 0x8f;
    if (byte < low || byte > high) return kNotUtf8;
    code = (code << 6) | (byte & 0x3fU);
    ++position;
  }
  return code;
}

}  // namespace

char32_t decode_utf8(std::string_view text, std::size_t& position) noexcept {
  return decode(text, position, 0x9f);
}

char32_t decode_wtf8(std::string_view text, std::size_t& position) noexcept {
  return decode(text, position, 0xbf);
}

void append_code_point(char32_t code, std::string& out) {
  const auto more = [&](int shift) { out += static_cast<char>(0x80 | (code >> shift & 0x3f)); };
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xc0 | code >> 6);
    more(0);
  } else if (code < 0x10000) {
    out += static_cast<char>(0xe0 | code >> 12);
    more(6);
    more(0);
  } else {
    out += static_cast<char>(0xf0 | code >> 18);
    more(12);
    more(6);
    more(0);
  }
}

std::size_t count_ascii(std::string_view text) noexcept {
  std::size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    std::uint64_t word;
    std::memcpy(&word, text.data() + i, 8);
    if (word & 0x8080808080808080) break;
  }
  while (i < text.size() && static_cast<unsigned char>(text[i]) < 0x80) ++i;
  return i;
}

void append_utf8(std::string_view text, std::string& out) {
  std::size_t copied = 0;
  for (std::size_t position = 0; position < text.size();) {
    const std::size_t start = position;
    if (decode_utf8(text, position) != kNotUtf8) continue;
    out.append(text, copied, start - copied).append(kReplacement);
    copied = position;
  }
  out.append(text, copied);
}

}  // namespace cohort::ipc
