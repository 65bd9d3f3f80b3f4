#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "ipc/clone.h"
#include "ipc/clone_tags.h"
#include "ipc/primitives.h"
#include "ipc/utf8.h"

namespace cohort::ipc {
namespace {

// Smaller ones are copied out of the message, so that they do not keep all of it.
constexpr std::size_t kKeptSizeMin = 32u << 10;
constexpr std::size_t kKeptShare = 8;

/// Half of a surrogate pair or a code point, from UTF-16 in the machine's order.
void append_utf16(std::string_view bytes, std::string& out) {
  const auto unit_at = [&](std::size_t i) {
    char16_t unit;
    std::memcpy(&unit, bytes.data() + i, sizeof unit);
    return char32_t{unit};
  };
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    char32_t code = unit_at(i);
    if (code >= 0xd800 && code < 0xdc00 && i + 2 < bytes.size()) {
      const char32_t low = unit_at(i + 2);
      if (low >= 0xdc00 && low < 0xe000) {
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        i += 2;
      }
    }
    append_code_point(code, out);
  }
}

void append_latin1(std::string_view bytes, std::string& out) {
  for (const char c : bytes) append_code_point(static_cast<unsigned char>(c), out);
}

bool is_string_tag(char tag) {
  return tag == clone::kLatin1 || tag == clone::kUtf8 || tag == clone::kUtf16;
}

/// The kind of a view behind an ArrayBuffer.
std::optional<Binary> view_kind(char letter) {
  constexpr std::pair<char, Binary> kViews[] = {
      {'b', Binary::Int8Array},    {'B', Binary::Uint8Array},    {'C', Binary::Uint8ClampedArray},
      {'w', Binary::Int16Array},   {'W', Binary::Uint16Array},   {'d', Binary::Int32Array},
      {'D', Binary::Uint32Array},  {'h', Binary::Float16Array},  {'f', Binary::Float32Array},
      {'F', Binary::Float64Array}, {'q', Binary::BigInt64Array}, {'Q', Binary::BigUint64Array},
      {'?', Binary::DataView}};
  for (const auto& [known, kind] : kViews)
    if (known == letter) return kind;
  return std::nullopt;
}

/// The position of an element, if the key of a sparse array's member is one.
std::optional<std::size_t> position_of(std::string_view key, std::size_t size) {
  std::size_t position = 0;
  if (key.empty() || key.size() > 10 || (key[0] == '0' && key.size() > 1)) return std::nullopt;
  for (const char c : key) {
    if (c < '0' || c > '9') return std::nullopt;
    position = position * 10 + static_cast<std::size_t>(c - '0');
  }
  if (position >= size) return std::nullopt;
  return position;
}

}  // namespace

Result<CloneDecoder::Decoded> CloneDecoder::decode(std::string_view payload,
                                                   std::shared_ptr<const void> owner,
                                                   std::vector<SharedBytes> shared) {
  begin_ = next_ = payload.data();
  end_ = begin_ + payload.size();
  owner_ = std::move(owner);
  shared_ = std::move(shared);
  shared_read_ = 0;
  count_ = holes_ = 0;
  failure_ = nullptr;
  may_be_circular_ = false;
  const bool ok = read_header() && read_value(root_, kCloneDepthMax) &&
                  (shared_read_ == shared_.size() || fail("shared bytes that no value has"));
  if (!ok) {
    // A half of a circular value would never be freed.
    std::vector<Value> contents;
    for (Internals::Node* node : objects_)
      if (node && Internals::is_container(node->tag)) Internals::take_contents(node, contents);
    root_ = Value();
    finish();
    return make_error(Errc::MalformedMessage, "receive",
                      std::string(failure_) + " at byte " + std::to_string(next_ - begin_) +
                          " of " + std::to_string(payload.size()));
  }
  Decoded decoded{std::exchange(root_, Value()), may_be_circular_};
  finish();
  return decoded;
}

