// What a message is: any value that JavaScript could have put into `process.send()`.
//
//   worker.send({{"cmd", "notifyRequest"}});            // an object
//   worker.send({1, 2, 3});                             // an array
//   worker.send({{"image", Value::buffer(std::move(pixels))}, {"taken", Value::date(ms)}});
//   if (message["cmd"] == "notifyRequest") ...          // undefined where there is no such member
//
// In JSON only undefined, null, booleans, finite numbers, strings, arrays and objects arrive as
// they were sent (`append_json` says what becomes of the others). With `Serialization::Advanced`
// every kind does: what JavaScript's structured clone holds, and Node's Buffer.
//
// A Value is 16 bytes and cheap to copy. As in JavaScript, **copies of an array, object, Map or Set
// share it**: a change through one copy is seen through the others. `clone()` makes an independent
// one. All other kinds never change, so that copies share large strings and bytes too. Cycles are
// possible and, as with any shared pointer, leak unless broken (`erase`, `drop`); they cannot be
// sent as JSON.
//
// Threads: counted references are atomic, contents are not guarded. Two threads may read a shared
// value; to let one of them change it, give it a `clone()`.
#pragma once

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <iosfwd>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "cohort/error.h"

namespace cohort {

/// What counts as an integer for Value: no bool, and no character type (JavaScript has none).
template <class T>
concept ValueInteger = std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char> &&
                       !std::same_as<T, wchar_t> && !std::same_as<T, char8_t> &&
                       !std::same_as<T, char16_t> && !std::same_as<T, char32_t>;

/// How binary data appears to JavaScript; the values of the first fourteen are those of Node's
/// wire.
enum class Binary : std::uint8_t {
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  DataView,
  Buffer,  ///< Node's.
  BigInt64Array,
  BigUint64Array,
  Float16Array,  ///< Not known to Node 20: it fails to receive one.
  ArrayBuffer
};

/// The name of the JavaScript class: `Uint8Array`.
std::string_view to_string(Binary kind) noexcept;
/// The size of one element in bytes: 1 for Buffer, ArrayBuffer and DataView.
std::size_t element_size(Binary kind) noexcept;

/// The numbers of typed arrays in C++ (not those of Uint8ClampedArray and Float16Array).
template <class T>
concept BinaryElement = std::same_as<T, std::int8_t> || std::same_as<T, std::uint8_t> ||
                        std::same_as<T, std::int16_t> || std::same_as<T, std::uint16_t> ||
                        std::same_as<T, std::int32_t> || std::same_as<T, std::uint32_t> ||
                        std::same_as<T, std::int64_t> || std::same_as<T, std::uint64_t> ||
                        std::same_as<T, float> || std::same_as<T, double>;

/// The typed array of these numbers: `float` has Float32Array.
template <BinaryElement T>
inline constexpr Binary kBinaryOf =
    std::same_as<T, float>    ? Binary::Float32Array
    : std::same_as<T, double> ? Binary::Float64Array
    : sizeof(T) == 1          ? (std::is_signed_v<T> ? Binary::Int8Array : Binary::Uint8Array)
    : sizeof(T) == 2          ? (std::is_signed_v<T> ? Binary::Int16Array : Binary::Uint16Array)
    : sizeof(T) == 4          ? (std::is_signed_v<T> ? Binary::Int32Array : Binary::Uint32Array)
                     : (std::is_signed_v<T> ? Binary::BigInt64Array : Binary::BigUint64Array);

/// Bytes that may still be written, until they become a Value, which keeps them:
/// `Value::buffer(std::move(memory))`. `Worker::make_buffer` gives one.
class WritableBuffer {
 public:
  /// Of bytes that `owner` keeps alive.
  WritableBuffer(std::span<std::byte> bytes, std::shared_ptr<const void> owner) noexcept
      : bytes_{bytes}, owner_{std::move(owner)} {}
  WritableBuffer(WritableBuffer&& other) noexcept
      : bytes_{std::exchange(other.bytes_, {})}, owner_{std::move(other.owner_)} {}
  WritableBuffer& operator=(WritableBuffer&& other) noexcept {
    bytes_ = std::exchange(other.bytes_, {});
    owner_ = std::move(other.owner_);
    return *this;
  }

  /// Not zeroed. Any thread, one at a time; empty once they were given away.
  std::span<std::byte> bytes() const noexcept { return bytes_; }

