#include "ipc/json.h"

#include <boost/json/basic_parser_impl.hpp>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "ipc/primitives.h"
#include "ipc/utf8.h"

namespace cohort::ipc {
namespace {

using boost::json::error_code;

/// Builds a Value from the parser's events.
class Builder {
 public:
  static constexpr std::size_t max_array_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_object_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_string_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_key_size = std::numeric_limits<std::size_t>::max();

  /// What was built; nothing remains here, also after a failure.
  Value take() {
    open_.clear();
    text_.clear();
    return std::exchange(root_, Value());
  }

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_array_begin(error_code&) { return open(Value::array()); }
  bool on_object_begin(error_code&) { return open(Value::object()); }
  bool on_array_end(std::size_t, error_code&) { return close(); }
  bool on_object_end(std::size_t, error_code&) { return close(); }
  bool on_string_part(std::string_view part, std::size_t, error_code&) { return add_text(part); }
  bool on_key_part(std::string_view part, std::size_t, error_code&) { return add_text(part); }
  bool on_string(std::string_view last, std::size_t, error_code&) {
    place(Value(whole_text(last)));
    text_.clear();
    return true;
  }
  bool on_key(std::string_view last, std::size_t, error_code&) {
    member_ = &(*open_.back())[whole_text(last)];
    text_.clear();
    return true;
  }
  // Texts are given to the parser whole, so numbers come in one piece.
  bool on_number_part(std::string_view, error_code&) { return true; }
  bool on_int64(std::int64_t number, std::string_view text, error_code&) {
    return place(number == 0 && text.front() == '-' ? Value(-0.0) : Value(number));
  }
  bool on_uint64(std::uint64_t number, std::string_view, error_code&) { return place(number); }
  /// `approximate` may be off by a unit in the last place, but knows overflow from underflow.
  bool on_double(double approximate, std::string_view text, error_code&) {
    double exact = approximate;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), exact);
    if (error == std::errc::result_out_of_range)
      exact = std::abs(approximate) < 1 ? std::copysign(0.0, approximate)
                                        : std::copysign(HUGE_VAL, approximate);
    return place(exact);
  }
  bool on_bool(bool boolean, error_code&) { return place(boolean); }
  bool on_null(error_code&) { return place(nullptr); }
  bool on_comment_part(std::string_view, error_code&) { return false; }
  bool on_comment(std::string_view, error_code&) { return false; }

 private:
  /// Where the text goes on: the next element, the member whose key was read, or the root.
  Value& next_place() {
    if (open_.empty()) return root_;
    Value& container = *open_.back();
    if (!container.is_array()) return *member_;
    container.push_back({});
    return container[container.size() - 1];
  }
  bool place(Value value) {
    next_place() = std::move(value);
    return true;
  }
  bool open(Value container) {
    Value& opened = next_place();
    opened = std::move(container);
    open_.push_back(&opened);
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }
  bool add_text(std::string_view part) {
    text_ += part;
    return true;
  }
  std::string_view whole_text(std::string_view last) {
    return text_.empty() ? last : std::string_view(text_ += last);
  }

  Value root_;
  // The open containers, outermost first. Only the innermost grows, so the pointers stay valid.
  std::vector<Value*> open_;
  Value* member_ = nullptr;  ///< Whose value comes next, if the innermost is an object.
  std::string text_;         ///< The beginning of a string or key that comes in several parts.
};

boost::json::parse_options make_options(bool repaired) {
  boost::json::parse_options options;
  options.max_depth = kJsonDepthMax;
  options.allow_invalid_utf8 = repaired;
  return options;
}

/// The code unit of a `\uXXXX` at `position`, or nothing.
std::optional<unsigned> unicode_escape(std::string_view text, std::size_t position) {
  if (position + 6 > text.size() || text[position] != '\\' || text[position + 1] != 'u') return {};
  unsigned code = 0;
  const char* end = text.data() + position + 6;
  const auto result = std::from_chars(end - 4, end, code, 16);
  if (result.ec != std::errc{} || result.ptr != end) return {};
  return code;
}