/// What is kept from one message to the next is memory, not values.
void CloneDecoder::finish() {
  objects_.clear();
  dropped_.clear();
  owner_.reset();
  shared_.clear();
  constexpr std::size_t kMemoryMax = 64u << 10;
  if (objects_.capacity() * sizeof(void*) > kMemoryMax) objects_.shrink_to_fit();
  if (text_.capacity() > kMemoryMax) text_ = {};
}

bool CloneDecoder::fail(const char* reason) {
  if (!failure_) failure_ = reason;
  return false;
}

// ---- Pieces

bool CloneDecoder::read_header() {
  if (at_end() || *next_ != clone::kVersionTag) return fail("no version");
  ++next_;
  if (!read_varint(version_)) return false;
  return (version_ >= clone::kVersionMin && version_ <= clone::kVersion) ||
         fail("an unknown version");
}

/// The next tag, which stays; the padding in front of it goes.
bool CloneDecoder::peek_tag(char& tag) {
  while (!at_end() && *next_ == clone::kPadding) ++next_;
  if (at_end()) return fail("the message ends too early");
  tag = *next_;
  return true;
}

bool CloneDecoder::read_varint(std::uint32_t& number) {
  number = 0;
  for (unsigned shift = 0;; shift += 7) {
    if (at_end()) return fail("the message ends too early");
    const auto byte = static_cast<unsigned char>(*next_++);
    // Longer forms than needed are allowed, as in V8; what is beyond 32 bits is lost.
    if (shift < 32) number |= static_cast<std::uint32_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
}

bool CloneDecoder::read_double(double& number) {
  std::string_view bytes;
  if (!read_bytes(sizeof number, bytes)) return false;
  std::memcpy(&number, bytes.data(), sizeof number);
  return true;
}

bool CloneDecoder::read_bytes(std::size_t size, std::string_view& bytes) {
  if (shared_read_ < shared_.size() &&
      shared_[shared_read_].position == static_cast<std::size_t>(next_ - begin_)) {
    const auto& shared = shared_[shared_read_++].bytes;
    bytes = {reinterpret_cast<const char*>(shared.data()), shared.size()};
    return size == bytes.size() || fail("shared bytes of another size");
  }
  if (size > static_cast<std::size_t>(end_ - next_)) return fail("the message ends too early");
  bytes = {next_, size};
  next_ += size;
  return true;
}

bool CloneDecoder::read_sized(std::string_view& bytes) {
  std::uint32_t size = 0;
  return read_varint(size) && read_bytes(size, bytes);
}

// ---- Values

bool CloneDecoder::read_value(Value& out, std::size_t depth_left) {
  char tag = 0;
  if (++count_ > kCloneCountMax) return fail("more values than 16777216");
  for (;;) {
    if (!peek_tag(tag)) return false;
    if (tag != clone::kVerifyCount) break;
    ++next_;
    std::uint32_t ignored = 0;
    if (!read_varint(ignored)) return false;
  }
  ++next_;
  if (is_string_tag(tag)) return read_string(tag, out);
  switch (tag) {
    case clone::kUndefined:
      out = Value();
      return true;
    case clone::kNull:
      out = nullptr;
      return true;
    case clone::kTrue:
    case clone::kFalse:
      out = tag == clone::kTrue;
      return true;
    case clone::kInt32:
    case clone::kUint32:
    case clone::kDouble: {
      double number = 0;
      if (!read_number(tag, number)) return false;
      out = number;
      return true;
    }
    case clone::kBigInt:
      return read_bigint(out);
    default:
      if (!read_object_like(tag, out, depth_left)) return false;
  }
  // A view follows the ArrayBuffer that it is of, or the reference to it.
  char next = 0;
  if (out.binary_kind() != Binary::ArrayBuffer || at_end()) return true;
  if (!peek_tag(next)) {
    failure_ = nullptr;  // nothing but padding: the end of the message
    return true;
  }
  return next == clone::kView ? read_view(out) : true;
}

bool CloneDecoder::read_number(char tag, double& number) {
  if (tag == clone::kDouble) return read_double(number);
  std::uint32_t bits = 0;
  if (!read_varint(bits)) return false;
  number = tag == clone::kUint32
               ? static_cast<double>(bits)
               : static_cast<double>(static_cast<std::int32_t>((bits >> 1) ^ (0 - (bits & 1))));
  return true;
}

bool CloneDecoder::read_bigint(Value& out) {
  std::uint32_t bits = 0;
  std::string_view bytes;
  if (!read_varint(bits) || !read_bytes(bits >> 1, bytes)) return false;
  std::vector<std::uint64_t> words((bytes.size() + 7) / 8);
  if (!bytes.empty()) std::memcpy(words.data(), bytes.data(), bytes.size());
  out = Value::bigint((bits & 1) != 0, words);
  if ((bits & 1) && !out.bigint_is_negative()) return fail("a negative zero");
  return true;
}

/// Who keeps the bytes where they are; null if they are to be copied.
const std::shared_ptr<const void>& CloneDecoder::owner_of(std::string_view bytes) const {
  static const std::shared_ptr<const void> nobody;
  if (shared_read_ > 0) {
    const SharedBytes& last = shared_[shared_read_ - 1];
    if (reinterpret_cast<const char*>(last.bytes.data()) == bytes.data()) return last.owner;
  }
  const bool kept = owner_ && bytes.size() >= kKeptSizeMin &&
                    bytes.size() >= static_cast<std::size_t>(end_ - begin_) / kKeptShare;
  return kept ? owner_ : nobody;
}

Value CloneDecoder::kept_string(std::string_view text) const {
  const auto& owner = owner_of(text);
  return owner ? Internals::string(text, owner) : Value(text);
}

/// The text of a string, as WTF-8.
bool CloneDecoder::decode_text(char tag, std::string_view bytes, std::string& text) {
  if (tag == clone::kUtf8) {
    append_utf8(bytes, text);
  } else if (tag == clone::kLatin1) {
    append_latin1(bytes, text);
  } else {
    if (bytes.size() % 2) return fail("half of a UTF-16 unit");
    append_utf16(bytes, text);
  }
  return true;
}

bool CloneDecoder::read_string(char tag, Value& out) {
  std::string_view bytes;
  if (!read_sized(bytes)) return false;
  if (tag != clone::kUtf16 && count_ascii(bytes) == bytes.size()) {
    out = kept_string(bytes);
    return true;
  }
  std::string text;
  if (!decode_text(tag, bytes, text)) return false;
  // What was UTF-8 can still be kept where it is.
  out = tag == clone::kUtf8 && text == bytes ? kept_string(bytes) : Value(std::move(text));
  return true;
}

/// A string and nothing else.
bool CloneDecoder::read_string_value(Value& out) {
  char tag = 0;
  if (!peek_tag(tag)) return false;
  if (!is_string_tag(tag)) return fail("no string where one must be");
  ++next_;
  return read_string(tag, out);
}

/// A key of an object: a string, or a number as its text. Valid until the next key is read.
bool CloneDecoder::read_key(std::string_view& key) {
  char tag = 0;
  if (!peek_tag(tag)) return false;
  ++next_;
  text_.clear();
  if (is_string_tag(tag)) {
    if (!read_sized(key)) return false;
    if (tag != clone::kUtf16 && count_ascii(key) == key.size()) return true;
    if (!decode_text(tag, key, text_)) return false;
  } else if (tag == clone::kInt32 || tag == clone::kUint32 || tag == clone::kDouble) {
    double number = 0;
    if (!read_number(tag, number)) return false;
    append_number(number, text_);
  } else {
    return fail("a key that is neither string nor number");
  }
  key = text_;
  return true;
}

// ---- Objects

bool CloneDecoder::read_object_like(char tag, Value& out, std::size_t depth_left) {
  switch (tag) {
    case clone::kReference:
      return read_reference(out);
    case clone::kDate: {
      double ms = 0;
      if (!read_double(ms)) return false;
      out = Value::date(ms);
      remember(out);
      return true;
    }
    case clone::kTrueObject:
    case clone::kFalseObject:
    case clone::kNumberObject:
    case clone::kBigIntObject:
    case clone::kStringObject:
      return read_boxed(tag, out);
    case clone::kRegExp:
      return read_regexp(out);
    case clone::kArrayBuffer:
    case clone::kResizableArrayBuffer:
      return read_array_buffer(tag == clone::kResizableArrayBuffer, out);
    default:
      break;
  }
  if (depth_left-- == 0) return fail("nested deeper than 1000");
  switch (tag) {
    case clone::kObject:
      return read_object(out, depth_left);
    case clone::kDenseArray:
      return read_dense_array(out, depth_left);
    case clone::kSparseArray:
      return read_sparse_array(out, depth_left);
    case clone::kMap:
      return read_map(out, depth_left);
    case clone::kSet:
      return read_set(out, depth_left);
    case clone::kError:
      return read_error(out, depth_left);
    case clone::kHostObject:
      return read_host_object(out, depth_left);
    default:
      --next_;
      return fail("an unknown tag");
  }
}

bool CloneDecoder::read_reference(Value& out) {
  std::uint32_t number = 0;
  if (!read_varint(number)) return false;
  if (number >= objects_.size() || !objects_[number]) return fail("a reference to nothing");
  may_be_circular_ = true;
  out = Internals::share(objects_[number]);
  return true;
}

/// The tag that ends a container, and how much was in it.
bool CloneDecoder::read_end(char tag, std::size_t count) {
  char next = 0;
  if (!peek_tag(next)) return false;
  if (next != tag) return fail("no end where one must be");
  ++next_;
  std::uint32_t told = 0;
  if (!read_varint(told)) return false;
  return told == count || fail("a container with another size than it says");
}

bool CloneDecoder::read_object(Value& out, std::size_t depth_left) {
  auto* const node = new Internals::ObjectNode;
  out = Internals::adopt(node);
  remember(out);
  std::size_t count = 0;
  for (char tag = 0;; ++count) {
    if (!peek_tag(tag)) return false;
    if (tag == clone::kObjectEnd) return read_end(tag, count);
    std::string_view key;
    if (!read_key(key)) return false;
    // Only this loop adds members, so the place stays where it is.
    Value& place = node->at(key);
    if (!place.is_undefined()) dropped_.push_back(std::exchange(place, Value()));
    if (!read_value(place, depth_left)) return false;
  }
}

bool CloneDecoder::read_dense_array(Value& out, std::size_t depth_left) {
  std::uint32_t size = 0;
  if (!read_varint(size)) return false;
  if (size > static_cast<std::size_t>(end_ - next_)) return fail("the message ends too early");
  auto* const node = new Internals::ArrayNode;
  out = Internals::adopt(node);
  remember(out);
  constexpr std::uint32_t kReserveMax = 1024;  // the rest only as it really comes
  node->elements.reserve(std::min(size, kReserveMax));
  for (std::uint32_t i = 0; i < size; ++i) {
    char tag = 0;
    if (!peek_tag(tag)) return false;
    if (tag == clone::kHole) {
      ++next_;
      if (++count_ > kCloneCountMax) return fail("more values than 16777216");
      node->elements.push_back(Internals::hole());
      continue;
    }
    Value& element = node->elements.emplace_back();
    if (!read_value(element, depth_left)) return false;
  }
  std::size_t named = 0;
  for (char tag = 0;; ++named) {
    if (!peek_tag(tag)) return false;
    if (tag == clone::kDenseArrayEnd) break;
    std::string_view key;
    if (!read_key(key) || !read_value(dropped_.emplace_back(), depth_left)) return false;
  }
  std::uint32_t told = 0;
  if (!read_end(clone::kDenseArrayEnd, named) || !read_varint(told)) return false;
  return told == size || fail("an array with another size than it says");
}

bool CloneDecoder::read_sparse_array(Value& out, std::size_t depth_left) {
  std::uint32_t size = 0;
  if (!read_varint(size)) return false;
  holes_ += size;
  // The elements that are there have their bytes; only those that are not come for nothing.
  const std::size_t size_max = kCloneHolesMax + static_cast<std::size_t>(end_ - begin_);
  if (holes_ > std::min(size_max, kCloneCountMax)) return fail("too many holes");
  out = Value::array_of_holes(size);
  remember(out);
  auto& elements = static_cast<Internals::ArrayNode*>(Internals::node(out))->elements;
  std::size_t count = 0;
  for (char tag = 0;; ++count) {
    if (!peek_tag(tag)) return false;
    if (tag == clone::kSparseArrayEnd) break;
    std::string_view key;
    if (!read_key(key)) return false;
    const auto position = position_of(key, size);
    Value& place = position ? elements[*position] : dropped_.emplace_back();
    if (!place.is_undefined()) dropped_.push_back(std::exchange(place, Value()));
    place = Value();
    if (!read_value(place, depth_left)) return false;
  }
  std::uint32_t told = 0;
  if (!read_end(clone::kSparseArrayEnd, count) || !read_varint(told)) return false;
  return told == size || fail("an array with another size than it says");
}

bool CloneDecoder::read_map(Value& out, std::size_t depth_left) {
  auto* const node = new Internals::MapNode;
  out = Internals::adopt(node);
  remember(out);
  for (char tag = 0;;) {
    if (!peek_tag(tag)) return false;
    if (tag == clone::kMapEnd) break;
    Value::Entry& entry = node->entries.emplace_back();
    if (!read_value(entry.key, depth_left) || !read_value(entry.value, depth_left)) return false;
  }
  if (!read_end(clone::kMapEnd, 2 * node->entries.size())) return false;
  Internals::remove_duplicates(node->entries, dropped_);
  return true;
}

bool CloneDecoder::read_set(Value& out, std::size_t depth_left) {
  auto* const node = new Internals::ArrayNode(Internals::Tag::Set);
  out = Internals::adopt(node);
  remember(out);
  for (char tag = 0;;) {
    if (!peek_tag(tag)) return false;
    if (tag == clone::kSetEnd) break;
    Value& item = node->elements.emplace_back();
    if (!read_value(item, depth_left)) return false;
  }
  if (!read_end(clone::kSetEnd, node->elements.size())) return false;
  Internals::remove_duplicates(node->elements, dropped_);
  return true;
}

/// Fields in any order, though Node 26 takes but one: Node 20 writes another.
bool CloneDecoder::read_error(Value& out, std::size_t depth_left) {
  auto* const node = new Internals::ErrorNode;
  node->name = "Error";
  out = Internals::adopt(node);
  remember(out);
  for (;;) {
    char tag = 0;
    if (!peek_tag(tag)) return false;
    ++next_;
    const auto kind =
        std::ranges::find(clone::kErrorNames, tag, &std::pair<char, std::string_view>::first);
    if (tag == clone::kErrorEnd) return true;
    if (kind != std::end(clone::kErrorNames)) {
      node->name = kind->second;
    } else if (tag == clone::kErrorMessage) {
      if (!read_string_value(node->message)) return false;
    } else if (tag == clone::kErrorStack) {
      if (!read_string_value(node->stack)) return false;
    } else if (tag == clone::kErrorCause) {
      if (!node->cause.is_undefined()) dropped_.push_back(std::exchange(node->cause, Value()));
      if (!read_value(node->cause, depth_left)) return false;
    } else {
      --next_;
      return fail("an unknown field of an error");
    }
  }
}

bool CloneDecoder::read_boxed(char tag, Value& out) {
  Value primitive = tag == clone::kTrueObject;
  double number = 0;
  if (tag == clone::kNumberObject) {
    if (!read_double(number)) return false;
    primitive = number;
  } else if (tag == clone::kBigIntObject) {
    if (!read_bigint(primitive)) return false;
  } else if (tag == clone::kStringObject) {
    if (!read_string_value(primitive)) return false;
  }
  out = Value::boxed(std::move(primitive));
  remember(out);
  return true;
}

bool CloneDecoder::read_regexp(Value& out) {
  Value source;
  std::uint32_t bits = 0;
  if (!read_string_value(source) || !read_varint(bits)) return false;
  std::string flags;
  for (const auto& [bit, letter] : clone::kRegExpFlags) {
    if (bits & bit) flags += letter;
    bits &= ~bit;
  }
  const bool both = flags.find('u') != flags.npos && flags.find('v') != flags.npos;
  if (bits != 0 || both) return fail("unknown flags of a RegExp");
  out = Value::regexp(source.string_or({}), flags);
  remember(out);
  return true;
}

Value CloneDecoder::binary(Binary kind, std::string_view bytes) const {
  const auto span = std::as_bytes(std::span(bytes));
  const auto& owner = owner_of(bytes);
  return owner ? Value::binary(kind, span, owner) : Value::binary(kind, span);
}

bool CloneDecoder::read_array_buffer(bool resizable, Value& out) {
  std::uint32_t size = 0;
  std::uint32_t size_max = 0;
  std::string_view bytes;
  if (!read_varint(size) || (resizable && !read_varint(size_max))) return false;
  if (resizable && size > size_max) return fail("an ArrayBuffer beyond its size");
  if (!read_bytes(size, bytes)) return false;
  out = resizable ? Value::resizable_array_buffer(std::as_bytes(std::span(bytes)), size_max)
                  : binary(Binary::ArrayBuffer, bytes);
  remember(out);
  return true;
}

/// A view of the ArrayBuffer in `out`, which it replaces. Several views of one do not share it.
bool CloneDecoder::read_view(Value& out) {
  ++next_;
  if (at_end()) return fail("the message ends too early");
  const auto kind = view_kind(*next_);
  if (!kind) return fail("an unknown kind of view");
  ++next_;
  std::uint32_t offset = 0;
  std::uint32_t size = 0;
  std::uint32_t flags = 0;
  if (!read_varint(offset) || !read_varint(size)) return false;
  if (version_ >= clone::kViewFlagsVersion && !read_varint(flags)) return false;
  const std::span<const std::byte> all = out.bytes();
  const std::size_t element = element_size(*kind);
  if (offset > all.size() || size > all.size() - offset || offset % element || size % element)
    return fail("a view beyond its ArrayBuffer");
  const auto part = all.subspan(offset, size);
  const std::string_view bytes(reinterpret_cast<const char*>(part.data()), part.size());
  // The ArrayBuffer stays for those who refer to it.
  dropped_.push_back(std::exchange(out, Value()));
  const bool in_message = bytes.data() >= begin_ && bytes.data() < end_;
  out = in_message ? binary(*kind, bytes) : Value::binary(*kind, part);
  remember(out);
  return true;
}

bool CloneDecoder::read_host_object(Value& out, std::size_t depth_left) {
  const std::size_t number = objects_.size();
  objects_.push_back(nullptr);
  std::uint32_t form = 0;
  if (!read_varint(form)) return false;
  if (form == clone::kHostMembers) {
    // An object that Node itself implements: its members, as an object that has a number, too.
    if (!read_value(out, depth_left)) return false;
    if (!out.is_object()) return fail("a host object that is none");
  } else if (form == clone::kHostView) {
    std::uint32_t kind = 0;
    std::string_view bytes;
    if (!read_varint(kind)) return false;
    if (kind > static_cast<std::uint32_t>(Binary::Float16Array))
      return fail("an unknown kind of view");
    if (!read_sized(bytes)) return false;
    out = binary(static_cast<Binary>(kind), bytes);
  } else {
    return fail("an unknown host object");
  }
  objects_[number] = Internals::node(out);
  return true;
}

}  // namespace cohort::ipc
