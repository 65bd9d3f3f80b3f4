// Small pieces of HTTP's grammar (RFC 9110), shared by parser and serialiser. Pure.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace cohort::http {

/// `tchar` of RFC 9110, section 5.6.2: what methods and field names consist of.
bool is_token_char(char c);
bool is_token(std::string_view text);
/// No control character but the tab: nothing in it can end a line (RFC 9110, section 5.5).
bool is_field_value(std::string_view text);
/// ASCII only, as header names are.
bool equals_ignoring_case(std::string_view a, std::string_view b);
/// 1*DIGIT, nothing else, that fits.
std::optional<std::uint64_t> parse_decimal(std::string_view text);
/// `OK` for 200; empty for a code that has no registered phrase.
std::string_view reason_phrase(int status);

}  // namespace cohort::http
