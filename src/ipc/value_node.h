// The shared half of everything but the smallest values: what `cohort::Value` points to. For
// value*.cc and the codecs, which get at it through `Value::Internals`.
//
// A node is destroyed by whoever drops its last reference; see Value for threads.
#pragma once

#include <cstring>
#include <list>
#include <memory>
#include <new>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/recycled_memory.h"
#include "cohort/value.h"

namespace cohort {

/// Bytes that never change: behind the node in one allocation, or somebody else's.
struct Value::BytesNode : Node {
  BytesNode(Tag node_tag, std::span<const std::byte> node_bytes)
      : Node{node_tag}, bytes{node_bytes} {}

  /// A node with a copy of `source` behind it.
  template <class N, class... Args>
  static N* copy(std::span<const std::byte> source, Args... args) {
    void* memory = ::operator new(sizeof(N) + source.size());
    auto* place = static_cast<std::byte*>(memory) + sizeof(N);
    if (!source.empty()) std::memcpy(place, source.data(), source.size());
    return new (memory) N(std::span<const std::byte>(place, source.size()), args...);
  }
  template <class N, class... Args>
  static N* refer(std::span<const std::byte> source, std::shared_ptr<const void> owner,
                  Args... args) {
    auto* node = new (::operator new(sizeof(N))) N(source, args...);
    node->owner = std::move(owner);
    return node;
  }
  template <class N>
  static void destroy(N* node) noexcept {
    node->~N();
    ::operator delete(static_cast<void*>(node));
  }

  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;  ///< Of bytes that are not behind the node: who holds them.
};

/// A long string.
struct Value::StringNode : BytesNode {
  explicit StringNode(std::span<const std::byte> text) : BytesNode{Tag::LongString, text} {}
  std::string_view text() const noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
};

struct Value::BinaryNode : BytesNode {
  BinaryNode(std::span<const std::byte> data, Binary binary_kind)
      : BytesNode{Tag::Binary, data}, kind{binary_kind} {}

  Binary kind;
  std::optional<std::size_t> size_max;  ///< Of a resizable ArrayBuffer.
};

struct Value::BigIntNode : Node {
  BigIntNode() : Node{Tag::BigInt} {}
  bool negative = false;
  std::vector<std::uint64_t> words;  ///< Without leading zeros.
};

struct Value::DateNode : Node {
  explicit DateNode(double date_ms) : Node{Tag::Date}, ms{date_ms} {}
  double ms;
};

struct Value::ContainerNode : Node {
  using Node::Node;
  // A message is made by one thread and ended by another.
  static void* operator new(std::size_t size) { return take_recycled(size); }
  static void operator delete(void* memory, std::size_t size) { give_recycled(memory, size); }
  ContainerNode* next_dead = nullptr;  ///< Links nodes that wait for their destruction.
};

/// An array, or a Set.
struct Value::ArrayNode : ContainerNode {
  explicit ArrayNode(Tag node_tag = Tag::Array) : ContainerNode{node_tag} {}
  std::vector<Value> elements;
};

struct Value::MapNode : ContainerNode {
  MapNode() : ContainerNode{Tag::Map} {}
  std::vector<Entry> entries;
};

/// A RegExp, an Error or a boxed primitive: a fixed number of properties.
struct Value::RegExpNode : ContainerNode {
  RegExpNode() : ContainerNode{Tag::RegExp} {}
  Value source, flags;
};

struct Value::ErrorNode : ContainerNode {
  ErrorNode() : ContainerNode{Tag::Error} {}
  Value name, message, stack, cause;
};

struct Value::BoxedNode : ContainerNode {
  explicit BoxedNode(Value boxed_primitive)
      : ContainerNode{Tag::Boxed}, primitive{std::move(boxed_primitive)} {}
  Value primitive;
};

struct Value::ObjectNode : ContainerNode {
  ObjectNode() : ContainerNode{Tag::Object} {}

  const Member* find(std::string_view key) const noexcept;
  /// The value of that member, inserted if need be.
  Value& at(std::string_view key);
  bool erase(std::string_view key);
  /// After members were added by other means than `at`.
  void make_index();

  using Members = std::vector<Member, RecyclingAllocator<Member>>;
  Members members;

 private:
  // Up to this many members comparing them one by one is faster than any index.
  static constexpr std::size_t kLinearMax = 16;

  // Positions in `members`, ordered by key. A tree and not a hash table: its worst case is
  // logarithmic, whatever keys a hostile peer chooses.
  struct ByKey {
    using is_transparent = void;
    const Members* members;
    std::string_view key(std::size_t position) const { return (*members)[position].key; }
    static std::string_view key(std::string_view text) { return text; }
    template <class A, class B>
    bool operator()(const A& a, const B& b) const {
      return key(a) < key(b);
    }
  };
  using Index = std::set<std::size_t, ByKey>;
  std::unique_ptr<Index> index_;  ///< Only above kLinearMax members.
};

/// What the codecs need of a Value besides its public face.
struct Value::Internals {
  using Tag = Value::Tag;
  using Node = Value::Node;
  using StringNode = Value::StringNode;
  using BinaryNode = Value::BinaryNode;
  using BigIntNode = Value::BigIntNode;
  using ArrayNode = Value::ArrayNode;
  using ObjectNode = Value::ObjectNode;
  using MapNode = Value::MapNode;
  using ErrorNode = Value::ErrorNode;

  static Tag tag(const Value& value) { return value.tag(); }
  /// Only of a value whose tag is LongString or beyond.
  static Node* node(const Value& value) { return value.rep_.plain.node; }
  static bool is_container(Tag tag) { return tag >= Tag::Array; }
  /// Takes over the reference that a new node has.
  static Value adopt(Node* node) { return Value(node); }
  /// One more reference.
  static Value share(Node* node) {
    node->references.fetch_add(1, std::memory_order_relaxed);
    return Value(node);
  }
  static Value hole() { return Value(Tag::Hole); }
  /// Of text that stays as long as `owner`.
  static Value string(std::string_view text, std::shared_ptr<const void> owner) {
    return Value(BytesNode::refer<StringNode>(std::as_bytes(std::span(text)), std::move(owner)));
  }
  /// A container of its own, whose contents are still those of the original. Only of what has any
  /// that may change.
  static Value copy_container(const Value& original);
  /// Moves all Values out of a container, to the end of `out`.
  static void take_contents(Node* node, std::vector<Value>& out);
  /// Drops the entries whose key came before; the last value wins in the place of the first.
  static void remove_duplicates(std::vector<Entry>& entries, std::list<Value>& dropped);
  static void remove_duplicates(std::vector<Value>& items, std::list<Value>& dropped);
};

}  // namespace cohort
