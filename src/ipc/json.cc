#include "ipc/json.h"

#include <boost/json/basic_parser_impl.hpp>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

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

boost::json::parse_options make_options() {
  boost::json::parse_options options;
  options.max_depth = kJsonDepthMax;
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

/// The text with U+FFFD for what is legal for Node and not for the parser: halves of surrogate
/// pairs (JSON.stringify escapes them) and bytes that are not UTF-8. Nothing if there is no such
/// thing.
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
    if (!paired) repaired.replace(i, 6, "\\ufffd");
    i += paired ? 12 : 6;
  }
  if (repaired == text) return {};
  return repaired;
}

}  // namespace

class JsonParser::Impl {
 public:
  Result<Value> parse(std::string_view text) {
    const error_code error = run(text);
    Value value = parser_.handler().take();
    if (!error) return value;
    return make_error(Errc::MalformedMessage, "parse JSON", error.message());
  }

 private:
  error_code run(std::string_view text) {
    error_code error;
    parser_.reset();
    const std::size_t consumed = parser_.write_some(false, text.data(), text.size(), error);
    if (!error && consumed < text.size()) error = boost::json::error::extra_data;
    return error;
  }

  boost::json::basic_parser<Builder> parser_{make_options()};
};

JsonParser::JsonParser() : impl_{std::make_unique<Impl>()} {}
JsonParser::~JsonParser() = default;
JsonParser::JsonParser(JsonParser&&) noexcept = default;
JsonParser& JsonParser::operator=(JsonParser&&) noexcept = default;

Result<Value> JsonParser::parse(std::string_view text) {
  Result<Value> result = impl_->parse(text);
  if (result) return result;
  const std::optional<std::string> repaired = repair(text);
  return repaired ? impl_->parse(*repaired) : result;
}

// ---- Printing

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

/// True for the bytes that a JSON string holds as they are and that need no check.
constexpr bool is_plain(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x20 && byte < 0x80 && c != '"' && c != '\\';
}

/// The length of the plain text from `begin` on: eight bytes at a time.
std::size_t count_plain(const char* begin, const char* end) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  constexpr std::uint64_t kHighs = kOnes * 0x80;
  const char* p = begin;
  for (; end - p >= 8; p += 8) {
    std::uint64_t word;
    std::memcpy(&word, p, 8);
    const std::uint64_t quote = word ^ (kOnes * '"');
    const std::uint64_t backslash = word ^ (kOnes * '\\');
    // A high bit is left where a byte is above 0x7f, a quote, a backslash, or below 0x20 (and
    // perhaps in bytes above one of these, which does not matter).
    if ((word | (word - kOnes * 0x20) | (quote - kOnes) | (backslash - kOnes)) & kHighs) break;
  }
  while (p < end && is_plain(*p)) ++p;
  return static_cast<std::size_t>(p - begin);
}

void append_escape(char c, std::string& out) {
  constexpr char kHex[] = "0123456789abcdef";
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
      (out += "\\u00") += kHex[c >> 4 & 15];
  }
  out += kHex[c & 15];
}

void append_string(std::string_view text, std::string& out) {
  out += '"';
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t plain = count_plain(text.data() + i, text.data() + text.size());
    out.append(text, i, plain);
    i += plain;
    if (i == text.size()) break;
    if (static_cast<unsigned char>(text[i]) < 0x80) {
      append_escape(text[i++], out);
      continue;
    }
    const std::size_t start = i;
    if (decode_utf8(text, i) == kNotUtf8)
      out += kReplacement;
    else
      out.append(text, start, i - start);
  }
  out += '"';
}

/// False if that is nested too deeply.
bool append_value(const Value& value, std::size_t depth_left, std::string& out) {
  switch (value.type()) {
    case Value::Type::Undefined:
    case Value::Type::Null:
      out += "null";
      return true;
    case Value::Type::Bool:
      out += value.bool_or(false) ? "true" : "false";
      return true;
    case Value::Type::Number: {
      const double number = value.number_or(0);
      std::isfinite(number) ? append_number(number, out) : void(out += "null");
      return true;
    }
    case Value::Type::String:
      append_string(value.string_or({}), out);
      return true;
    case Value::Type::Array:
    case Value::Type::Object:
      break;
  }
  if (depth_left == 0) return false;
  out += value.is_array() ? '[' : '{';
  bool first = true;
  const auto separate = [&] {
    if (!std::exchange(first, false)) out += ',';
  };
  for (const Value& element : value.elements()) {
    separate();
    if (!append_value(element, depth_left - 1, out)) return false;
  }
  for (const auto& [key, member] : value.members()) {
    if (member.is_undefined()) continue;
    separate();
    append_string(key, out);
    out += ':';
    if (!append_value(member, depth_left - 1, out)) return false;
  }
  out += value.is_array() ? ']' : '}';
  return true;
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

}  // namespace cohort::ipc

namespace cohort {

Result<void> append_json(const Value& value, std::string& out) {
  const std::size_t size = out.size();
  if (value.is_undefined())
    return make_error(Errc::InvalidArgument, "print JSON", "undefined has no JSON");
  if (ipc::append_value(value, ipc::kJsonDepthMax, out)) return {};
  out.resize(size);
  return make_error(Errc::InvalidArgument, "print JSON", "circular, or nested deeper than 1000");
}

std::string to_json(const Value& value) {
  std::string out;
  return append_json(value, out) ? out : std::string();
}

Result<Value> parse_json(std::string_view text) { return ipc::JsonParser().parse(text); }

}  // namespace cohort
