#include "cohort/value.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <ostream>
#include <unordered_map>

#include "ipc/inspect.h"
#include "ipc/value_node.h"

namespace cohort {
namespace {

constinit const Value kUndefined{};

/// Where writes go that JavaScript would ignore; undefined again at each use.
Value& scratch() {
  static thread_local Value value;
  value = Value();
  return value;
}

}  // namespace

static_assert(sizeof(Value) == 16);

// ---- Objects

const Value::Member* Value::ObjectNode::find(std::string_view key) const noexcept {
  if (index_) {
    const auto found = index_->find(key);
    return found == index_->end() ? nullptr : &members[*found];
  }
  for (const Member& member : members)
    if (member.key == key) return &member;
  return nullptr;
}

Value& Value::ObjectNode::at(std::string_view key) {
  if (const Member* member = find(key)) return const_cast<Member*>(member)->value;
  if (members.capacity() == 0) members.reserve(4);
  members.push_back({std::string(key), Value()});
  if (index_)
    index_->insert(members.size() - 1);
  else if (members.size() > kLinearMax)
    make_index();
  return members.back().value;
}

bool Value::ObjectNode::erase(std::string_view key) {
  const Member* member = find(key);
  if (!member) return false;
  index_.reset();
  members.erase(members.begin() + (member - members.data()));
  make_index();
  return true;
}

void Value::ObjectNode::make_index() {
  if (members.size() <= kLinearMax) return;
  index_ = std::make_unique<Index>(ByKey{&members});
  for (std::size_t i = 0; i < members.size(); ++i) index_->insert(i);
}

// ---- Making and destroying

Value::Value(const char* text) : Value(text ? Value(std::string_view{text}) : Value(nullptr)) {}

Value::Value(std::string_view text) {
  if (text.size() > kShortSizeMax) {
    rep_.plain.tag = Tag::LongString;
    rep_.plain.node = StringNode::make(text);
    return;
  }
  rep_.text = {Tag::ShortString, static_cast<std::uint8_t>(text.size()), {}};
  if (!text.empty()) std::memcpy(rep_.text.text, text.data(), text.size());
}

Value::Value(std::initializer_list<ListItem> items)
    : Value(items.size() == 1 && items.begin()->was_value_ ? items.begin()->value_
                                                           : ListItem::make(items)) {}

bool Value::ListItem::is_pair() const {
  return braced_ && items_.size() == 2 && items_.begin()->value_.is_string();
}

Value Value::ListItem::make(std::initializer_list<ListItem> items) {
  const auto value_of = [](const ListItem& item) {
    return item.braced_ ? make(item.items_) : item.value_;
  };
  if (std::all_of(items.begin(), items.end(), std::mem_fn(&ListItem::is_pair))) {
    Value result = object();
    for (const ListItem& item : items) {
      const ListItem* pair = item.items_.begin();
      result.object_node().at(pair[0].value_.string_or({})) = value_of(pair[1]);
    }
    return result;
  }
  Value result = array();
  result.array_node().elements.reserve(items.size());
  for (const ListItem& item : items) result.array_node().elements.push_back(value_of(item));
  return result;
}

Value Value::array() { return Value(new ArrayNode); }

Value Value::array(std::initializer_list<Value> elements) {
  Value value = array();
  value.array_node().elements = elements;
  return value;
}

Value Value::object() { return Value(new ObjectNode); }

Value Value::object(std::initializer_list<Member> members) {
  Value value = object();
  for (const Member& member : members) value.object_node().at(member.key) = member.value;
  return value;
}

void Value::destroy(Node* node) noexcept {
  if (node->tag == Tag::LongString) return StringNode::destroy(static_cast<StringNode*>(node));
  // A chain of a million arrays must not need a million stack frames: what dies while another node
  // is being destroyed waits in a list.
  static thread_local ContainerNode* dead = nullptr;
  static thread_local bool destroying = false;
  auto* container = static_cast<ContainerNode*>(node);
  container->next_dead = std::exchange(dead, container);
  if (destroying) return;
  destroying = true;
  while (dead) {
    container = std::exchange(dead, dead->next_dead);
    if (container->tag == Tag::Array)
      delete static_cast<ArrayNode*>(container);
    else
      delete static_cast<ObjectNode*>(container);
  }
  destroying = false;
}

// ---- Reading

Value::StringNode& Value::string_node() const noexcept {
  return *static_cast<StringNode*>(rep_.plain.node);
}
Value::ArrayNode& Value::array_node() const noexcept {
  return *static_cast<ArrayNode*>(rep_.plain.node);
}
Value::ObjectNode& Value::object_node() const noexcept {
  return *static_cast<ObjectNode*>(rep_.plain.node);
}

Value::Type Value::type() const noexcept {
  switch (tag()) {
    case Tag::Undefined:
      return Type::Undefined;
    case Tag::Null:
      return Type::Null;
    case Tag::Bool:
      return Type::Bool;
    case Tag::Number:
      return Type::Number;
    case Tag::ShortString:
    case Tag::LongString:
      return Type::String;
    case Tag::Array:
      return Type::Array;
    case Tag::Object:
      break;
  }
  return Type::Object;
}

std::int64_t Value::int64_or(std::int64_t fallback) const noexcept {
  const double number = number_or(0.5);
  // 2^63 is a double, the largest int64_t is not.
  const bool fits = number >= -0x1p63 && number < 0x1p63 && std::trunc(number) == number;
  return fits ? static_cast<std::int64_t>(number) : fallback;
}

std::string_view Value::string_or(std::string_view fallback) const noexcept {
  if (tag() == Tag::ShortString) return {rep_.text.text, rep_.text.size};
  return tag() == Tag::LongString ? string_node().text() : fallback;
}

std::size_t Value::size() const noexcept {
  return is_array() ? array_node().elements.size() : members().size();
}

std::span<const Value> Value::elements() const noexcept {
  if (!is_array()) return {};
  return array_node().elements;
}

std::span<const Value::Member> Value::members() const noexcept {
  if (!is_object()) return {};
  return object_node().members;
}

const Value& Value::operator[](std::string_view key) const& noexcept {
  const Member* member = is_object() ? object_node().find(key) : nullptr;
  return member ? member->value : kUndefined;
}

const Value& Value::read_at(std::size_t index) const noexcept {
  const auto all = elements();
  return index < all.size() ? all[index] : kUndefined;
}

bool Value::contains(std::string_view key) const noexcept {
  return is_object() && object_node().find(key);
}

// ---- Changing

Value& Value::operator[](std::string_view key) & {
  if (is_undefined()) *this = object();
  return is_object() ? object_node().at(key) : scratch();
}

Value& Value::write_at(std::size_t index) {
  return is_array() && index < size() ? array_node().elements[index] : scratch();
}

bool Value::erase(std::string_view key) { return is_object() && object_node().erase(key); }

bool Value::push_back(Value element) {
  if (is_undefined()) *this = array();
  if (!is_array()) return false;
  array_node().elements.push_back(std::move(element));
  return true;
}

Value Value::clone() const {
  std::unordered_map<const Node*, Value> copies;
  std::vector<Value> unfinished;
  // The copy of a node; its contents are still those of the original when it is first asked for.
  const auto copy_of = [&](const Value& original) -> Value {
    if (!original.is_array() && !original.is_object()) return original;
    const auto [entry, is_new] = copies.try_emplace(original.rep_.plain.node);
    if (!is_new) return entry->second;
    entry->second = original.is_array() ? array() : object();
    if (original.is_array()) {
      entry->second.array_node().elements = original.array_node().elements;
    } else {
      entry->second.object_node().members = original.object_node().members;
      entry->second.object_node().make_index();
    }
    unfinished.push_back(entry->second);
    return entry->second;
  };
  Value result = copy_of(*this);
  while (!unfinished.empty()) {
    const Value container = std::move(unfinished.back());
    unfinished.pop_back();
    if (container.is_array()) {
      for (Value& element : container.array_node().elements) element = copy_of(element);
    } else {
      for (Member& member : container.object_node().members) member.value = copy_of(member.value);
    }
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
    case Type::Array:
    case Type::Object:
      break;
  }
  return rep_.plain.node == other.rep_.plain.node;
}

bool Value::equal(const Value& a, const Value& b) {
  // Pairs of containers still to be compared, and all seen so far, which are equal unless a
  // difference turns up: so circular values end, shared ones are compared once, and depth costs no
  // stack.
  using Pair = std::pair<const Value*, const Value*>;
  std::vector<Pair> pending;
  std::set<std::pair<const Node*, const Node*>> seen;
  const auto may_be_equal = [&](const Value& x, const Value& y) {
    if (x.is_same(y)) return true;
    if (x.tag() != y.tag() || x.size() != y.size() || !(x.is_array() || x.is_object()))
      return false;
    if (seen.emplace(x.rep_.plain.node, y.rep_.plain.node).second) pending.emplace_back(&x, &y);
    return true;
  };
  if (!may_be_equal(a, b)) return false;
  while (!pending.empty()) {
    const auto [x, y] = pending.back();
    pending.pop_back();
    for (std::size_t i = 0; i < x->elements().size(); ++i)
      if (!may_be_equal(x->elements()[i], y->elements()[i])) return false;
    for (const auto& [key, value] : x->members()) {
      const Member* other = y->object_node().find(key);
      if (!other || !may_be_equal(value, other->value)) return false;
    }
  }
  return true;
}

std::ostream& operator<<(std::ostream& out, const Value& value) {
  if (value.is_string()) return out << value.string_or({});
  return out << ipc::inspect(value);
}

}  // namespace cohort
