#include "ipc/clone.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <unordered_map>

#include "ipc/clone_tags.h"
#include "ipc/utf8.h"

static_assert(std::endian::native == std::endian::little, "the format has the machine's order");

namespace cohort::ipc {
namespace {

using Internals = Value::Internals;

/// Which number each object has that occurs more than once: one with a single reference cannot.
class Numbers {
 public:
  /// The number of an object that was here before, or nothing, and then it has the next one.
  std::optional<std::uint32_t> find_or_add(const Internals::Node* node) {
    const std::uint32_t number = count_++;
    if (node->references.load(std::memory_order_relaxed) == 1) return std::nullopt;
    const auto known = std::find_if(few_.begin(), few_.begin() + few_size_,
                                    [&](const auto& entry) { return entry.node == node; });
    if (known != few_.begin() + few_size_) return forget(known->number);
    if (few_size_ < few_.size()) {
      few_[few_size_++] = {node, number};
      return std::nullopt;
    }
    const auto [entry, is_new] = many_.try_emplace(node, number);
    if (is_new) return std::nullopt;
    return forget(entry->second);
  }

 private:
  /// A reference is no object of its own.
  std::uint32_t forget(std::uint32_t number) {
    --count_;
    return number;
  }

  std::uint32_t count_ = 0;
  struct Known {
    const Internals::Node* node;
    std::uint32_t number;
  };
  std::array<Known, 16> few_;  // not initialized: most messages have none
  std::size_t few_size_ = 0;
  std::unordered_map<const Internals::Node*, std::uint32_t> many_;
};

/// The value of a key like "17", which JavaScript takes for a number.
std::optional<double> array_index(std::string_view key) {
  constexpr std::uint64_t kIndexMax = 0xfffffffe;
  if (key.empty() || key.size() > 10 || key[0] < '0' || key[0] > '9') return std::nullopt;
  if (key[0] == '0' && key.size() > 1) return std::nullopt;
  std::uint64_t index = 0;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), index);
  if (error != std::errc{} || end != key.data() + key.size() || index > kIndexMax)
    return std::nullopt;
  return static_cast<double>(index);
}

class Encoder {
 public:
  Encoder(std::string& out, std::vector<Attached>* attached)
      : out_{out}, attached_{attached}, begin_{out.size()} {}

  /// False if it is nested too deeply.
  bool write_message(const Value& value) {
    put(clone::kVersionTag);
    put_varint(clone::kVersion);
    return write(value, kCloneDepthMax);
  }

 private:
  void put(char byte) { out_ += byte; }
  void put_varint(std::uint64_t number) {
    while (number >= 0x80) {
      put(static_cast<char>(number | 0x80));
      number >>= 7;
    }
    put(static_cast<char>(number));
  }
  void put_tagged(char tag, std::uint64_t number) {
    if (number < 0x80) {  // most are: one append instead of two
      const char both[] = {tag, static_cast<char>(number)};
      out_.append(both, sizeof both);
      return;
    }
    put(tag);
    put_varint(number);
  }
  void put_double(double number) {
    const auto bytes = std::bit_cast<std::array<char, 8>>(number);
    out_.append(bytes.data(), bytes.size());
  }
  /// The bytes of `keeper`, which are far away if they are many.
  void put_bytes(std::span<const std::byte> bytes, const Value& keeper) {
    if (attached_ && bytes.size() >= kAttachedSizeMin) {
      attached_->push_back({out_.size(), bytes, keeper});
      attached_size_ += bytes.size();
      return;
    }
    out_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }

  bool write(const Value& value, std::size_t depth_left) {
    switch (value.type()) {
      case Value::Type::Undefined:
        put(clone::kUndefined);
        return true;
      case Value::Type::Null:
        put(clone::kNull);
        return true;
      case Value::Type::Bool:
        put(value.bool_or(false) ? clone::kTrue : clone::kFalse);
        return true;
      case Value::Type::Number:
        write_number(value.number_or(0));
        return true;
      case Value::Type::BigInt:
        put(clone::kBigInt);
        write_bigint(value);
        return true;
      case Value::Type::String:
        write_string(value.string_or({}), value);
        return true;
      default:
        return write_object_like(value, depth_left);
    }
  }

