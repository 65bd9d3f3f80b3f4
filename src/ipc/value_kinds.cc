// The kinds of Value beyond JSON's: made and read.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "cohort/value.h"
#include "ipc/bigint.h"
#include "ipc/value_node.h"

namespace cohort {
namespace {

// Indexed by Binary.
struct BinaryInfo {
  std::string_view name;
  std::size_t element_size;
};
constexpr BinaryInfo kBinaries[] = {
    {"Int8Array", 1},      {"Uint8Array", 1},   {"Uint8ClampedArray", 1},
    {"Int16Array", 2},     {"Uint16Array", 2},  {"Int32Array", 4},
    {"Uint32Array", 4},    {"Float32Array", 4}, {"Float64Array", 8},
    {"DataView", 1},       {"Buffer", 1},       {"BigInt64Array", 8},
    {"BigUint64Array", 8}, {"Float16Array", 2}, {"ArrayBuffer", 1}};
static_assert(std::size(kBinaries) == static_cast<std::size_t>(Binary::ArrayBuffer) + 1);

// The range of a JavaScript Date, in milliseconds to either side of 1970.
constexpr double kDateMax = 8.64e15;

/// An integer that `number` is exactly, if T can hold it.
template <class T>
std::optional<T> integer_of(double number) {
  // 2^63 and 2^64 are doubles, the largest integers are not.
  constexpr double kEnd = std::is_signed_v<T> ? 0x1p63 : 0x1p64;
  constexpr double kBegin = std::is_signed_v<T> ? -0x1p63 : 0;
  if (!(number >= kBegin && number < kEnd && std::trunc(number) == number)) return std::nullopt;
  return static_cast<T>(number);
}

}  // namespace

std::string_view to_string(Binary kind) noexcept {
  return kBinaries[static_cast<std::size_t>(kind)].name;
}
std::size_t element_size(Binary kind) noexcept {
  return kBinaries[static_cast<std::size_t>(kind)].element_size;
}

// ---- Making

Value Value::array_of_holes(std::size_t count) {
  Value value = array();
  value.node<ArrayNode>().elements.assign(count, Value(Tag::Hole));
  return value;
}

Value Value::bigint(bool negative, std::span<const std::uint64_t> words) {
  while (!words.empty() && words.back() == 0) words = words.first(words.size() - 1);
  auto* node = new BigIntNode;
  node->words.assign(words.begin(), words.end());
  node->negative = negative && !words.empty();
  return Value(node);
}

Result<Value> Value::bigint(std::string_view decimal) {
  const bool negative = decimal.starts_with('-');
  const auto words = ipc::parse_decimal(decimal.substr(negative ? 1 : 0));
  if (!words)
    return make_error(Errc::InvalidArgument, "make a BigInt", "not 1 to 10 000 decimal digits");
  return bigint(negative, *words);
}

Value Value::date(double ms) {
  const bool valid = std::abs(ms) <= kDateMax;
  return Value(
      new DateNode(valid ? std::trunc(ms) + 0.0 : std::numeric_limits<double>::quiet_NaN()));
}

Value Value::regexp(std::string_view source, std::string_view flags) {
  auto* node = new RegExpNode;
  node->source = source;
  std::string known;
  for (const char letter : std::string_view("dgimsuvy"))
    if (flags.find(letter) != flags.npos) known += letter;
  node->flags = known;
  return Value(node);
}

Value Value::error(std::string_view name, Value message) {
  return error(name, std::move(message), {}, {});
}

Value Value::error(std::string_view name, Value message, Value stack) {
  return error(name, std::move(message), std::move(stack), {});
}

Value Value::error(std::string_view name, Value message, Value stack, Value cause) {
  constexpr std::string_view kNames[] = {"EvalError",   "RangeError", "ReferenceError",
                                         "SyntaxError", "TypeError",  "URIError"};
  auto* node = new ErrorNode;
  node->name = std::ranges::find(kNames, name) == std::end(kNames) ? "Error" : name;
  if (message.is_string()) node->message = std::move(message);
  if (stack.is_string()) node->stack = std::move(stack);
  node->cause = cause.is_hole() ? Value() : std::move(cause);
  return Value(node);
}

Value Value::map() { return Value(new MapNode); }

Value Value::map(std::vector<Entry> entries) {
  std::list<Value> dropped;
  Internals::remove_duplicates(entries, dropped);
  Value value = map();
  value.node<MapNode>().entries = std::move(entries);
  return value;
}

Value Value::set() { return Value(new ArrayNode(Tag::Set)); }

Value Value::set(std::vector<Value> items) {
  std::list<Value> dropped;
  Internals::remove_duplicates(items, dropped);
  auto* node = new ArrayNode(Tag::Set);
  node->elements = std::move(items);
  return Value(node);
}

Value Value::boxed(Value primitive) {
  const bool has_box = primitive.is_bool() || primitive.is_number() || primitive.is_string() ||
                       primitive.is_bigint();
  return has_box ? Value(new BoxedNode(std::move(primitive))) : primitive;
}

namespace {

std::span<const std::byte> whole_elements(Binary kind, std::span<const std::byte> bytes) {
  return bytes.first(bytes.size() / element_size(kind) * element_size(kind));
}

}  // namespace

Value Value::binary(Binary kind, std::span<const std::byte> bytes) {
  return Value(BytesNode::copy<BinaryNode>(whole_elements(kind, bytes), kind));
}

Value Value::binary(Binary kind, std::span<const std::byte> bytes,
                    std::shared_ptr<const void> owner) {
  return Value(BytesNode::refer<BinaryNode>(whole_elements(kind, bytes), std::move(owner), kind));
}

Value Value::resizable_array_buffer(std::span<const std::byte> bytes, std::size_t size_max) {
  Value value = binary(Binary::ArrayBuffer, bytes);
  value.node<BinaryNode>().size_max = std::max(size_max, bytes.size());
  return value;
}

// ---- Reading

std::uint64_t Value::uint64_or(std::uint64_t fallback) const noexcept {
  if (!is_bigint()) return integer_of<std::uint64_t>(number_or(0.5)).value_or(fallback);
  const auto words = bigint_words();
  if (words.empty()) return 0;
  return words.size() == 1 && !bigint_is_negative() ? words[0] : fallback;
}

std::int64_t Value::int64_or(std::int64_t fallback) const noexcept {
  if (!is_bigint()) return integer_of<std::int64_t>(number_or(0.5)).value_or(fallback);
  const auto words = bigint_words();
  if (words.empty()) return 0;
  // Two's complement: the sign of the result tells whether it fits.
  const auto number = static_cast<std::int64_t>(bigint_is_negative() ? 0 - words[0] : words[0]);
  return words.size() == 1 && (number < 0) == bigint_is_negative() ? number : fallback;
}

bool Value::bigint_is_negative() const noexcept {
  return is_bigint() && node<BigIntNode>().negative;
}

std::span<const std::uint64_t> Value::bigint_words() const noexcept {
  if (!is_bigint()) return {};
  return node<BigIntNode>().words;
}

double Value::date_or(double fallback_ms) const noexcept {
  return is_date() ? node<DateNode>().ms : fallback_ms;
}

const Value& Value::unboxed() const noexcept {
  return is_boxed() ? node<BoxedNode>().primitive : *this;
}

std::optional<Binary> Value::binary_kind() const noexcept {
  if (!is_binary()) return std::nullopt;
  return node<BinaryNode>().kind;
}

std::span<const std::byte> Value::bytes() const noexcept {
  if (!is_binary()) return {};
  return node<BinaryNode>().bytes;
}

std::optional<std::size_t> Value::size_max() const noexcept {
  return is_binary() ? node<BinaryNode>().size_max : std::nullopt;
}

}  // namespace cohort
