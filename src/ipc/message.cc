#include "ipc/message.h"

#include <algorithm>
#include <utility>

namespace cohort::ipc {
namespace {

constexpr std::string_view kInternalPrefix = "NODE_";
constexpr std::string_view kHandle = "NODE_HANDLE";
constexpr std::string_view kHandleAck = "NODE_HANDLE_ACK";
constexpr std::string_view kHandleNack = "NODE_HANDLE_NACK";
constexpr std::string_view kCluster = "NODE_CLUSTER";
constexpr std::string_view kCohort = "NODE_COHORT";

MessageKind kind_of(std::string_view cmd) {
  constexpr std::pair<std::string_view, MessageKind> kKinds[] = {
      {kCluster, MessageKind::Cluster},
      {kCohort, MessageKind::Cohort},
      {kHandleAck, MessageKind::HandleAck},
      {kHandleNack, MessageKind::HandleNack},
      {"NODE_SOCKET_NOTIFY_CLOSE", MessageKind::SocketNotifyClose},
      {"NODE_SOCKET_ALL_CLOSED", MessageKind::SocketAllClosed},
      {"NODE_SOCKET_GET_COUNT", MessageKind::SocketGetCount},
      {"NODE_SOCKET_COUNT", MessageKind::SocketCount}};
  if (!cmd.starts_with(kInternalPrefix) || cmd.size() == kInternalPrefix.size())
    return MessageKind::User;
  for (const auto& [name, kind] : kKinds)
    if (cmd == name) return kind;
  return MessageKind::UnknownInternal;
}

std::string_view cmd_of(const Value& message) { return message["cmd"].string_or({}); }

}  // namespace

Incoming classify(Value message) {
  // Node's are three at most; one that contains itself has no end.
  constexpr int kWithinEachOtherMax = 8;
  Incoming incoming;
  Value heads;
  for (int i = 0; i < kWithinEachOtherMax && cmd_of(message) == kHandle; ++i) {
    const Value& outer = message;
    incoming.was_handle = true;
    incoming.handle_type = outer["type"].string_or({});
    incoming.handle_key = outer["key"];
    incoming.handle_head = outer["head"].string_or({});
    incoming.dgram_type = outer["dgramType"].string_or({});
    heads = outer["heads"];
    message = Value(outer["msg"]);
  }
  // Of too many it is enough to see that they are.
  const std::size_t count = std::min(heads.elements().size(), kDescriptorsMax + 1);
  for (const Value& head : heads.elements().first(count))
    incoming.heads.emplace_back(head.string_or({}));
  incoming.kind = kind_of(cmd_of(message));
  incoming.value = std::move(message);
  return incoming;
}

Value wrap_handle(std::string_view type, Value message) {
  return {{"cmd", kHandle}, {"type", type}, {"msg", std::move(message)}};
}

Value wrap_descriptors(std::size_t count, Value message) {
  if (count <= 1) return wrap_handle("net.Native", std::move(message));
  Value wrapped = wrap_handle("cohort.Several", std::move(message));
  Value& heads = wrapped["heads"] = Value::array();
  for (std::size_t i = 0; i < count; ++i) heads.push_back("");
  return wrapped;
}

Value handle_answer(bool arrived) { return {{"cmd", arrived ? kHandleAck : kHandleNack}}; }

Value cohort_message(std::string_view key, Value value) {
  return Value::object({{"cmd", kCohort}, {std::string(key), std::move(value)}});
}

Value all_sockets_closed(std::string_view key) {
  return Value::object({{"cmd", "NODE_SOCKET_ALL_CLOSED"}, {"key", key}});
}

Value socket_count(std::string_view key, std::size_t count) {
  return Value::object({{"cmd", "NODE_SOCKET_COUNT"}, {"key", key}, {"count", count}});
}

namespace {

constexpr std::size_t kLengthSize = 4;

Error too_large(std::size_t size, std::size_t size_max) {
  return make_error(Errc::MessageTooLarge, "send " + std::to_string(size) + " bytes",
                    "message_size_max is " + std::to_string(size_max));
}

Result<void> append_line(const Value& message, std::string& out, std::size_t size_max) {
  const std::size_t before = out.size();
  if (Result<void> appended = append_json(message, out); !appended) return appended;
  const std::size_t size = out.size() - before;
  if (size > size_max) {
    out.resize(before);
    return too_large(size, size_max);
  }
  out += '\n';
  return {};
}

Result<void> append_frame(const Value& message, std::string& out, std::size_t size_max,
                          std::vector<Attached>* attached) {
  // Node 20 reads the length as a signed number.
  size_max = std::min<std::size_t>(size_max, 0x7fffffff);
  const std::size_t before = out.size();
  const std::size_t attached_before = attached ? attached->size() : 0;
  out.append(kLengthSize, '\0');
  if (Result<void> appended = encode_clone(message, out, attached); !appended) {
    out.resize(before);
    return appended;
  }
  std::size_t size = out.size() - before - kLengthSize;
  for (std::size_t i = attached_before; attached && i < attached->size(); ++i)
    size += (*attached)[i].bytes.size();
  if (size > size_max) {
    out.resize(before);
    if (attached) attached->resize(attached_before);
    return too_large(size, size_max);
  }
  for (std::size_t i = 0; i < kLengthSize; ++i)
    out[before + i] = static_cast<char>(size >> (8 * (kLengthSize - 1 - i)));
  return {};
}

}  // namespace

Result<void> encode_message(const Value& message, Serialization serialization, std::string& out,
                            std::size_t message_size_max, std::vector<Attached>* attached) {
  return serialization == Serialization::Json
             ? append_line(message, out, message_size_max)
             : append_frame(message, out, message_size_max, attached);
}

}  // namespace cohort::ipc
