#include "pool/command_message.h"

#include <utility>

#include "ipc/rpc.h"

namespace cohort::pool {
namespace {

constexpr std::size_t kShownMax = 60;

// What `error` says, an object with a `message`, or just a text.
Error failure_of(const Value& error) {
  const bool is_unknown = error["code"].number_or(0) == ipc::kMethodNotFound;
  return make_error(is_unknown ? Errc::NoSuchMethod : Errc::CallFailed, "run a task",
                    std::string{error["message"].string_or(error.string_or(""))});
}

// JavaScript leaves a result out that is undefined.
CommandMessage answer_of(const Value& message) {
  CommandMessage answer{.call = message["id"].uint64_or(0)};
  const Value& error = message["error"];
  if (error.is_undefined() || error.is_null())
    answer.content = message["result"];
  else
    answer.content = failure_of(error);
  return answer;
}

}  // namespace

Result<std::string> line_of_call(std::uint64_t call, std::string_view method, Value arguments) {
  std::string line;
  const Value message =
      Value::object({{"id", call}, {"method", method}, {"params", std::move(arguments)}});
  if (auto written = append_json(message, line); !written) return written.error();
  return line += '\n';
}

Result<CommandMessage> message_of_line(std::string_view line) {
  const auto malformed = [line](const char* what) {
    return make_error(Errc::MalformedMessage, "read what a worker wrote",
                      what + (": " + beginning_of(line)));
  };
  const auto message = parse_json(line);
  if (!message) return malformed("it wrote a line that is not JSON");
  if (!message->is_object() || !message->contains("id"))
    return malformed("it wrote a line that is no answer");
  const Value& progress = (*message)["progress"];
  if (progress.is_undefined()) return answer_of(*message);
  return CommandMessage{.kind = CommandMessage::Kind::Progress,
                        .call = (*message)["id"].uint64_or(0),
                        .content = progress};
}

std::optional<CommandMessage> message_of_channel(const Value& message) {
  if (!message.is_object() || message["jsonrpc"] != "2.0") return std::nullopt;
  if (!message.contains("method"))
    return message.contains("id") ? std::optional{answer_of(message)} : std::nullopt;
  if (message["method"] != "$/progress") return std::nullopt;
  const Value& params = message["params"];
  return CommandMessage{.kind = CommandMessage::Kind::Progress,
                        .call = params["token"].uint64_or(0),
                        .content = params["value"]};
}

std::string beginning_of(std::string_view text) {
  const bool is_all = text.size() <= kShownMax;
  return to_json(Value(text.substr(0, kShownMax))) + (is_all ? "" : "...");
}

}  // namespace cohort::pool
