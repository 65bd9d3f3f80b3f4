// How a message is written on a channel: what Node calls `serialization`.
//
// A plain value. Both ends of a channel use the same one; the parent chooses, the child is told in
// NODE_CHANNEL_SERIALIZATION_MODE.
#pragma once

#include <cstdint>

namespace cohort {

enum class Serialization : std::uint8_t {
  /// One line of JSON per message. Kinds that JSON lacks arrive as `append_json` says, or fail to
  /// be
  /// sent. Shared values arrive twice, circular ones fail.
  Json,
  /// V8's structured clone, each message behind its length: every kind of Value arrives as it was
  /// sent, binary data without a detour through text.
  Advanced
};

}  // namespace cohort
