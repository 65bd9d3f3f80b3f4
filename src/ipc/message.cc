#include "ipc/message.h"

#include <utility>

namespace cohort::ipc {
namespace {

constexpr std::string_view kInternalPrefix = "NODE_";
constexpr std::string_view kHandle = "NODE_HANDLE";
constexpr std::string_view kHandleAck = "NODE_HANDLE_ACK";
constexpr std::string_view kHandleNack = "NODE_HANDLE_NACK";
constexpr std::string_view kCluster = "NODE_CLUSTER";

MessageKind kind_of(std::string_view cmd) {
  constexpr std::pair<std::string_view, MessageKind> kKinds[] = {
      {kCluster, MessageKind::Cluster},
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
  Incoming incoming;
  while (cmd_of(message) == kHandle) {
    const Value& outer = message;
    incoming.was_handle = true;
    incoming.handle_type = outer["type"].string_or({});
    incoming.handle_key = outer["key"];
    incoming.handle_head = outer["head"].string_or({});
    incoming.dgram_type = outer["dgramType"].string_or({});
    message = Value(outer["msg"]);
  }
  incoming.kind = kind_of(cmd_of(message));
  incoming.value = std::move(message);
  return incoming;
}

Value wrap_handle(std::string_view type, Value message) {
  return {{"cmd", kHandle}, {"type", type}, {"msg", std::move(message)}};
}

Value handle_answer(bool arrived) { return {{"cmd", arrived ? kHandleAck : kHandleNack}}; }

Value all_sockets_closed(std::string_view key) {
  return Value::object({{"cmd", "NODE_SOCKET_ALL_CLOSED"}, {"key", key}});
}

Value socket_count(std::string_view key, std::size_t count) {
  return Value::object({{"cmd", "NODE_SOCKET_COUNT"}, {"key", key}, {"count", count}});
}

Result<void> encode_line(const Value& message, std::string& out, std::size_t message_size_max) {
  const std::size_t size = out.size();
  if (Result<void> appended = append_json(message, out); !appended) return appended;
  if (out.size() - size > message_size_max) {
    const std::size_t message_size = out.size() - size;
    out.resize(size);
    return make_error(Errc::MessageTooLarge, "send " + std::to_string(message_size) + " bytes",
                      "message_size_max is " + std::to_string(message_size_max));
  }
  out += '\n';
  return {};
}

}  // namespace cohort::ipc
