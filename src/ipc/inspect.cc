#include "ipc/inspect.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "ipc/bigint.h"
#include "ipc/primitives.h"
#include "ipc/utf8.h"

namespace cohort::ipc {
namespace {

// Node's defaults (util.inspect.defaultOptions).
constexpr std::size_t kDepth = 2;
constexpr std::size_t kElementsMax = 100;
constexpr std::size_t kBufferBytesMax = 50;  // buffer.INSPECT_MAX_BYTES
constexpr std::size_t kStringUnitsMax = 10'000;
constexpr std::size_t kColumns = 80;
constexpr std::size_t kCompactLevels = 3;
// Node's magic numbers.
constexpr std::size_t kSplitUnitsMin = 16;  // a shorter string is never broken into lines
constexpr std::size_t kGroupMin = 6;        // more elements than this are put into columns
constexpr std::size_t kGroupColumnsMax = 15;
constexpr std::size_t kSeparatorWidth = 2;

/// One printed element or member, with its size as JavaScript counts it.
struct Piece {
  std::string text;
  std::size_t units;  ///< UTF-16 code units.
};

std::size_t utf16_units(std::string_view text) {
  std::size_t units = 0;
  for (std::size_t i = 0; i < text.size(); ++units) {
    const char32_t code = decode_wtf8(text, i);
    if (code >= 0x10000 && code != kNotUtf8) ++units;
  }
  return units;
}

/// The number of bytes that hold the first `units` code units; a pair is not cut.
std::size_t utf16_prefix(std::string_view text, std::size_t units) {
  std::size_t i = 0;
  for (std::size_t taken = 0; i < text.size();) {
    std::size_t next = i;
    const char32_t code = decode_wtf8(text, next);
    taken += code >= 0x10000 && code != kNotUtf8 ? 2 : 1;
    if (taken > units) break;
    i = next;
  }
  return i;
}

bool is_wide(char32_t code) {
  struct Range {
    char32_t first, last;
  };
  constexpr Range kWide[] = {{0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0x3247},
                             {0x3250, 0x4dbf},   {0x4e00, 0xa4c6},   {0xa960, 0xa97c},
                             {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6b},
                             {0xff01, 0xff60},   {0xffe0, 0xffe6},   {0x1f300, 0x1f64f},
                             {0x1f680, 0x1f6c5}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd}};
  return std::any_of(std::begin(kWide), std::end(kWide),
                     [&](const Range& range) { return code >= range.first && code <= range.last; });
}

/// Columns on a terminal.
std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t i = 0; i < text.size();) {
    const char32_t code = decode_wtf8(text, i);
    const bool combining = (code >= 0x300 && code <= 0x36f) || (code >= 0x200b && code <= 0x200f) ||
                           (code >= 0x20d0 && code <= 0x20ff) || (code >= 0xfe00 && code <= 0xfe0f);
    width += combining ? 0 : code != kNotUtf8 && is_wide(code) ? 2 : 1;
  }
  return width;
}

void append_quoted(std::string_view text, std::string& out) {
  char quote = '\'';
  if (text.find('\'') != text.npos) {
    if (text.find('"') == text.npos)
      quote = '"';
    else if (text.find('`') == text.npos && text.find("${") == text.npos)
      quote = '`';
  }
  constexpr char kHex[] = "0123456789ABCDEF";
  constexpr char kLowerHex[] = "0123456789abcdef";
  constexpr std::string_view kShort = "btn fr";  // what follows the backslash, from \x08 on
  out += quote;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t start = i;
    const char32_t code = decode_wtf8(text, i);
    if (code == kNotUtf8) {
      out += kReplacement;
    } else if (code == '\\' || (code == '\'' && quote == '\'')) {
      (out += '\\') += static_cast<char>(code);
    } else if (code >= 8 && code <= 13 && kShort[code - 8] != ' ') {
      (out += '\\') += kShort[code - 8];
    } else if (code < 0x20 || (code >= 0x7f && code < 0xa0)) {
      ((out += "\\x") += kHex[code >> 4]) += kHex[code & 15];
    } else if (is_surrogate(code)) {
      out += "\\u";
      for (const int shift : {12, 8, 4, 0}) out += kLowerHex[code >> shift & 15];
    } else {
      out.append(text, start, i - start);
    }
  }
  out += quote;
}