 private:
  friend class Value;
  std::span<std::byte> bytes_;
  std::shared_ptr<const void> owner_;
};

class Value {
 public:
  enum class Type : std::uint8_t {
    Undefined,
    Null,
    Bool,
    Number,
    BigInt,
    String,
    Array,
    Object,
    Map,
    Set,
    Date,
    RegExp,
    Error,
    Boxed,  ///< `new Number(1)` and the like: an object around a primitive.
    Binary  ///< Buffer, ArrayBuffer, typed arrays, DataView: `binary_kind` says which.
  };
  struct Member;
  struct Entry;
  class ListItem;
  struct Internals;  // for the codecs: src/ipc/value_node.h

  /// undefined.
  constexpr Value() noexcept = default;
  Value(std::nullptr_t) noexcept : Value(Tag::Null) {}
  /// Exactly a bool: no pointer and no number becomes one.
  template <std::same_as<bool> T>
  Value(T boolean) noexcept : Value(Tag::Bool) {
    rep_.plain.boolean = boolean;
  }
  /// A double, as in JavaScript: integers above 2^53 are rounded.
  template <class T>
    requires ValueInteger<T> || std::floating_point<T>
  Value(T number) noexcept : Value(Tag::Number) {
    rep_.plain.number = static_cast<double>(number);
  }
  /// UTF-8; half of a surrogate pair, which JavaScript's strings may hold, is the three bytes that
  /// UTF-8 would have for it (WTF-8). A null pointer is null. A long string that is moved in is
  /// kept and not copied.
  Value(const char* text);
  Value(std::string_view text);
  Value(const std::string& text) : Value(std::string_view{text}) {}
  Value(std::string&& text);
  /// Braces. If every item is itself a braced pair that begins with a string, an object; else an
  /// array. `object` and `array` say which. Within braces, `{}` is an empty object and `{x}` an
  /// array of one. Of its own, `Value{}` is undefined, and one Value alone in braces is that Value,
  /// not an array of it (compilers disagree on what the language wants there).
  Value(std::initializer_list<ListItem> items);

  Value(const Value& other) noexcept : rep_{other.rep_} {
    if (has_node()) rep_.plain.node->references.fetch_add(1, std::memory_order_relaxed);
  }
  Value(Value&& other) noexcept : rep_{std::exchange(other.rep_, Rep{})} {}
  /// By value, so that `v["a"] = v["b"]` is safe although `v["a"]` may move the members.
  Value& operator=(Value other) noexcept {
    std::swap(rep_, other.rep_);
    return *this;
  }
  ~Value() {
    if (has_node()) release();
  }

  static Value array();
  static Value array(std::initializer_list<Value> elements);
  static Value object();
  /// Of two members with one key the last wins, in the place of the first.
  static Value object(std::initializer_list<Member> members);
  /// `new Array(count)`: nothing but holes. A hole reads as undefined, and assigning to it fills
  /// it.
  static Value array_of_holes(std::size_t count);

  /// A BigInt, exact over the whole range of the integer.
  template <ValueInteger I>
  static Value bigint(I number) {
    const bool negative = std::cmp_less(number, 0);
    const auto word = static_cast<std::uint64_t>(number);
    const std::uint64_t magnitude = negative ? 0 - word : word;
    return bigint(negative, std::span(&magnitude, 1));
  }
  /// Of any size: the magnitude in 64-bit words, least significant first.
  static Value bigint(bool negative, std::span<const std::uint64_t> words);
  /// From decimal digits with an optional `-`. InvalidArgument for any other text and for more than
  /// 10 000 digits (the time grows with their square).
  static Result<Value> bigint(std::string_view decimal);

  /// Milliseconds since 1970-01-01 UTC, truncated to whole ones. Beyond +-8.64e15, as in
  /// JavaScript, an invalid date: NaN.
  static Value date(double ms);
  /// `/source/flags`. Flags are letters of `dgimsuvy`, in any order; others are ignored. The
  /// pattern is not checked: a Node peer fails to receive one that is not a pattern.
  static Value regexp(std::string_view source, std::string_view flags = {});
  /// `name` is Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError or URIError,
  /// and anything else is Error: no other name survives the wire. A message or stack that is not a
  /// string is left out. Read back as `value["name"]`, `["message"]`, `["stack"]`, `["cause"]`.
  static Value error(std::string_view name, Value message);
  static Value error(std::string_view name, Value message, Value stack);
  static Value error(std::string_view name, Value message, Value stack, Value cause);
  /// In order; of equal keys (as in JavaScript: arrays and objects equal only themselves) the last
  /// value wins, in the place of the first.
  static Value map();
  static Value map(std::vector<Entry> entries);
  static Value set();
  static Value set(std::vector<Value> items);
  /// `Object(primitive)`, for a bool, number, BigInt or string; else just the value given.
  static Value boxed(Value primitive);

