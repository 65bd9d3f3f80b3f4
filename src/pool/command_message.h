// What a pool and a command of it say to each other, in either protocol: docs/parallel.md.
//
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cohort/error.h"
#include "cohort/value.h"

namespace cohort::pool {

/// What a command has said.
struct CommandMessage {
  enum class Kind : std::uint8_t { Answer, Progress };
  Kind kind = Kind::Answer;
  std::uint64_t call = 0;  ///< Which call it is about; 0: none that there can be.
  Result<Value> content = Value{};
};

/// One line, with its end. Errors: it has no JSON (`append_json`).
Result<std::string> line_of_call(std::uint64_t call, std::string_view method, Value arguments);
/// `{"id":1,"result":...}`, `{"id":1,"error":{"message":"..."}}` or `{"id":1,"progress":...}`; the
/// error: what is wrong with the line.
Result<CommandMessage> message_of_line(std::string_view line);

/// The same of Node's channel: JSON-RPC 2.0, and `$/progress` as the Language Server Protocol has
/// it. Nothing: it is about no call, and nobody's business.
std::optional<CommandMessage> message_of_channel(const Value& message);

/// The beginning of what somebody wrote, in quotes, for a person to read.
std::string beginning_of(std::string_view text);

/// Bytes in, lines out.
class LineReader {
 public:
  explicit LineReader(std::size_t size_max) : size_max_{size_max} {}
  /// Calls `line` for each that has ended, without its end. False: one is too long, or `line` has
  /// said so.
  template <class Line>
  bool feed(std::string_view bytes, Line&& line) {
    for (auto end = bytes.find('\n'); end != bytes.npos; end = bytes.find('\n')) {
      if (!keep(bytes.substr(0, end)) || !line(std::string_view{unfinished_})) return false;
      unfinished_.clear();
      bytes.remove_prefix(end + 1);
    }
    return keep(bytes);
  }

 private:
  bool keep(std::string_view bytes) {
    if (bytes.size() > size_max_ - unfinished_.size()) return false;
    unfinished_ += bytes;
    return true;
  }

  const std::size_t size_max_;
  std::string unfinished_;
};

}  // namespace cohort::pool