bool is_identifier(std::string_view key) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !key.empty() && is_letter(key[0]) && std::all_of(key.begin(), key.end(), [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9');
  });
}

/// `68 65 79`, of so many bytes at most.
std::string hex_of(std::span<const std::byte> bytes, std::size_t bytes_max) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (const std::byte byte : bytes.first(std::min(bytes.size(), bytes_max))) {
    if (!text.empty()) text += ' ';
    (text += kHex[std::to_integer<unsigned>(byte) >> 4]) +=
        kHex[std::to_integer<unsigned>(byte) & 15];
  }
  if (bytes.size() > bytes_max)
    text += " ... " + std::to_string(bytes.size() - bytes_max) +
            (bytes.size() - bytes_max > 1 ? " more bytes" : " more byte");
  return text;
}

std::string empty_items(std::size_t count) {
  return '<' + std::to_string(count) + " empty item" + (count > 1 ? "s" : "") + '>';
}

void append_bigint(const Value& value, std::string& out) {
  if (value.bigint_is_negative()) out += '-';
  append_integer(value.bigint_words(), out);
  out += 'n';
}

void append_js_number(double number, std::string& out) {
  if (number == 0 && std::signbit(number)) out += '-';
  append_number(number, out);
}

/// As an error's own `toString()`, for one without a stack.
std::string error_text(const Value& error) {
  const std::string name{error["name"].string_or({})};
  const std::string_view message = error["message"].string_or({});
  return message.empty() ? name : name + ": " + std::string(message);
}

std::string more(std::size_t count, const char* what) {
  return "... " + std::to_string(count) + " more " + what + (count > 1 ? "s" : "");
}

class Inspector {
 public:
  void print(const Value& value, std::size_t depth, std::string& out) {
    switch (value.type()) {
      case Value::Type::Undefined:
        out += "undefined";
        return;
      case Value::Type::Null:
        out += "null";
        return;
      case Value::Type::Bool:
        out += value.bool_or(false) ? "true" : "false";
        return;
      case Value::Type::Number:
        return append_js_number(value.number_or(0), out);
      case Value::Type::BigInt:
        return append_bigint(value, out);
      case Value::Type::String:
        return print_string(value.string_or({}), out);
      case Value::Type::Date:
        out += std::isnan(value.date_or(0)) ? "Invalid Date" : iso_date(value.date_or(0));
        return;
      case Value::Type::RegExp:
        ((out += '/') += value["source"].string_or({})) += '/';
        out += value["flags"].string_or({});
        return;
      case Value::Type::Boxed:
        return print_boxed(value.unboxed(), out);
      default:
        return print_container(value, depth, out);
    }
  }

 private:
  void print_string(std::string_view text, std::string& out) {
    std::string trailer;
    std::size_t units = utf16_units(text);
    if (units > kStringUnitsMax) {
      trailer = more(units - kStringUnitsMax, "character");
      text = text.substr(0, utf16_prefix(text, kStringUnitsMax));
      units = kStringUnitsMax;
    }
    // A long one gets a line of the output for each of its lines.
    const bool split = units > kSplitUnitsMin && units + indentation_ + 4 > kColumns;
    for (std::size_t end = 0; split && (end = text.find('\n')) < text.size() - 1;) {
      append_quoted(text.substr(0, end + 1), out);
      out.append(" +\n").append(indentation_ + 2, ' ');
      text.remove_prefix(end + 1);
    }
    append_quoted(text, out);
    out += trailer;
  }

  void print_boxed(const Value& primitive, std::string& out) {
    out += primitive.is_bool()     ? "[Boolean: "
           : primitive.is_number() ? "[Number: "
           : primitive.is_bigint() ? "[BigInt: "
                                   : "[String: ";
    if (primitive.is_string())
      append_quoted(primitive.string_or({}), out);
    else
      print(primitive, 0, out);
    out += ']';
  }

