// What looks at a whole value at once: copying, comparing, freeing. Depth costs no stack here, and
// shared or circular values are met once.
#include <algorithm>
#include <cmath>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cohort/value.h"
#include "ipc/value_node.h"

namespace cohort {
namespace {

using Internals = Value::Internals;
using Tag = Internals::Tag;

/// Calls `visit` for each Value that a container holds and that can be changed in it.
template <class Visit>
void for_each_content(Internals::Node* node, Visit visit) {
  switch (node->tag) {
    case Tag::Array:
    case Tag::Set:
      for (Value& element : static_cast<Internals::ArrayNode*>(node)->elements) visit(element);
      return;
    case Tag::Object:
      for (auto& [key, member] : static_cast<Internals::ObjectNode*>(node)->members) visit(member);
      return;
    case Tag::Map:
      for (auto& [key, value] : static_cast<Internals::MapNode*>(node)->entries) {
        visit(key);
        visit(value);
      }
      return;
    case Tag::Error:
      return visit(static_cast<Internals::ErrorNode*>(node)->cause);
    default:
      return;  // the others hold primitives
  }
}

/// Whether it can be a part of a cycle.
bool has_contents(Tag tag) {
  return Internals::is_container(tag) && tag != Tag::RegExp && tag != Tag::Boxed;
}

}  // namespace

void Value::Internals::take_contents(Node* node, std::vector<Value>& out) {
  for_each_content(node, [&](Value& content) { out.push_back(std::move(content)); });
}

void Value::drop(Value&& value) {
  const Value root = std::move(value);
  if (!has_contents(root.tag())) return;
  // References that come from within. If that is all of them, only cycles keep the nodes alive.
  std::unordered_map<Node*, std::uint32_t> inner{{root.rep_.plain.node, 1}};
  std::vector<Node*> pending{root.rep_.plain.node};
  while (!pending.empty()) {
    Node* node = pending.back();
    pending.pop_back();
    for_each_content(node, [&](Value& content) {
      if (!has_contents(content.tag())) return;
      if (++inner[content.rep_.plain.node] == 1) pending.push_back(content.rep_.plain.node);
    });
  }
  for (const auto& [node, count] : inner)
    if (node->references.load(std::memory_order_acquire) != count) return;
  std::vector<Value> contents;
  for (const auto& [node, count] : inner) Internals::take_contents(node, contents);
}

Value Value::Internals::copy_container(const Value& original) {
  switch (original.tag()) {
    case Tag::Array:
    case Tag::Set: {
      auto* node = new ArrayNode(original.tag());
      node->elements = original.node<ArrayNode>().elements;
      return adopt(node);
    }
    case Tag::Map: {
      auto* node = new MapNode;
      node->entries = original.node<MapNode>().entries;
      return adopt(node);
    }
    case Tag::Object: {
      auto* node = new ObjectNode;
      node->members = original.node<ObjectNode>().members;
      node->make_index();
      return adopt(node);
    }
    default: {
      const ErrorNode& from = original.node<ErrorNode>();
      return Value::error(from.name.string_or({}), from.message, from.stack, from.cause);
    }
  }
}

namespace {

bool is_flat(const Value& container) {
  bool flat = true;
  for_each_content(Internals::node(container), [&](const Value& content) {
    flat = flat && !has_contents(Internals::tag(content));
  });
  return flat;
}

}  // namespace

Value Value::clone() && {
  const bool is_only_copy =
      has_contents(tag()) && rep_.plain.node->references.load(std::memory_order_acquire) == 1;
  if (is_only_copy && is_flat(*this)) return std::move(*this);
  return std::as_const(*this).clone();
}

Value Value::clone() const& {
  if (!has_contents(tag())) return *this;
  // Most are so, and need no account of what was met.
  if (is_flat(*this)) return Internals::copy_container(*this);
  std::unordered_map<const Node*, Value> copies;
  std::vector<Value> unfinished;
  // The copy of a node; its contents are still those of the original when it is first asked for.
  const auto copy_of = [&](const Value& original) -> Value {
    if (!has_contents(original.tag())) return original;
    const auto [entry, is_new] = copies.try_emplace(original.rep_.plain.node);
    if (!is_new) return entry->second;
    entry->second = Internals::copy_container(original);
    unfinished.push_back(entry->second);
    return entry->second;
  };
  Value result = copy_of(*this);
  while (!unfinished.empty()) {
    const Value container = std::move(unfinished.back());
    unfinished.pop_back();
    for_each_content(container.rep_.plain.node,
                     [&](Value& content) { content = copy_of(content); });
  }
  return result;
}

// ---- Comparing

bool Value::is_same(const Value& other) const noexcept {
  if (type() != other.type()) return false;
  switch (type()) {
    case Type::Undefined:
    case Type::Null:
      return true;
    case Type::Bool:
      return rep_.plain.boolean == other.rep_.plain.boolean;
    case Type::Number:
      return rep_.plain.number == other.rep_.plain.number;
    case Type::String:
      return string_or({}) == other.string_or({});
    case Type::BigInt:
      return bigint_is_negative() == other.bigint_is_negative() &&
             std::ranges::equal(bigint_words(), other.bigint_words());
    default:
      return rep_.plain.node == other.rep_.plain.node;
  }
}

bool Value::equal(const Value& a, const Value& b) {
  // Pairs of containers still to be compared, and all seen so far, which are equal unless a
  // difference turns up: so circular values end, and shared ones are compared once.
  using Pair = std::pair<const Value*, const Value*>;
  std::vector<Pair> pending;
  std::set<std::pair<const Node*, const Node*>> seen;
  const auto may_be_equal = [&](const Value& x, const Value& y) {
    if (x.is_same(y)) return true;
    if (x.tag() != y.tag()) return false;
    switch (x.tag()) {
      case Tag::Date:
        return std::isnan(x.date_or(0)) && std::isnan(y.date_or(0)) ? true
                                                                    : x.date_or(0) == y.date_or(0);
      case Tag::Binary:
        return x.binary_kind() == y.binary_kind() && x.size_max() == y.size_max() &&
               std::ranges::equal(x.bytes(), y.bytes());
      case Tag::RegExp:
        return x["source"].is_same(y["source"]) && x["flags"].is_same(y["flags"]);
      case Tag::Boxed:
        return x.unboxed().is_same(y.unboxed());
      case Tag::Array:
      case Tag::Set:
      case Tag::Object:
      case Tag::Map:
      case Tag::Error:
        if (x.size() != y.size()) return false;
        if (seen.emplace(x.rep_.plain.node, y.rep_.plain.node).second) pending.emplace_back(&x, &y);
        return true;
      default:
        return false;
    }
  };
  if (!may_be_equal(a, b)) return false;
  while (!pending.empty()) {
    const auto [x, y] = pending.back();
    pending.pop_back();
    for (std::size_t i = 0; i < x->elements().size(); ++i) {
      const Value& element = x->elements()[i];
      const Value& other = y->elements()[i];
      if (element.is_hole() != other.is_hole() || !may_be_equal(element, other)) return false;
    }
    for (std::size_t i = 0; i < x->entries().size(); ++i)
      if (!may_be_equal(x->entries()[i].key, y->entries()[i].key) ||
          !may_be_equal(x->entries()[i].value, y->entries()[i].value))
        return false;
    for (const auto& [key, value] : x->members()) {
      const Member* other = y->node<ObjectNode>().find(key);
      if (!other || !may_be_equal(value, other->value)) return false;
    }
    if (!x->is_error()) continue;
    for (const char* key : {"name", "message", "stack", "cause"})
      if (!may_be_equal((*x)[key], (*y)[key])) return false;
  }
  return true;
}

// ---- The keys of Maps and Sets

namespace {

/// An order of all values in which equal keys, as JavaScript's Map sees them, are next to each
/// other.
struct KeyLess {
  bool operator()(const Value* a, const Value* b) const {
    if (a->type() != b->type()) return a->type() < b->type();
    switch (a->type()) {
      case Value::Type::Undefined:
      case Value::Type::Null:
        return false;
      case Value::Type::Bool:
        return a->bool_or(false) < b->bool_or(false);
      case Value::Type::Number: {
        const double x = a->number_or(0);
        const double y = b->number_or(0);
        return std::isnan(x) ? false : std::isnan(y) ? true : x < y;
      }
      case Value::Type::String:
        return a->string_or({}) < b->string_or({});
      case Value::Type::BigInt:
        if (a->bigint_is_negative() != b->bigint_is_negative()) return a->bigint_is_negative();
        return std::ranges::lexicographical_compare(a->bigint_words(), b->bigint_words());
      default:
        return std::less<>{}(Internals::node(*a), Internals::node(*b));
    }
  }
};

// Up to this many keys comparing each with each is faster than a tree.
constexpr std::size_t kLinearMax = 8;

/// For each key the position of the first that equals it.
template <class KeyOf>
std::vector<std::size_t> first_equals(std::size_t count, KeyOf key_of) {
  std::vector<std::size_t> firsts(count);
  const KeyLess less;
  if (count <= kLinearMax) {
    for (std::size_t i = 0; i < count; ++i) {
      std::size_t first = 0;
      while (less(key_of(first), key_of(i)) || less(key_of(i), key_of(first))) ++first;
      firsts[i] = first;
    }
    return firsts;
  }
  const auto by_key = [&](std::size_t a, std::size_t b) { return less(key_of(a), key_of(b)); };
  std::set<std::size_t, decltype(by_key)> known(by_key);
  for (std::size_t i = 0; i < count; ++i) firsts[i] = *known.insert(i).first;
  return firsts;
}

}  // namespace

void Value::Internals::remove_duplicates(std::vector<Entry>& entries, std::list<Value>& dropped) {
  const auto firsts = first_equals(entries.size(), [&](std::size_t i) { return &entries[i].key; });
  std::vector<std::size_t> places(entries.size());
  std::size_t kept = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (firsts[i] < i) {
      Value& value = entries[places[firsts[i]]].value;
      dropped.push_back(std::exchange(value, std::move(entries[i].value)));
      dropped.push_back(std::move(entries[i].key));
      continue;
    }
    places[i] = kept;
    if (kept != i) entries[kept] = std::move(entries[i]);
    ++kept;
  }
  entries.erase(entries.begin() + static_cast<std::ptrdiff_t>(kept), entries.end());
}

void Value::Internals::remove_duplicates(std::vector<Value>& items, std::list<Value>& dropped) {
  const auto firsts = first_equals(items.size(), [&](std::size_t i) { return &items[i]; });
  std::size_t kept = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (firsts[i] < i)
      dropped.push_back(std::move(items[i]));
    else if (kept++ != i)
      items[kept - 1] = std::move(items[i]);
  }
  items.erase(items.begin() + static_cast<std::ptrdiff_t>(kept), items.end());
}

}  // namespace cohort
