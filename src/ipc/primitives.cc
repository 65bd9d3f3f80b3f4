#include "ipc/primitives.h"

#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace cohort::ipc {
namespace {

/// `digits` with the decimal point after the first `point` of them.
void append_positional(std::string_view digits, int point, std::string& out) {
  const int count = static_cast<int>(digits.size());
  if (point <= 0) {
    out += "0.";
    out.append(static_cast<std::size_t>(-point), '0').append(digits);
  } else if (point >= count) {
    out.append(digits).append(static_cast<std::size_t>(point - count), '0');
  } else {
    out.append(digits.substr(0, static_cast<std::size_t>(point))) += '.';
    out.append(digits.substr(static_cast<std::size_t>(point)));
  }
}

void append_padded(int number, std::size_t width, std::string& out) {
  const std::string digits = std::to_string(number);
  out.append(width - digits.size(), '0').append(digits);
}

template <class T>
double read(const std::byte* bytes) noexcept {
  T element;
  std::memcpy(&element, bytes, sizeof element);
  return static_cast<double>(element);
}

/// IEEE 754 binary16: a sign, 5 bits of exponent, 10 of fraction.
double read_half(const std::byte* bytes) noexcept {
  std::uint16_t bits;
  std::memcpy(&bits, bytes, sizeof bits);
  const int exponent = bits >> 10 & 0x1f;
  const int fraction = bits & 0x3ff;
  double magnitude = std::ldexp(fraction + (exponent ? 0x400 : 0), (exponent ? exponent : 1) - 25);
  if (exponent == 0x1f) magnitude = fraction ? NAN : HUGE_VAL;
  return bits & 0x8000 ? -magnitude : magnitude;
}

}  // namespace

void append_number(double number, std::string& out) {
  char buffer[32];
  if (std::isnan(number)) return void(out += "NaN");
  if (std::isinf(number)) return void(out += number < 0 ? "-Infinity" : "Infinity");
  if (std::abs(number) < 0x1p53 && std::trunc(number) == number) {
    const auto end = std::to_chars(buffer, std::end(buffer), static_cast<std::int64_t>(number)).ptr;
    out.append(buffer, end);
    return;
  }
  // d.ddde[+-]xx, with the fewest digits that read back as the same number.
  const char* end =
      std::to_chars(buffer, std::end(buffer), std::abs(number), std::chars_format::scientific).ptr;
  const char* e = static_cast<const char*>(std::memchr(buffer, 'e', sizeof buffer));
  int exponent = 0;
  std::from_chars(e + (e[1] == '+' ? 2 : 1), end, exponent);
  std::string_view digits(buffer, static_cast<std::size_t>(e - buffer));
  if (digits.size() > 1) {  // drop the point: move the first digit over it
    buffer[1] = buffer[0];
    digits.remove_prefix(1);
  }
  if (number < 0) out += '-';
  if (exponent >= -6 && exponent < 21) return append_positional(digits, exponent + 1, out);
  out += digits[0];
  if (digits.size() > 1) (out += '.').append(digits.substr(1));
  out += exponent < 0 ? "e-" : "e+";
  const auto exponent_end = std::to_chars(buffer, std::end(buffer), std::abs(exponent)).ptr;
  out.append(buffer, exponent_end);
}

std::string iso_date(double ms) {
  namespace chrono = std::chrono;
  // The calendar repeats every 400 years, or 146097 days: the date is taken in 2000 to 2399, since
  // chrono's years end at 32767 and those of a Date at 275760.
  const auto all = static_cast<std::int64_t>(ms);
  const std::int64_t day = chrono::floor<chrono::days>(chrono::milliseconds(all)).count();
  const std::int64_t from_2000 = day - 10957;
  const std::int64_t period = (from_2000 - ((from_2000 % 146097) + 146097) % 146097) / 146097;
  const chrono::year_month_day date(chrono::sys_days(chrono::days(day - period * 146097)));
  const chrono::hh_mm_ss clock(chrono::milliseconds(all) - chrono::days(day));
  const auto year = static_cast<int>(int{date.year()} + period * 400);

  std::string text;
  if (year < 0 || year > 9999) text += year < 0 ? '-' : '+';
  append_padded(std::abs(year), year < 0 || year > 9999 ? 6 : 4, text);
  append_padded(static_cast<int>(unsigned{date.month()}), 2, text += '-');
  append_padded(static_cast<int>(unsigned{date.day()}), 2, text += '-');
  append_padded(static_cast<int>(clock.hours().count()), 2, text += 'T');
  append_padded(static_cast<int>(clock.minutes().count()), 2, text += ':');
  append_padded(static_cast<int>(clock.seconds().count()), 2, text += ':');
  append_padded(static_cast<int>(clock.subseconds().count()), 3, text += '.');
  return text += 'Z';
}

double binary_element(Binary kind, const std::byte* bytes) noexcept {
  switch (kind) {
    case Binary::Int8Array:
      return read<std::int8_t>(bytes);
    case Binary::Int16Array:
      return read<std::int16_t>(bytes);
    case Binary::Uint16Array:
      return read<std::uint16_t>(bytes);
    case Binary::Int32Array:
      return read<std::int32_t>(bytes);
    case Binary::Uint32Array:
      return read<std::uint32_t>(bytes);
    case Binary::Float16Array:
      return read_half(bytes);
    case Binary::Float32Array:
      return read<float>(bytes);
    case Binary::Float64Array:
      return read<double>(bytes);
    default:
      return read<std::uint8_t>(bytes);
  }
}

}  // namespace cohort::ipc
