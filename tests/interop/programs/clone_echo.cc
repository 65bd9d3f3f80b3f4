// A child of Node in advanced mode, by hand: the codec and the framing on a bare socket.
//
//   {make: NAME}   sends the value of that name, made here
//   anything else  is sent back as it was read
#include <sys/socket.h>
#include <sys/uio.h>

#include <cmath>
#include <cstdlib>
#include <iostream>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ipc/framing.h"
#include "ipc/message.h"

namespace {

using cohort::Binary;
using cohort::Value;

/// The values that the script's own, of the same names, are compared with.
Value make(std::string_view name) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto bytes = [](std::string_view text) { return std::as_bytes(std::span(text)); };
  Value holes = Value::array_of_holes(4);
  holes[1] = 1;
  holes[2] = Value();
  const std::pair<std::string_view, Value> values[] = {
      {"undefined", {}},
      {"null", nullptr},
      {"number", -1.5},
      {"negative zero", -0.0},
      {"uint32", 4294967295.0},
      {"text", "h\u00e9 \u20ac \U0001f600"},
      {"lone surrogates", "\xed\xa0\x80 \xed\xbf\xbf"},
      {"long text", std::string(200'000, 't')},
      {"bigint", Value::bigint("-123456789012345678901234567890").value()},
      {"small bigint", Value::bigint(INT64_MIN)},
      {"array", {1, "two", nullptr}},
      {"holes", holes},
      {"object", {{"a", {{"b", {1, 2}}}}, {"7", "seven"}, {"\u20ac", Value()}}},
      {"date", Value::date(1e12)},
      {"invalid date", Value::date(nan)},
      {"regexp", Value::regexp("a/b+", "ygi")},
      {"error", Value::error("RangeError", "bad", "the stack", {{"why", Value::set({1})}})},
      {"bare error", Value::error("Error", {})},
      {"map", Value::map({{1, "a"}, {Value::array({1}), Value::map()}})},
      {"set", Value::set({1, "x", nan})},
      {"boxed",
       {Value::boxed(1), Value::boxed("s"), Value::boxed(false), Value::boxed(Value::bigint(9))}},
      {"buffer", Value::buffer("hey")},
      {"large buffer", Value::buffer(std::string(3'000'000, 'b'))},
      {"float32", Value::typed_array(std::vector<float>{1.5F, -2})},
      {"uint64", Value::typed_array(std::vector<std::uint64_t>{UINT64_MAX})},
      {"clamped", Value::binary(Binary::Uint8ClampedArray, bytes("ab"))},
      {"data view", Value::binary(Binary::DataView, bytes("view"))},
      {"array buffer", Value::binary(Binary::ArrayBuffer, bytes("bytes"))},
      {"resizable", Value::resizable_array_buffer(bytes("ab"), 8)},
  };
  for (const auto& [known, value] : values)
    if (known == name) return value;
  return Value::error("Error", std::string("no value ") + std::string(name));
}

void write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t size = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size <= 0) std::exit(3);
    bytes.remove_prefix(static_cast<std::size_t>(size));
  }
}

void send(int fd, const Value& value) {
  std::string text;
  std::vector<cohort::ipc::Attached> attached;
  const auto encoded = cohort::ipc::encode_message(value, cohort::Serialization::Advanced, text,
                                                   cohort::ipc::kMessageSizeMax, &attached);
  if (!encoded) {
    std::cerr << encoded.error() << '\n';
    std::exit(4);
  }
  std::size_t written = 0;
  for (const cohort::ipc::Attached& part : attached) {
    write_all(fd, std::string_view(text).substr(written, part.position - written));
    write_all(fd, {reinterpret_cast<const char*>(part.bytes.data()), part.bytes.size()});
    written = part.position;
  }
  write_all(fd, std::string_view(text).substr(written));
}

}  // namespace

int main() {
  const char* number = std::getenv("NODE_CHANNEL_FD");
  if (!number) return 2;
  const int fd = std::atoi(number);
  cohort::ipc::Decoder decoder(cohort::ipc::kMessageSizeMax, cohort::Serialization::Advanced);
  std::vector<char> buffer(65'536);
  for (;;) {
    const std::span<char> in_place = decoder.space();
    const std::span<char> space = in_place.empty() ? std::span<char>(buffer) : in_place;
    const ssize_t size = ::recv(fd, space.data(), space.size(), 0);
    if (size <= 0) return 0;
    decoder.feed({space.data(), static_cast<std::size_t>(size)});
    for (;;) {
      auto next = decoder.next();
      if (!next) {
        std::cerr << next.error() << '\n';
        return 5;
      }
      if (!*next) break;
      const Value& value = (*next)->value;
      send(fd, value["make"].is_string() ? make(value["make"].string_or({})) : value);
    }
  }
}