  bool write_object_like(const Value& value, std::size_t depth_left) {
    if (const auto number = numbers_.find_or_add(Internals::node(value))) {
      put_tagged(clone::kReference, *number);
      return true;
    }
    switch (value.type()) {
      case Value::Type::Date:
        put(clone::kDate);
        put_double(value.date_or(0));
        return true;
      case Value::Type::RegExp:
        write_regexp(value);
        return true;
      case Value::Type::Boxed:
        write_boxed(value.unboxed());
        return true;
      case Value::Type::Binary:
        write_binary(value);
        return true;
      default:
        return depth_left > 0 && write_container(value, depth_left - 1);
    }
  }

  bool write_container(const Value& value, std::size_t depth_left) {
    switch (value.type()) {
      case Value::Type::Object:
        return write_object(value, depth_left);
      case Value::Type::Array:
        return write_array(value, depth_left);
      case Value::Type::Map:
        return write_map(value, depth_left);
      case Value::Type::Set:
        return write_set(value, depth_left);
      default:
        return write_error(value, depth_left);
    }
  }

  void write_number(double number) {
    const bool is_int32 = number >= -0x1p31 && number < 0x1p31 && std::trunc(number) == number &&
                          !(number == 0 && std::signbit(number));
    if (is_int32) {
      const auto integer = static_cast<std::int32_t>(number);
      return put_tagged(clone::kInt32, (static_cast<std::uint32_t>(integer) << 1) ^
                                           static_cast<std::uint32_t>(integer >> 31));
    }
    put(clone::kDouble);
    put_double(number);
  }

  void write_bigint(const Value& value) {
    const auto words = value.bigint_words();
    put_varint(words.size_bytes() << 1 | (value.bigint_is_negative() ? 1 : 0));
    put_bytes(std::as_bytes(words), value);
  }

  void write_string(std::string_view text, const Value& keeper) {
    if (count_ascii(text) == text.size()) {
      put_tagged(clone::kLatin1, text.size());
      return put_bytes(std::as_bytes(std::span(text)), keeper);
    }
    bool is_utf8 = true;
    bool has_surrogates = false;
    for (std::size_t i = 0; i < text.size();) {
      const char32_t code = decode_wtf8(text, i);
      has_surrogates |= is_surrogate(code);
      is_utf8 &= code != kNotUtf8 && !is_surrogate(code);
    }
    if (has_surrogates) return write_utf16(text);
    if (is_utf8) {
      put_tagged(clone::kUtf8, text.size());
      return put_bytes(std::as_bytes(std::span(text)), keeper);
    }
    std::string repaired;
    append_utf8(text, repaired);
    put_tagged(clone::kUtf8, repaired.size());
    out_ += repaired;
  }

  /// The only form that holds halves of surrogate pairs.
  void write_utf16(std::string_view text) {
    std::u16string units;
    for (std::size_t i = 0; i < text.size();) {
      char32_t code = decode_wtf8(text, i);
      if (code == kNotUtf8) code = 0xfffd;
      if (code < 0x10000) {
        units += static_cast<char16_t>(code);
      } else {
        units += static_cast<char16_t>(0xd800 + ((code - 0x10000) >> 10));
        units += static_cast<char16_t>(0xdc00 + (code & 0x3ff));
      }
    }
    const auto bytes = std::as_bytes(std::span(units));
    // As V8 does, the units begin at an even position of the message.
    std::size_t size_of_size = 1;
    while (bytes.size() >> (7 * size_of_size)) ++size_of_size;
    if ((out_.size() - begin_ + attached_size_ + 1 + size_of_size) % 2) put(clone::kPadding);
    put_tagged(clone::kUtf16, bytes.size());
    out_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }

  bool write_object(const Value& object, std::size_t depth_left) {
    put(clone::kObject);
    for (const auto& [key, member] : object.members()) {
      if (const auto index = array_index(key))
        write_number(*index);
      else
        write_key(key);
      if (!write(member, depth_left)) return false;
    }
    put_tagged(clone::kObjectEnd, object.size());
    return true;
  }

  void write_key(const std::string& key) {
    // Attached bytes must not be those of a key, which may change.
    std::vector<Attached>* const attached = std::exchange(attached_, nullptr);
    write_string(key, {});
    attached_ = attached;
  }