  /// A Node Buffer with a copy of these bytes.
  static Value buffer(std::string_view bytes) {
    return binary(Binary::Buffer, std::as_bytes(std::span(bytes)));
  }
  /// A Node Buffer of a string or vector that is moved in: kept, not copied.
  template <class Container>
    requires(std::same_as<Container, std::string> ||
             std::same_as<Container, std::vector<std::byte>> ||
             std::same_as<Container, std::vector<std::uint8_t>> ||
             std::same_as<Container, std::vector<char>>)
  static Value buffer(Container&& bytes) {
    return kept(Binary::Buffer, std::forward<Container>(bytes));
  }
  static Value buffer(WritableBuffer&& memory) { return binary(Binary::Buffer, std::move(memory)); }
  /// The typed array of these numbers, `Float32Array` of a `std::vector<float>`; a vector that is
  /// moved in is kept, not copied.
  template <BinaryElement T>
  static Value typed_array(std::vector<T> elements) {
    return kept(kBinaryOf<T>, std::move(elements));
  }
  /// Any kind, with a copy of the bytes. Bytes behind the last whole element are left out.
  static Value binary(Binary kind, std::span<const std::byte> bytes);
  /// Any kind, referring to bytes that `owner` keeps alive and that nobody changes any more.
  static Value binary(Binary kind, std::span<const std::byte> bytes,
                      std::shared_ptr<const void> owner);
  static Value binary(Binary kind, WritableBuffer&& memory) {
    const WritableBuffer given{std::move(memory)};
    return binary(kind, given.bytes_, given.owner_);
  }
  /// An ArrayBuffer that JavaScript may resize up to `size_max` (at least the size of `bytes`).
  static Value resizable_array_buffer(std::span<const std::byte> bytes, std::size_t size_max);

  Type type() const noexcept { return kTypes[static_cast<std::size_t>(tag())]; }
  /// Also for a hole in an array.
  bool is_undefined() const noexcept { return tag() <= Tag::Hole; }
  bool is_hole() const noexcept { return tag() == Tag::Hole; }
  bool is_null() const noexcept { return tag() == Tag::Null; }
  bool is_bool() const noexcept { return tag() == Tag::Bool; }
  bool is_number() const noexcept { return tag() == Tag::Number; }
  bool is_string() const noexcept { return tag() == Tag::ShortString || tag() == Tag::LongString; }
  bool is_array() const noexcept { return tag() == Tag::Array; }
  /// A plain one: not a Map, Date and so on.
  bool is_object() const noexcept { return tag() == Tag::Object; }
  bool is_bigint() const noexcept { return tag() == Tag::BigInt; }
  bool is_date() const noexcept { return tag() == Tag::Date; }
  bool is_regexp() const noexcept { return tag() == Tag::RegExp; }
  bool is_error() const noexcept { return tag() == Tag::Error; }
  bool is_map() const noexcept { return tag() == Tag::Map; }
  bool is_set() const noexcept { return tag() == Tag::Set; }
  bool is_boxed() const noexcept { return tag() == Tag::Boxed; }
  bool is_binary() const noexcept { return tag() == Tag::Binary; }
  bool is_buffer() const noexcept { return binary_kind() == Binary::Buffer; }

  /// What it holds, or `fallback` if it is of another type. Nothing is converted.
  bool bool_or(bool fallback) const noexcept { return is_bool() ? rep_.plain.boolean : fallback; }
  double number_or(double fallback) const noexcept {
    return is_number() ? rep_.plain.number : fallback;
  }
  /// A number or BigInt; `fallback` also if it is not a whole one in the range of the result.
  std::int64_t int64_or(std::int64_t fallback) const noexcept;
  std::uint64_t uint64_or(std::uint64_t fallback) const noexcept;
  /// Of a BigInt: the sign (never of 0n) and the words of its magnitude, least significant first,
  /// without leading zeros. False and none for anything else.
  bool bigint_is_negative() const noexcept;
  std::span<const std::uint64_t> bigint_words() const noexcept;
  /// A date in milliseconds since 1970; NaN if it is an invalid one.
  double date_or(double fallback_ms) const noexcept;
  /// Valid while this Value lives and is not assigned to (and while `fallback` lives).
  std::string_view string_or(std::string_view fallback) const noexcept;

  /// What a boxed primitive holds; any other value itself.
  const Value& unboxed() const noexcept;

