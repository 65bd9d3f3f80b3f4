// Decimal text of integers of any size, as 64-bit words, least significant first. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cohort::ipc {

/// Nothing unless the text is 1 to 10 000 decimal digits: the time grows with their square.
std::optional<std::vector<std::uint64_t>> parse_decimal(std::string_view digits);

/// Appends the decimal digits; those of more than 1024 words in hexadecimal, `0x...`.
void append_integer(std::span<const std::uint64_t> words, std::string& out);

}  // namespace cohort::ipc
