// What became of a `send`.
#pragma once

#include <optional>
#include <utility>

#include "cohort/error.h"

namespace cohort {

/// What became of a `send`. As a bool it is Node's return value: true while the peer keeps up.
class SendResult {
 public:
  /// Whether the peer keeps up, or why the message was not taken.
  SendResult(const Result<bool>& sent)
      : keeps_up_{sent && *sent}, error_{sent ? std::nullopt : std::optional{sent.error()}} {}
  static SendResult queued(bool keeps_up) { return SendResult{keeps_up, std::nullopt}; }
  static SendResult failed(Error error) { return SendResult{false, std::move(error)}; }

  /// False when more than 128 KiB wait to be written, or when the message was not taken.
  explicit operator bool() const { return keeps_up_; }
  /// Why the message was not taken (the channel is closed or full, the message too large or none);
  /// nothing if it was: then it will be delivered unless a process is killed, or the other side
  /// closes the channel first.
  const std::optional<Error>& error() const { return error_; }

 private:
  SendResult(bool keeps_up, std::optional<Error> error)
      : keeps_up_{keeps_up}, error_{std::move(error)} {}
  bool keeps_up_;
  std::optional<Error> error_;
};

}  // namespace cohort
