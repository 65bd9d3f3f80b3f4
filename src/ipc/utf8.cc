#include "ipc/utf8.h"

namespace cohort::ipc {

char32_t decode_utf8(std::string_view text, std::size_t& position) noexcept {
  const auto lead = static_cast<unsigned char>(text[position++]);
  if (lead < 0x80) return lead;
  if (lead < 0xc2 || lead > 0xf4) return kNotUtf8;
  const int more = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
  char32_t code = lead & (0x3fU >> more);
  for (int i = 0; i < more; ++i) {
    if (position == text.size()) return kNotUtf8;
    const auto byte = static_cast<unsigned char>(text[position]);
    // The second byte is limited further: no over-long forms, no surrogates, nothing above
    // U+10FFFF.
    unsigned low = 0x80;
    unsigned high = 0xbf;
    if (i == 0 && lead == 0xe0) low = 0xa0;
    if (i == 0 && lead == 0xed) high = 0x9f;
    if (i == 0 && lead == 0xf0) low = 0x90;
    if (i == 0 && lead == 0xf4) high = 0x8f;
    if (byte < low || byte > high) return kNotUtf8;
    code = (code << 6) | (byte & 0x3fU);
    ++position;
  }
  return code;
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
