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
/// The same for what Value's strings hold (WTF-8): half of a surrogate pair is a code point, too.
char32_t decode_wtf8(std::string_view text, std::size_t& position) noexcept;

constexpr bool is_surrogate(char32_t code) { return code >= 0xd800 && code <= 0xdfff; }
/// Appends the one to four bytes of a code point, which may be half of a surrogate pair.
void append_code_point(char32_t code, std::string& out);

/// Appends `text` with every broken sequence replaced.
void append_utf8(std::string_view text, std::string& out);

/// How many bytes from `begin` on are ASCII.
std::size_t count_ascii(std::string_view text) noexcept;

}  // namespace cohort::ipc
