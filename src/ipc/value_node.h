// The shared half of strings, arrays and objects: what `cohort::Value` points to. Only value.cc
// needs it.
//
// A node is destroyed by whoever drops its last reference; see Value for threads.
#pragma once

#include <cstring>
#include <memory>
#include <new>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cohort/value.h"

namespace cohort {

/// A long string: the bytes follow the node, in one allocation. Never changes.
struct Value::StringNode : Node {
  static StringNode* make(std::string_view text) {
    void* memory = ::operator new(sizeof(StringNode) + text.size());
    auto* node = new (memory) StringNode(text.size());
    std::memcpy(static_cast<void*>(node + 1), text.data(), text.size());
    return node;
  }
  static void destroy(StringNode* node) noexcept {
    node->~StringNode();
    ::operator delete(node);
  }
  std::string_view text() const noexcept { return {reinterpret_cast<const char*>(this + 1), size}; }
  explicit StringNode(std::size_t text_size) : Node{Tag::LongString}, size{text_size} {}

  std::size_t size;
};

struct Value::ContainerNode : Node {
  using Node::Node;
  ContainerNode* next_dead = nullptr;  ///< Links nodes that wait for their destruction.
};

struct Value::ArrayNode : ContainerNode {
  ArrayNode() : ContainerNode{Tag::Array} {}
  std::vector<Value> elements;
};

struct Value::ObjectNode : ContainerNode {
  ObjectNode() : ContainerNode{Tag::Object} {}

  const Member* find(std::string_view key) const noexcept;
  /// The value of that member, inserted if need be.
  Value& at(std::string_view key);
  bool erase(std::string_view key);
  /// After members were added by other means than `at`.
  void make_index();

  std::vector<Member> members;

 private:
  // Up to this many members comparing them one by one is faster than any index.
  static constexpr std::size_t kLinearMax = 16;

  // Positions in `members`, ordered by key. A tree and not a hash table: its worst case is
  // logarithmic, whatever keys a hostile peer chooses.
  struct ByKey {
    using is_transparent = void;
    const std::vector<Member>* members;
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

}  // namespace cohort