/// The text without what is legal for Node and not for the parser: U+FFFD for bytes that are not
/// UTF-8, and the three bytes of WTF-8 for halves of surrogate pairs, which JSON.stringify escapes.
/// Nothing if there is no such thing.
std::optional<std::string> repair(std::string_view text) {
  std::string repaired;
  repaired.reserve(text.size());
  append_utf8(text, repaired);
  for (std::size_t i = 0; (i = repaired.find('\\', i)) != std::string::npos;) {
    const auto unit = unicode_escape(repaired, i);
    if (!unit || *unit < 0xd800 || *unit > 0xdfff) {
      i += 2;
      continue;
    }
    const auto low = unicode_escape(repaired, i + 6);
    const bool paired = *unit < 0xdc00 && low && *low >= 0xdc00 && *low <= 0xdfff;
    if (!paired) {
      std::string half;
      append_code_point(*unit, half);
      repaired.replace(i, 6, half);
    }
    i += paired ? 12 : 3;
  }
  if (repaired == text) return {};
  return repaired;
}

}  // namespace

class JsonParser::Impl {
 public:
  Result<Value> parse(std::string_view text) {
    Result<Value> result = run(parser_, text);
    if (result) return result;
    const std::optional<std::string> repaired = repair(text);
    if (!repaired) return result;
    if (!repaired_parser_) repaired_parser_ = std::make_unique<Parser>(make_options(true));
    return run(*repaired_parser_, *repaired);
  }

 private:
  using Parser = boost::json::basic_parser<Builder>;

  static Result<Value> run(Parser& parser, std::string_view text) {
    const error_code error = write(parser, text);
    Value value = parser.handler().take();
    if (!error) return value;
    return make_error(Errc::MalformedMessage, "parse JSON", error.message());
  }

  static error_code write(Parser& parser, std::string_view text) {
    error_code error;
    parser.reset();
    const std::size_t consumed = parser.write_some(false, text.data(), text.size(), error);
    if (!error && consumed < text.size()) error = boost::json::error::extra_data;
    return error;
  }

  Parser parser_{make_options(false)};
  std::unique_ptr<Parser> repaired_parser_;  ///< Takes WTF-8; made when it is first needed.
};

JsonParser::JsonParser() : impl_{std::make_unique<Impl>()} {}
JsonParser::~JsonParser() = default;
JsonParser::JsonParser(JsonParser&&) noexcept = default;
JsonParser& JsonParser::operator=(JsonParser&&) noexcept = default;

Result<Value> JsonParser::parse(std::string_view text) { return impl_->parse(text); }

// ---- Printing

namespace {

/// True for the bytes that a JSON string holds as they are and that need no check.
constexpr bool is_plain(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x20 && byte < 0x80 && c != '"' && c != '\\';
}

/// Whether eight bytes may stand in a string as they are.
bool are_plain(std::uint64_t word) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  constexpr std::uint64_t kHighs = kOnes * 0x80;
  const std::uint64_t quote = word ^ (kOnes * '"');
  const std::uint64_t backslash = word ^ (kOnes * '\\');
  // A high bit is left where a byte is above 0x7f, a quote, a backslash, or below 0x20 (and perhaps
  // in bytes above one of these, which does not matter).
  return ((word | (word - kOnes * 0x20) | (quote - kOnes) | (backslash - kOnes)) & kHighs) == 0;
}

/// The length of the plain text from `begin` on: eight bytes at a time.
std::size_t count_plain(const char* begin, const char* end) {
  const char* p = begin;
  std::uint64_t word;
  for (; end - p >= 8; p += 8) {
    std::memcpy(&word, p, 8);
    if (!are_plain(word)) break;
  }
  if (end - p < 8) {
    word = 0x2020202020202020;
    std::memcpy(&word, p, static_cast<std::size_t>(end - p));
    if (are_plain(word)) return static_cast<std::size_t>(end - begin);
  }
  while (p < end && is_plain(*p)) ++p;
  return static_cast<std::size_t>(p - begin);
}

void append_unicode_escape(char32_t code, std::string& out) {
  constexpr char kHex[] = "0123456789abcdef";
  out += "\\u";
  for (const int shift : {12, 8, 4, 0}) out += kHex[code >> shift & 15];
}

void append_escape(char c, std::string& out) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\b':
      out += "\\b";
      return;
    case '\f':
      out += "\\f";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      append_unicode_escape(static_cast<unsigned char>(c), out);
  }
}

void append_string(std::string_view text, std::string& out) {
  out += '"';
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t plain = count_plain(text.data() + i, text.data() + text.size());
    out.append(text.data() + i, plain);
    i += plain;
    if (i == text.size()) break;
    if (static_cast<unsigned char>(text[i]) < 0x80) {
      append_escape(text[i++], out);
      continue;
    }
    const std::size_t start = i;
    const char32_t code = decode_wtf8(text, i);
    if (code == kNotUtf8)
      out += kReplacement;
    else if (is_surrogate(code))
      append_unicode_escape(code, out);
    else
      out.append(text, start, i - start);
  }
  out += '"';
}