  /// How a container looks from outside: what stands before its contents and around them.
  struct Frame {
    std::string open;   ///< `{`, `Map(2) {`
    char close;         ///< `}`
    std::string name;   ///< `[Map]`: what is printed of one that is nested too deeply.
    std::string whole;  ///< All there is to print, if it has no contents; else empty.
  };

  Frame frame_of(const Value& value) {
    const std::string size = std::to_string(value.size());
    switch (value.type()) {
      case Value::Type::Array:
        return {"[", ']', "[Array]", value.size() == 0 ? "[]" : ""};
      case Value::Type::Map:
      case Value::Type::Set: {
        const std::string name = value.is_map() ? "Map" : "Set";
        const std::string open = name + '(' + size + ") {";
        return {open, '}', '[' + name + ']', value.size() == 0 ? open + '}' : ""};
      }
      case Value::Type::Error: {
        const std::string text = error_base(value);
        const std::string name{value["name"].string_or({})};
        return {"{", '}', '[' + name + ']', value["cause"].is_undefined() ? text : ""};
      }
      case Value::Type::Binary:
        return binary_frame(value, size);
      default:
        return {"{", '}', "[Object]", value.size() == 0 ? "{}" : ""};
    }
  }

  static Frame binary_frame(const Value& value, const std::string& size) {
    const Binary kind = *value.binary_kind();
    const std::string name{to_string(kind)};
    if (kind == Binary::Buffer)
      return {"", '>', "", "<Buffer " + hex_of(value.bytes(), kBufferBytesMax) + '>'};
    if (kind == Binary::ArrayBuffer || kind == Binary::DataView)
      return {name + " {", '}', '[' + name + ']', ""};
    const std::string open = name + '(' + size + ") [";
    return {open, ']', '[' + name + ']', value.size() == 0 ? open + ']' : ""};
  }

  /// The stack, or in brackets what there is without one.
  std::string error_base(const Value& error) const {
    const std::string_view stack = error["stack"].string_or({});
    std::string text = stack.empty() ? error_text(error) : std::string(stack);
    const std::string_view message = error["message"].string_or({});
    const std::size_t found = message.empty() ? text.npos : text.find(message);
    const std::size_t from = found == text.npos ? 0 : found + message.size();
    if (text.find("\n    at", from) == text.npos) text = '[' + text + ']';
    for (std::size_t i = 0; indentation_ > 0 && (i = text.find('\n', i)) != text.npos; ++i)
      text.insert(i + 1, indentation_, ' ');
    return text;
  }

  void print_container(const Value& value, std::size_t depth, std::string& out) {
    const auto is_this = [&](const Value* other) { return other->is_same(value); };
    if (std::any_of(open_.begin(), open_.end(), is_this)) {
      const auto known = std::find_if(circular_.begin(), circular_.end(), is_this);
      const auto number = known - circular_.begin() + 1;
      if (known == circular_.end()) circular_.push_back(&value);
      return void(out += "[Circular *" + std::to_string(number) + "]");
    }
    const Frame frame = frame_of(value);
    if (!frame.whole.empty()) return void(out += frame.whole);
    if (depth > kDepth) return void(out += frame.name);

    open_.push_back(&value);
    deepest_ = depth;
    std::string prefix = value.is_error() ? error_base(value) : "";
    std::vector<Piece> pieces = pieces_of(value, depth);
    open_.pop_back();
    const auto reference = std::find_if(circular_.begin(), circular_.end(), is_this);
    if (reference != circular_.end())
      prefix = "<ref *" + std::to_string(reference - circular_.begin() + 1) + ">" +
               (prefix.empty() ? "" : " ") + prefix;
    lay_out(value, std::move(pieces), prefix, frame, depth, out);
  }

  std::vector<Piece> pieces_of(const Value& value, std::size_t depth) {
    std::vector<Piece> pieces;
    indentation_ += 2;
    switch (value.type()) {
      case Value::Type::Array:
      case Value::Type::Set:
        pieces = element_pieces(value, depth);
        break;
      case Value::Type::Map:
        pieces = entry_pieces(value, depth);
        break;
      case Value::Type::Error:
        pieces.push_back(named_piece("[cause]", value["cause"], depth));
        break;
      case Value::Type::Binary:
        pieces = binary_pieces(value, depth);
        break;
      default:
        pieces = member_pieces(value, depth);
    }
    indentation_ -= 2;
    for (Piece& piece : pieces) piece.units = utf16_units(piece.text);
    return pieces;
  }

