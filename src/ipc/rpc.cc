#include "ipc/rpc.h"

namespace cohort::ipc {
namespace {

Value message_of(Value id) {
  Value message = Value::object({{"jsonrpc", "2.0"}});
  if (!id.is_undefined()) message["id"] = std::move(id);
  return message;
}

}  // namespace

std::optional<Rpc> parse_rpc(const Value& message) {
  if (!message.is_object() || message["jsonrpc"] != "2.0") return std::nullopt;
  const Value& id = message["id"];
  const Value& method = message["method"];
  if (method.is_string())
    return Rpc{id.is_undefined() ? Rpc::Kind::Notification : Rpc::Kind::Request, id,
               method.string_or({}), message["params"]};
  if (id.is_undefined()) return std::nullopt;
  if (message["error"].is_object()) return Rpc{Rpc::Kind::Failure, id, {}, message["error"]};
  if (message.contains("result")) return Rpc{Rpc::Kind::Result, id, {}, message["result"]};
  return std::nullopt;
}

Value rpc_request(std::int64_t id, std::string_view method, Value params) {
  Value message = rpc_notification(method, std::move(params));
  message["id"] = id;
  return message;
}

Value rpc_notification(std::string_view method, Value params) {
  Value message = message_of({});
  message["method"] = method;
  if (!params.is_undefined()) message["params"] = std::move(params);
  return message;
}

Value rpc_result(Value id, Value result) {
  Value message = message_of(std::move(id));
  message["result"] = result.is_undefined() ? Value(nullptr) : std::move(result);
  return message;
}

Value rpc_failure(Value id, int code, std::string_view text) {
  Value message = message_of(std::move(id));
  message["error"] = Value::object({{"code", code}, {"message", text}});
  return message;
}

}  // namespace cohort::ipc
