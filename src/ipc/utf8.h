// UTF-8, one code point at a time, with the replacement rule of the web (and of Node): each maximal
// piece of a broken sequence is one U+FFFD. Pure; any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace cohort::ipc {

/// What `decode_utf8` gives for bytes that are not UTF-8; larger than any code point.
inline constexpr char32_t kNotUtf8 = 0xffffffff;
inline constexpr std::string_view kReplacement = "\xef\xbf\xbd";

/// The code point at `position` (which is below the size), or kNotUtf8; `position` is moved behind
/// it.
char32_t decode_utf8(std::string_view text, std::size_t& position) noexcept;

/// Appends `text` with every broken sequence replaced.
void append_utf8(std::string_view text, std::string& out);

}  // namespace cohort::ipc