  std::vector<Piece> element_pieces(const Value& array, std::size_t depth) {
    const auto elements = array.elements();
    std::vector<Piece> pieces;
    std::size_t i = 0;
    while (i < elements.size() && pieces.size() < kElementsMax) {
      std::string text;
      if (elements[i].is_hole()) {
        const std::size_t begin = i;
        while (i < elements.size() && elements[i].is_hole()) ++i;
        text = empty_items(i - begin);
      } else {
        print(elements[i++], depth + 1, text);
      }
      pieces.push_back({std::move(text), 0});
    }
    if (i < elements.size()) pieces.push_back({more(elements.size() - i, "item"), 0});
    return pieces;
  }

  std::vector<Piece> entry_pieces(const Value& map, std::size_t depth) {
    std::vector<Piece> pieces;
    for (const auto& [key, value] : map.entries().first(std::min(map.size(), kElementsMax))) {
      std::string text;
      print(key, depth + 1, text);
      text += " => ";
      print(value, depth + 1, text);
      pieces.push_back({std::move(text), 0});
    }
    if (map.size() > kElementsMax) pieces.push_back({more(map.size() - kElementsMax, "item"), 0});
    return pieces;
  }

  std::vector<Piece> binary_pieces(const Value& value, std::size_t depth) {
    const Binary kind = *value.binary_kind();
    if (kind == Binary::ArrayBuffer)
      return {{"[Uint8Contents]: <" + hex_of(value.bytes(), kElementsMax) + '>', 0},
              named_piece("[byteLength]", value.bytes().size(), depth)};
    if (kind == Binary::DataView)
      return {named_piece("[byteLength]", value.bytes().size(), depth),
              named_piece("[byteOffset]", 0, depth),
              named_piece("[buffer]", Value::binary(Binary::ArrayBuffer, value.bytes()), depth)};
    std::vector<Piece> pieces;
    for (std::size_t i = 0; i < std::min(value.size(), kElementsMax); ++i) {
      const std::byte* element = value.bytes().data() + i * element_size(kind);
      std::string text;
      std::int64_t bits = 0;
      if (kind == Binary::BigInt64Array || kind == Binary::BigUint64Array) {
        std::memcpy(&bits, element, sizeof bits);
        append_bigint(kind == Binary::BigInt64Array
                          ? Value::bigint(bits)
                          : Value::bigint(static_cast<std::uint64_t>(bits)),
                      text);
      } else {
        append_js_number(binary_element(kind, element), text);
      }
      pieces.push_back({std::move(text), 0});
    }
    if (value.size() > kElementsMax)
      pieces.push_back({more(value.size() - kElementsMax, "item"), 0});
    return pieces;
  }

  Piece named_piece(const char* name, const Value& value, std::size_t depth) {
    std::string text = std::string(name) + ": ";
    print(value, depth + 1, text);
    return {std::move(text), 0};
  }

  std::vector<Piece> member_pieces(const Value& object, std::size_t depth) {
    std::vector<Piece> pieces;
    for (const auto& [key, member] : object.members()) {
      std::string text;
      if (key == "__proto__")
        text = "['__proto__']";
      else if (is_identifier(key))
        text = key;
      else
        append_quoted(key, text);
      text += ": ";
      print(member, depth + 1, text);
      pieces.push_back({std::move(text), 0});
    }
    return pieces;
  }