  /// Nothing (no value of the enumeration) if it is not binary.
  std::optional<Binary> binary_kind() const noexcept;
  /// The bytes of a Buffer, ArrayBuffer, typed array or DataView in the machine's order, else none.
  /// They never change, may lie at any address, and stay while any copy of this Value lives.
  std::span<const std::byte> bytes() const noexcept;
  /// To what size a resizable ArrayBuffer may grow; nothing for anything else.
  std::optional<std::size_t> size_max() const noexcept;
  /// A copy of the numbers of a typed array of exactly this element type, else none.
  template <BinaryElement T>
  std::vector<T> typed_elements() const {
    std::vector<T> elements(binary_kind() == kBinaryOf<T> ? bytes().size() / sizeof(T) : 0);
    if (!elements.empty()) std::memcpy(elements.data(), bytes().data(), bytes().size());
    return elements;
  }

  /// Elements of an array, Set or typed array, members of an object, entries of a Map, bytes of a
  /// Buffer, ArrayBuffer or DataView; 0 for anything else.
  std::size_t size() const noexcept;
  /// The elements of an array or Set, else none. Valid until the array changes.
  std::span<const Value> elements() const noexcept;
  /// The entries of a Map in the order of insertion, else none.
  std::span<const Entry> entries() const noexcept;
  /// The members of an object in the order of insertion, else none. Valid until the object changes.
  std::span<const Member> members() const noexcept;

  /// To read: the member or element, or undefined if there is none (or this has none at all). An
  /// Error has `name`, `message`, `stack`, `cause`, a RegExp `source` and `flags`.
  const Value& operator[](std::string_view key) const& noexcept;
  template <ValueInteger I>
  const Value& operator[](I index) const& noexcept {
    return read_at(std::in_range<std::size_t>(index) ? static_cast<std::size_t>(index) : SIZE_MAX);
  }
  /// To write: a missing member is inserted, as undefined (as with `std::map`: to look without
  /// inserting, use `contains` or a const Value), and undefined becomes an object first. Where
  /// nothing can be written (a member of a string, an element past the end), the result reads as
  /// undefined and what is assigned to it is dropped. References are valid until a member or
  /// element is added.
  Value& operator[](std::string_view key) &;
  template <ValueInteger I>
  Value& operator[](I index) & {
    return write_at(std::in_range<std::size_t>(index) ? static_cast<std::size_t>(index) : SIZE_MAX);
  }
  bool contains(std::string_view key) const noexcept;
  /// True if there was such a member. Linear in the size of the object.
  bool erase(std::string_view key);
  /// Undefined becomes an array first. False, and nothing done, for anything but an array.
  bool push_back(Value element);

  /// An independent copy, however deep; what is shared or circular within it stays so, and what
  /// never changes is shared with the original.
  Value clone() const&;
  /// If nobody else has any of it that may change, it is moved: at no cost, for small ones.
  Value clone() &&;
  /// The same object of whatever kind, not just an equal one (JavaScript's `===`); equality for
  /// primitives.
  bool is_same(const Value& other) const noexcept;
  /// Gives up `value` and frees it even if it contains itself, provided that nobody else holds a
  /// part of it; no other thread may use it now. Its cost is in proportion to the size.
  static void drop(Value&& value);

  /// Deep; the order of members does not matter, that of the entries of a Map or Set does. NaN
  /// equals nothing, but an invalid date another one, and a hole no undefined element.
  friend bool operator==(const Value& a, const Value& b) { return equal(a, b); }
  template <class T>
    requires std::convertible_to<const T&, std::string_view> && (!std::same_as<T, std::nullptr_t>)
  friend bool operator==(const Value& value, const T& text) {
    return value.is_string() && value.string_or({}) == std::string_view(text);
  }

 private:
  // From LongString on they live in a node that copies share; from Array on, nodes hold Values.
  enum class Tag : std::uint8_t {
    Undefined,
    Hole,
    Null,
    Bool,
    Number,
    ShortString,
    LongString,
    BigInt,
    Date,
    Binary,
    Array,
    Object,
    Map,
    Set,
    RegExp,
    Error,
    Boxed
  };
  static constexpr Type kTypes[] = {
      Type::Undefined, Type::Undefined, Type::Null,   Type::Bool,   Type::Number, Type::String,
      Type::String,    Type::BigInt,    Type::Date,   Type::Binary, Type::Array,  Type::Object,
      Type::Map,       Type::Set,       Type::RegExp, Type::Error,  Type::Boxed};
  struct Node {
    explicit Node(Tag node_tag) : tag{node_tag} {}
    std::atomic<std::uint32_t> references{1};
    Tag tag;
  };
  struct BytesNode;
  struct StringNode;
  struct BigIntNode;
  struct DateNode;
  struct BinaryNode;
  struct ContainerNode;
  struct ArrayNode;
  struct ObjectNode;
  struct MapNode;
  struct RegExpNode;
  struct ErrorNode;
  struct BoxedNode;
  static constexpr std::size_t kShortSizeMax = 14;
  struct Plain {
    Tag tag = Tag::Undefined;
    std::uint8_t size = 0;
    union {
      double number = 0;
      bool boolean;
      Node* node;
    };
  };
  struct Short {
    Tag tag;
    std::uint8_t size;
    char text[kShortSizeMax];
  };
  union Rep {
    Plain plain{};
    Short text;
  };

