#include "cohort/value.h"

#include <algorithm>
#include <functional>
#include <ostream>

#include "ipc/inspect.h"
#include "ipc/value_node.h"

namespace cohort {
namespace {

constinit const Value kUndefined{};

/// Where writes go that JavaScript would ignore. Reads as `shown`.
Value& scratch(Value shown = {}) {
  static thread_local Value value;
  value = std::move(shown);
  return value;
}

// A shorter string is copied: that costs less than the memory of its owner.
constexpr std::size_t kKeptSizeMin = 256;

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
    *this = Value(BytesNode::copy<StringNode>(std::as_bytes(std::span(text))));
    return;
  }
  rep_.text = {Tag::ShortString, static_cast<std::uint8_t>(text.size()), {}};
  if (!text.empty()) std::memcpy(rep_.text.text, text.data(), text.size());
}

Value::Value(std::string&& text) {
  if (text.size() < kKeptSizeMin) {
    *this = Value(std::string_view{text});
    return;
  }
  auto owner = std::make_shared<const std::string>(std::move(text));
  const std::string_view kept = *owner;
  *this = Internals::string(kept, std::move(owner));
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
      result.node<ObjectNode>().at(pair[0].value_.string_or({})) = value_of(pair[1]);
    }
    return result;
  }
  Value result = array();
  result.node<ArrayNode>().elements.reserve(items.size());
  for (const ListItem& item : items) result.node<ArrayNode>().elements.push_back(value_of(item));
  return result;
}

Value Value::array() { return Value(new ArrayNode); }

Value Value::array(std::initializer_list<Value> elements) {
  Value value = array();
  value.node<ArrayNode>().elements = elements;
  return value;
}

Value Value::object() { return Value(new ObjectNode); }

Value Value::object(std::initializer_list<Member> members) {
  Value value = object();
  for (const Member& member : members) value.node<ObjectNode>().at(member.key) = member.value;
  return value;
}

void Value::destroy(Node* node) noexcept {
  switch (node->tag) {
    case Tag::LongString:
      return BytesNode::destroy(static_cast<StringNode*>(node));
    case Tag::Binary:
      return BytesNode::destroy(static_cast<BinaryNode*>(node));
    case Tag::BigInt:
      return delete static_cast<BigIntNode*>(node);
    case Tag::Date:
      return delete static_cast<DateNode*>(node);
    default:
      break;
  }
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
    if (container->tag == Tag::Object)
      delete static_cast<ObjectNode*>(container);
    else if (container->tag == Tag::Array || container->tag == Tag::Set)
      delete static_cast<ArrayNode*>(container);
    else if (container->tag == Tag::Map)
      delete static_cast<MapNode*>(container);
    else if (container->tag == Tag::Error)
      delete static_cast<ErrorNode*>(container);
    else if (container->tag == Tag::RegExp)
      delete static_cast<RegExpNode*>(container);
    else
      delete static_cast<BoxedNode*>(container);
  }
  destroying = false;
}

// ---- Reading

std::string_view Value::string_or(std::string_view fallback) const noexcept {
  if (tag() == Tag::ShortString) return {rep_.text.text, rep_.text.size};
  return tag() == Tag::LongString ? node<StringNode>().text() : fallback;
}

std::size_t Value::size() const noexcept {
  if (is_object()) return node<ObjectNode>().members.size();
  if (is_binary()) return bytes().size() / element_size(node<BinaryNode>().kind);
  return is_map() ? entries().size() : elements().size();
}

std::span<const Value> Value::elements() const noexcept {
  if (!is_array() && !is_set()) return {};
  return node<ArrayNode>().elements;
}

std::span<const Value::Entry> Value::entries() const noexcept {
  if (!is_map()) return {};
  return node<MapNode>().entries;
}

std::span<const Value::Member> Value::members() const noexcept {
  if (!is_object()) return {};
  return node<ObjectNode>().members;
}

const Value& Value::operator[](std::string_view key) const& noexcept {
  if (is_object()) {
    const Member* member = node<ObjectNode>().find(key);
    return member ? member->value : kUndefined;
  }
  const Value* found = property(key);
  return found ? *found : kUndefined;
}

const Value* Value::property(std::string_view key) const noexcept {
  if (is_error()) {
    const ErrorNode& error = node<ErrorNode>();
    if (key == "name") return &error.name;
    if (key == "message") return &error.message;
    if (key == "stack") return &error.stack;
    if (key == "cause") return &error.cause;
  }
  if (is_regexp()) {
    const RegExpNode& regexp = node<RegExpNode>();
    if (key == "source") return &regexp.source;
    if (key == "flags") return &regexp.flags;
  }
  return nullptr;
}

const Value& Value::read_at(std::size_t index) const noexcept {
  if (!is_array()) return kUndefined;
  const auto all = elements();
  return index < all.size() ? all[index] : kUndefined;
}

bool Value::contains(std::string_view key) const noexcept {
  return is_object() && node<ObjectNode>().find(key);
}

// ---- Changing

Value& Value::operator[](std::string_view key) & {
  if (is_undefined()) *this = object();
  if (is_object()) return node<ObjectNode>().at(key);
  const Value* found = property(key);
  return scratch(found ? *found : Value());
}

Value& Value::write_at(std::size_t index) {
  return is_array() && index < size() ? node<ArrayNode>().elements[index] : scratch();
}

bool Value::erase(std::string_view key) { return is_object() && node<ObjectNode>().erase(key); }

bool Value::push_back(Value element) {
  if (is_undefined()) *this = array();
  if (!is_array()) return false;
  node<ArrayNode>().elements.push_back(element.is_hole() ? Value() : std::move(element));
  return true;
}

std::ostream& operator<<(std::ostream& out, const Value& value) {
  if (value.is_string()) return out << value.string_or({});
  return out << ipc::inspect(value);
}

}  // namespace cohort
