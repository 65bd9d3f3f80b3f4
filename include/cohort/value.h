// What a message is: any value that JavaScript could have put into `process.send()`.
//
//   worker.send({{"cmd", "notifyRequest"}});            // an object
//   worker.send({1, 2, 3});                             // an array
//   if (message["cmd"] == "notifyRequest") ...          // undefined where there is no such member
//
// A Value is 16 bytes and cheap to copy. As in JavaScript, **copies of an array or object share
// it**: a change through one copy is seen through the others. `clone()` makes an independent one.
// Cycles are possible and, as with any shared pointer, leak unless broken (`erase`); they cannot be
// sent as JSON.
//
// Threads: counted references are atomic, contents are not guarded. Two threads may read a shared
// value; to let one of them change it, give it a `clone()`.
#pragma once

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "cohort/error.h"

namespace cohort {

/// What counts as an integer for Value: no bool, and no character type (JavaScript has none).
template <class T>
concept ValueInteger = std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char> &&
                       !std::same_as<T, wchar_t> && !std::same_as<T, char8_t> &&
                       !std::same_as<T, char16_t> && !std::same_as<T, char32_t>;

class Value {
 public:
  enum class Type : std::uint8_t { Undefined, Null, Bool, Number, String, Array, Object };
  struct Member;
  class ListItem;

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
  /// UTF-8. A null pointer is null.
  Value(const char* text);
  Value(std::string_view text);
  Value(const std::string& text) : Value(std::string_view{text}) {}
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

  Type type() const noexcept;
  bool is_undefined() const noexcept { return tag() == Tag::Undefined; }
  bool is_null() const noexcept { return tag() == Tag::Null; }
  bool is_bool() const noexcept { return tag() == Tag::Bool; }
  bool is_number() const noexcept { return tag() == Tag::Number; }
  bool is_string() const noexcept { return tag() == Tag::ShortString || tag() == Tag::LongString; }
  bool is_array() const noexcept { return tag() == Tag::Array; }
  bool is_object() const noexcept { return tag() == Tag::Object; }

  /// What it holds, or `fallback` if it is of another type. Nothing is converted.
  bool bool_or(bool fallback) const noexcept { return is_bool() ? rep_.plain.boolean : fallback; }
  double number_or(double fallback) const noexcept {
    return is_number() ? rep_.plain.number : fallback;
  }
  /// `fallback` also if the number is not a whole one in the range of the result.
  std::int64_t int64_or(std::int64_t fallback) const noexcept;
  /// Valid while this Value lives and is not assigned to (and while `fallback` lives).
  std::string_view string_or(std::string_view fallback) const noexcept;

  /// Elements of an array, members of an object; 0 for anything else.
  std::size_t size() const noexcept;
  /// The elements of an array, else none. Valid until the array changes.
  std::span<const Value> elements() const noexcept;
  /// The members of an object in the order of insertion, else none. Valid until the object changes.
  std::span<const Member> members() const noexcept;

  /// To read: the member or element, or undefined if there is none (or this has none at all).
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

  /// An independent copy, however deep; what is shared or circular within it stays so.
  Value clone() const;
  /// The same array or object, not just an equal one (JavaScript's `===`); equality for other
  /// types.
  bool is_same(const Value& other) const noexcept;

  /// Deep; the order of members does not matter. NaN equals nothing.
  friend bool operator==(const Value& a, const Value& b) { return equal(a, b); }
  template <class T>
    requires std::convertible_to<const T&, std::string_view> && (!std::same_as<T, std::nullptr_t>)
  friend bool operator==(const Value& value, const T& text) {
    return value.is_string() && value.string_or({}) == std::string_view(text);
  }

 private:
  // The last three live in a node that copies share.
  enum class Tag : std::uint8_t {
    Undefined,
    Null,
    Bool,
    Number,
    ShortString,
    LongString,
    Array,
    Object
  };
  struct Node {
    explicit Node(Tag node_tag) : tag{node_tag} {}
    std::atomic<std::uint32_t> references{1};
    Tag tag;
  };
  struct StringNode;
  struct ContainerNode;
  struct ArrayNode;
  struct ObjectNode;
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
  static void destroy(Node* node) noexcept;
  static bool equal(const Value& a, const Value& b);
  StringNode& string_node() const noexcept;
  ArrayNode& array_node() const noexcept;
  ObjectNode& object_node() const noexcept;
  const Value& read_at(std::size_t index) const noexcept;
  Value& write_at(std::size_t index);

  Rep rep_;
};

/// One member of an object: `for (const auto& [key, value] : message.members())`.
struct Value::Member {
  std::string key;
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
/// undefined element and a number that is not finite become null; never contains a line break.
/// Bytes that are not UTF-8 become U+FFFD. InvalidArgument, and `out` as it was, if the value is
/// undefined, circular, or nested deeper than 1000.
Result<void> append_json(const Value& value, std::string& out);
/// The same as a string of its own; empty (which is never JSON) where `append_json` fails.
std::string to_json(const Value& value);
/// As JavaScript's `JSON.parse`: of equal keys the last value wins. Half of a surrogate pair and
/// bytes that are not UTF-8 become U+FFFD. MalformedMessage if the text is not JSON, is nested
/// deeper than 1000, or has a number with an exponent beyond 2^31.
Result<Value> parse_json(std::string_view text);

}  // namespace cohort
