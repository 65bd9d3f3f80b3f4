#include "cohort/value_to.h"

namespace cohort::detail {
namespace {

std::string_view name_of(const Value& value) {
  switch (value.type()) {
    case Value::Type::Undefined:
      return "nothing";
    case Value::Type::Null:
      return "null";
    case Value::Type::Bool:
      return "a boolean";
    case Value::Type::Number:
      return "a number";
    case Value::Type::BigInt:
      return "a BigInt";
    case Value::Type::String:
      return "a string";
    case Value::Type::Array:
      return "an array";
    case Value::Type::Object:
      return "an object";
    case Value::Type::Map:
      return "a Map";
    case Value::Type::Set:
      return "a Set";
    case Value::Type::Date:
      return "a Date";
    case Value::Type::RegExp:
      return "a RegExp";
    case Value::Type::Error:
      return "an Error";
    case Value::Type::Boxed:
      return "a boxed primitive";
    case Value::Type::Binary:
      break;
  }
  return to_string(*value.binary_kind());
}

}  // namespace

bool mismatch(const Value& found, std::string_view expected, Mismatch& why) {
  why.what = std::string(name_of(found)) + " where " + std::string(expected) + " should be";
  return false;
}

bool within(std::string_view name, Mismatch& why) {
  const bool is_outermost = why.path.empty() || why.path.starts_with('[');
  why.path = std::string(name) + (is_outermost ? "" : ".") + why.path;
  return false;
}

bool within(std::size_t index, Mismatch& why) {
  const bool is_outermost = why.path.empty() || why.path.starts_with('[');
  why.path = '[' + std::to_string(index) + ']' + (is_outermost ? "" : ".") + why.path;
  return false;
}

Error to_error(const Mismatch& why) {
  return make_error(Errc::InvalidArgument, why.path.empty() ? "read" : "read " + why.path,
                    why.what);
}

Value integer_value(bool negative, std::uint64_t magnitude) {
  constexpr std::uint64_t kExactMax = std::uint64_t{1} << 53;
  if (magnitude > kExactMax) return Value::bigint(negative, std::span(&magnitude, 1));
  const auto number = static_cast<double>(magnitude);
  return negative ? -number : number;
}

}  // namespace cohort::detail
