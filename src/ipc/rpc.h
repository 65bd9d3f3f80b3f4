// JSON-RPC 2.0 in user messages: https://www.jsonrpc.org/specification, without batches.
//
// Pure values; one thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "cohort/value.h"

namespace cohort::ipc {

/// The specification's codes; from -32000 down they are the implementation's.
inline constexpr int kMethodNotFound = -32601;
inline constexpr int kMethodFailed = -32000;

/// One message, still referring to the Value that it was read from.
struct Rpc {
  enum class Kind { Request, Notification, Result, Failure };
  Kind kind;
  const Value& id;          ///< Of a request, and repeated by its answer. Else undefined.
  std::string_view method;  ///< Of a request or notification.
  const Value& content;     ///< Its `params`, the `result`, or the `error`.
};

/// None if the message is not JSON-RPC 2.0.
std::optional<Rpc> parse_rpc(const Value& message);

/// An undefined `params` is left out.
Value rpc_request(std::int64_t id, std::string_view method, Value params);
Value rpc_notification(std::string_view method, Value params);
/// An undefined `result` is null.
Value rpc_result(Value id, Value result);
Value rpc_failure(Value id, int code, std::string_view message);

}  // namespace cohort::ipc