  explicit Value(Tag tag) noexcept { rep_.plain.tag = tag; }
  explicit Value(Node* node) noexcept : Value(node->tag) { rep_.plain.node = node; }
  Tag tag() const noexcept { return rep_.plain.tag; }
  bool has_node() const noexcept { return tag() >= Tag::LongString; }
  /// Gives up this reference. The only owner needs no atomic write.
  void release() noexcept {
    Node* node = rep_.plain.node;
    if (node->references.load(std::memory_order_acquire) == 1 ||
        node->references.fetch_sub(1, std::memory_order_acq_rel) == 1)
      destroy(node);
  }
  /// Binary data whose owner is the container itself.
  template <class Container>
  static Value kept(Binary kind, Container&& bytes) {
    auto owner = std::make_shared<const Container>(std::forward<Container>(bytes));
    const auto span = std::as_bytes(std::span(*owner));
    return binary(kind, span, std::move(owner));
  }
  static void destroy(Node* node) noexcept;
  static bool equal(const Value& a, const Value& b);
  template <class N>
  N& node() const noexcept {
    return *static_cast<N*>(rep_.plain.node);
  }
  const Value* property(std::string_view key) const noexcept;
  const Value& read_at(std::size_t index) const noexcept;
  Value& write_at(std::size_t index);

  Rep rep_;
};

/// One member of an object: `for (const auto& [key, value] : message.members())`.
struct Value::Member {
  std::string key;
  Value value;
};

/// One entry of a Map.
struct Value::Entry {
  Value key;
  Value value;
};

/// One item in braces; users never name it. It refers to the braces, so it must not outlive them.
class Value::ListItem {
 public:
  template <class T>
    requires(!std::same_as<std::remove_cvref_t<T>, ListItem>) && std::convertible_to<T, Value>
  ListItem(T&& value)
      : value_(std::forward<T>(value)), was_value_{std::same_as<std::remove_cvref_t<T>, Value>} {}
  ListItem(std::initializer_list<ListItem> items) : items_(items), braced_{true} {}

 private:
  friend class Value;
  bool is_pair() const;
  static Value make(std::initializer_list<ListItem> items);

  Value value_;
  std::initializer_list<ListItem> items_;
  bool braced_ = false;
  bool was_value_ = false;
};

/// Prints as Node's `console.log` would: a string as it is, `{ cmd: 'notifyRequest' }`, `[ 1, 2, 3
/// ]`,
/// `[Object]` below the third level. Differs in that integer-like keys keep their place.
std::ostream& operator<<(std::ostream& out, const Value& value);

/// As JavaScript's `JSON.stringify`, to the end of `out`: undefined members are left out, an
/// undefined element and a number that is not finite become null; never contains a line break. A
/// Date is its ISO text, a Buffer `{"type":"Buffer","data":[104,101]}`, a typed array
/// `{"0":104,"1":101}`, a boxed primitive what it holds; a Map, Set, RegExp, Error, ArrayBuffer or
/// DataView is `{}`. Half of a surrogate pair is escaped, `\ud800`; other bytes that are not UTF-8
/// become U+FFFD. InvalidArgument, and `out` as it was, if the value is undefined, circular, nested
/// deeper than 1000, or has a BigInt.
Result<void> append_json(const Value& value, std::string& out);
/// The same as a string of its own; empty (which is never JSON) where `append_json` fails.
std::string to_json(const Value& value);
/// As JavaScript's `JSON.parse`: of equal keys the last value wins. Bytes that are not UTF-8 become
/// U+FFFD; an escaped half of a surrogate pair stays one. MalformedMessage if the text is not JSON,
/// is nested deeper than 1000, or has a number with an exponent beyond 2^31.
Result<Value> parse_json(std::string_view text);

}  // namespace cohort