  /// On one line if it fits and has few levels, else one line per piece (or per row of columns).
  void lay_out(const Value& value, std::vector<Piece> pieces, const std::string& prefix,
               const Frame& frame, std::size_t depth, std::string& out) {
    const bool grouped = frame.close == ']' && pieces.size() > kGroupMin && group(value, pieces);
    if (!prefix.empty()) (out += prefix) += ' ';
    out += frame.open;
    const bool one_line = !grouped && deepest_ - depth < kCompactLevels &&
                          prefix.find('\n') == prefix.npos &&
                          fits(pieces, prefix.size() + frame.open.size());
    if (one_line) {
      for (std::size_t i = 0; i < pieces.size(); ++i) (out += i ? ", " : " ") += pieces[i].text;
      (out += ' ') += frame.close;
      return;
    }
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      out.append(i ? ",\n" : "\n").append(indentation_ + 2, ' ').append(pieces[i].text);
    }
    (out += '\n').append(indentation_, ' ') += frame.close;
  }

  bool fits(const std::vector<Piece>& pieces, std::size_t around) const {
    // Node's estimate: the separators, what stands in front, and ten.
    std::size_t total = 2 * pieces.size() + indentation_ + around + 10;
    if (total + pieces.size() > kColumns) return false;
    for (const Piece& piece : pieces) total += piece.units;
    return total <= kColumns && std::none_of(pieces.begin(), pieces.end(), [](const Piece& piece) {
             return piece.text.find('\n') != piece.text.npos;
           });
  }

  bool group(const Value& array, std::vector<Piece>& pieces) const;

  std::size_t indentation_ = 0;
  std::size_t deepest_ = 0;         ///< Of the container opened last.
  std::vector<const Value*> open_;  ///< The containers around, outermost first.
  std::vector<const Value*>
      circular_;  ///< Those that contain themselves, in the order of their numbers.
};

/// Puts short elements into columns: rows replace the pieces. False if that is not worth it.
bool Inspector::group(const Value& array, std::vector<Piece>& pieces) const {
  const bool cut =
      pieces.size() > kElementsMax;  // then the last piece, "... more", gets its own line
  const std::size_t count = pieces.size() - (cut ? 1 : 0);
  std::vector<std::size_t> widths;
  std::size_t total = 0;
  std::size_t widest = 0;
  for (std::size_t i = 0; i < count; ++i) {
    widths.push_back(display_width(pieces[i].text));
    total += widths[i] + kSeparatorWidth;
    widest = std::max(widest, widths[i]);
  }
  const std::size_t cell = widest + kSeparatorWidth;
  // Three must fit next to each other, and one may not be much wider than the others together.
  if (cell * 3 + indentation_ >= kColumns) return false;
  const auto cell_real = static_cast<double>(cell);
  const auto total_real = static_cast<double>(total);
  if (total_real / cell_real <= 5 && widest > 6) return false;

  // About a square, with a character 2.5 times as high as wide, biased towards more columns.
  const double bias = std::sqrt(cell_real - total_real / static_cast<double>(pieces.size()));
  const double biased = std::max(cell_real - 3 - bias, 1.0);
  const double square = std::sqrt(2.5 * biased * static_cast<double>(count)) / biased;
  const std::size_t columns =
      std::min({static_cast<std::size_t>(std::floor(square + 0.5)),
                (kColumns - indentation_) / cell, kCompactLevels * 4, kGroupColumnsMax});
  if (columns <= 1) return false;

  std::vector<std::size_t> column_widths(columns);
  for (std::size_t i = 0; i < count; ++i)
    column_widths[i % columns] = std::max(column_widths[i % columns], widths[i] + kSeparatorWidth);
  const auto elements = array.elements();
  const auto shown = elements.first(std::min(elements.size(), pieces.size()));
  const bool numbers =
      array.is_binary() || std::all_of(shown.begin(), shown.end(), [](const Value& element) {
        return element.is_number() || element.is_bigint();
      });
  std::vector<Piece> rows;
  for (std::size_t i = 0; i < count; ++i) {
    if (i % columns == 0) rows.push_back({});
    std::string& row = rows.back().text;
    const bool last = i % columns == columns - 1 || i == count - 1;
    const std::size_t padding = column_widths[i % columns] - widths[i] - kSeparatorWidth;
    if (numbers) row.append(padding, ' ');
    row += pieces[i].text;
    if (last) continue;
    row += ", ";
    if (!numbers) row.append(padding, ' ');
  }
  if (cut) rows.push_back(std::move(pieces.back()));
  pieces = std::move(rows);
  return true;
}

}  // namespace

std::string inspect(const Value& value) {
  std::string out;
  Inspector().print(value, 0, out);
  return out;
}

}  // namespace cohort::ipc