/// Why a value has no JSON; a null pointer if it has.
using Refusal = const char*;
constexpr Refusal kTooDeep = "circular, or nested deeper than 1000";
constexpr Refusal kBigInt = "a BigInt has no JSON";

Refusal append_value(const Value& value, std::size_t depth_left, std::string& out);

/// The elements as JSON.stringify sees them: `104,101` of a Buffer, `"0":104,"1":101` of a typed
/// array.
Refusal append_binary(const Value& value, std::string& out) {
  const Binary kind = *value.binary_kind();
  if (kind == Binary::ArrayBuffer || kind == Binary::DataView) {
    out += "{}";
    return nullptr;
  }
  const bool is_buffer = kind == Binary::Buffer;
  out += is_buffer ? "{\"type\":\"Buffer\",\"data\":[" : "{";
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (i > 0) out += ',';
    if (!is_buffer) out.append("\"").append(std::to_string(i)).append("\":");
    const std::byte* element = value.bytes().data() + i * element_size(kind);
    if (kind == Binary::BigInt64Array || kind == Binary::BigUint64Array) return kBigInt;
    const double number = binary_element(kind, element);
    std::isfinite(number) ? append_number(number, out) : void(out += "null");
  }
  out += is_buffer ? "]}" : "}";
  return nullptr;
}

Refusal append_object(const Value& object, std::size_t depth_left, std::string& out) {
  out += '{';
  bool first = true;
  for (const auto& [key, member] : object.members()) {
    if (member.is_undefined()) continue;
    if (!std::exchange(first, false)) out += ',';
    append_string(key, out);
    out += ':';
    if (const Refusal refusal = append_value(member, depth_left, out)) return refusal;
  }
  out += '}';
  return nullptr;
}

Refusal append_array(const Value& array, std::size_t depth_left, std::string& out) {
  out += '[';
  bool first = true;
  for (const Value& element : array.elements()) {
    if (!std::exchange(first, false)) out += ',';
    if (const Refusal refusal = append_value(element, depth_left, out)) return refusal;
  }
  out += ']';
  return nullptr;
}

Refusal append_value(const Value& value, std::size_t depth_left, std::string& out) {
  switch (value.type()) {
    case Value::Type::Undefined:
    case Value::Type::Null:
      out += "null";
      return nullptr;
    case Value::Type::Bool:
      out += value.bool_or(false) ? "true" : "false";
      return nullptr;
    case Value::Type::Number: {
      const double number = value.number_or(0);
      std::isfinite(number) ? append_number(number, out) : void(out += "null");
      return nullptr;
    }
    case Value::Type::String:
      append_string(value.string_or({}), out);
      return nullptr;
    case Value::Type::Array:
      return depth_left ? append_array(value, depth_left - 1, out) : kTooDeep;
    case Value::Type::Object:
      return depth_left ? append_object(value, depth_left - 1, out) : kTooDeep;
    case Value::Type::BigInt:
      return kBigInt;
    case Value::Type::Boxed:
      return append_value(value.unboxed(), depth_left, out);
    case Value::Type::Binary:
      return append_binary(value, out);
    case Value::Type::Date: {
      const double ms = value.date_or(0);
      if (std::isnan(ms))
        out += "null";
      else
        ((out += '"') += iso_date(ms)) += '"';
      return nullptr;
    }
    case Value::Type::Map:
    case Value::Type::Set:
    case Value::Type::RegExp:
    case Value::Type::Error:
      break;
  }
  out += "{}";
  return nullptr;
}

}  // namespace

}  // namespace cohort::ipc

namespace cohort {

Result<void> append_json(const Value& value, std::string& out) {
  const std::size_t size = out.size();
  if (value.is_undefined())
    return make_error(Errc::InvalidArgument, "print JSON", "undefined has no JSON");
  const ipc::Refusal refusal = ipc::append_value(value, ipc::kJsonDepthMax, out);
  if (refusal == nullptr) return {};
  out.resize(size);
  return make_error(Errc::InvalidArgument, "print JSON", refusal);
}

std::string to_json(const Value& value) {
  std::string out;
  return append_json(value, out) ? out : std::string();
}

Result<Value> parse_json(std::string_view text) { return ipc::JsonParser().parse(text); }

}  // namespace cohort