  bool write_array(const Value& array, std::size_t depth_left) {
    const auto elements = array.elements();
    if (std::ranges::any_of(elements, &Value::is_hole)) return write_holey(elements, depth_left);
    put_tagged(clone::kDenseArray, elements.size());
    for (const Value& element : elements)
      if (!write(element, depth_left)) return false;
    put_tagged(clone::kDenseArrayEnd, 0);
    put_varint(elements.size());
    return true;
  }

  bool write_holey(std::span<const Value> elements, std::size_t depth_left) {
    put_tagged(clone::kSparseArray, elements.size());
    std::size_t count = 0;
    for (std::size_t i = 0; i < elements.size(); ++i) {
      if (elements[i].is_hole()) continue;
      ++count;
      write_number(static_cast<double>(i));
      if (!write(elements[i], depth_left)) return false;
    }
    put_tagged(clone::kSparseArrayEnd, count);
    put_varint(elements.size());
    return true;
  }

  bool write_map(const Value& map, std::size_t depth_left) {
    put(clone::kMap);
    for (const auto& [key, value] : map.entries())
      if (!write(key, depth_left) || !write(value, depth_left)) return false;
    put_tagged(clone::kMapEnd, 2 * map.size());
    return true;
  }

  bool write_set(const Value& set, std::size_t depth_left) {
    put(clone::kSet);
    for (const Value& item : set.elements())
      if (!write(item, depth_left)) return false;
    put_tagged(clone::kSetEnd, set.size());
    return true;
  }

  /// In this order: Node 26 refuses any other, among them the one that Node 20 writes.
  bool write_error(const Value& error, std::size_t depth_left) {
    put(clone::kError);
    for (const auto& [letter, name] : clone::kErrorNames)
      if (error["name"] == name) put(letter);
    for (const auto& [letter, key] :
         {std::pair(clone::kErrorMessage, "message"), std::pair(clone::kErrorStack, "stack")}) {
      const Value& text = error[key];
      if (!text.is_string()) continue;
      put(letter);
      write_string(text.string_or({}), text);
    }
    if (const Value& cause = error["cause"]; !cause.is_undefined()) {
      put(clone::kErrorCause);
      if (!write(cause, depth_left)) return false;
    }
    put(clone::kErrorEnd);
    return true;
  }

  void write_boxed(const Value& primitive) {
    switch (primitive.type()) {
      case Value::Type::Bool:
        return put(primitive.bool_or(false) ? clone::kTrueObject : clone::kFalseObject);
      case Value::Type::Number:
        put(clone::kNumberObject);
        return put_double(primitive.number_or(0));
      case Value::Type::BigInt:
        put(clone::kBigIntObject);
        return write_bigint(primitive);
      default:
        put(clone::kStringObject);
        return write_string(primitive.string_or({}), primitive);
    }
  }

  void write_regexp(const Value& regexp) {
    const Value& source = regexp["source"];
    put(clone::kRegExp);
    write_string(source.string_or({}), source);
    std::uint32_t bits = 0;
    for (const auto& [bit, letter] : clone::kRegExpFlags)
      if (regexp["flags"].string_or({}).find(letter) != std::string_view::npos) bits |= bit;
    put_varint(bits);
  }

  void write_binary(const Value& value) {
    const Binary kind = *value.binary_kind();
    if (kind != Binary::ArrayBuffer) {
      put_tagged(clone::kHostObject, clone::kHostView);
      put_varint(static_cast<std::uint32_t>(kind));
      put_varint(value.bytes().size());
    } else if (const auto size_max = value.size_max()) {
      put_tagged(clone::kResizableArrayBuffer, value.bytes().size());
      put_varint(*size_max);
    } else {
      put_tagged(clone::kArrayBuffer, value.bytes().size());
    }
    put_bytes(value.bytes(), value);
  }

  std::string& out_;
  std::vector<Attached>* attached_;
  const std::size_t begin_;
  std::size_t attached_size_ = 0;
  Numbers numbers_;
};

}  // namespace

Result<void> encode_clone(const Value& value, std::string& out, std::vector<Attached>* attached) {
  const std::size_t size = out.size();
  const std::size_t attached_count = attached ? attached->size() : 0;
  if (Encoder(out, attached).write_message(value)) return {};
  out.resize(size);
  if (attached)
    attached->erase(attached->begin() + static_cast<std::ptrdiff_t>(attached_count),
                    attached->end());
  return make_error(Errc::InvalidArgument, "encode", "nested deeper than 1000");
}

}  // namespace cohort::ipc
