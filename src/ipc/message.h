// What a message on Node's channel is: a user's, one of the cluster's, or about a descriptor.
//
// The wire (node's `lib/internal/child_process.js` and `internal/cluster`): every message is one
// value, as JSON on a line or as a structured clone behind its length. An object whose `cmd` is a
// string that begins with NODE_ and goes on is internal; all else is the user's.
// `{"cmd":"NODE_HANDLE","type":T,"msg":M}` carries the message M together with a descriptor, and is
// answered by one NODE_HANDLE_ACK, or NODE_HANDLE_NACK if none came with it.
//
// Pure values; one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cohort/error.h"
#include "cohort/fd.h"
#include "cohort/serialization.h"
#include "cohort/value.h"
#include "ipc/clone.h"

namespace cohort::ipc {

/// Of one message, and of one read; the kernel's own limit of SCM_RIGHTS is 253.
inline constexpr std::size_t kDescriptorsMax = 64;

/// The default limit of one message, in bytes of the wire without line end or length.
inline constexpr std::size_t kMessageSizeMax = 256u << 20;

enum class MessageKind : std::uint8_t {
  User,
  Cluster,            ///< NODE_CLUSTER: `act`, `seq`, `ack` and more.
  HandleAck,          ///< The peer has the descriptor that we sent last.
  HandleNack,         ///< The peer did not get it.
  SocketNotifyClose,  ///< Tell us with SocketAllClosed when the last socket of this `key` is
                      ///< closed.
  SocketAllClosed,
  SocketGetCount,  ///< Tell us with SocketCount how many sockets of this `key` are open.
  SocketCount,
  Cohort,           ///< NODE_COHORT: between two cohort processes (docs/ipc.md).
  UnknownInternal,  ///< To be ignored: that is how the protocol is extended.
};

/// One message from the peer, taken out of its NODE_HANDLE if it came in one.
struct Incoming {
  Incoming() = default;
  Incoming(Incoming&&) = default;
  Incoming& operator=(Incoming&&) = default;
  /// What is left of a circular message is freed, unless somebody else holds a part of it.
  ~Incoming() {
    if (may_be_circular) Value::drop(std::move(value));
  }

  Value value;
  MessageKind kind = MessageKind::User;
  /// It came in a NODE_HANDLE: answer with exactly one `handle_answer(fd)`, before all that is
  /// queued.
  bool was_handle = false;
  bool has_descriptors() const { return fd || !several.empty(); }
  /// The descriptor; none although `was_handle` if it was lost on the way. Then the message is
  /// dropped.
  OwnFd fd;
  /// Instead, if the message has `heads`: as many of them, or none if any was lost.
  std::vector<OwnFd> several;
  std::string handle_type;  ///< `net.Native`, `net.Server`, `net.Socket`, `dgram.Native`...
  Value handle_key;         ///< A `net.Socket` of a server: the key to report its end under.
  std::string handle_head;  ///< What was read of a connection before it was sent; ours only...
  std::vector<std::string> heads;  ///< ...of each of several.
  std::size_t size = 0;            ///< Its bytes on the channel.
  std::string dgram_type;          ///< `udp4` or `udp6` for a `dgram.Socket`.
  /// It refers to a part of itself more than once. Whoever moves `value` out of here and is the
  /// last to hold it gives it up with `Value::drop`, or a hostile peer could fill the memory.
  bool may_be_circular = false;
};

/// The message that a line held. NODE_HANDLE within NODE_HANDLE (how Node sends one again after a
/// NACK) is taken apart as one.
Incoming classify(Value message);

/// `message` to be sent along with a descriptor. Add `key` or `dgramType` where the type has them,
/// and `heads`, one for each, where there are several.
Value wrap_handle(std::string_view type, Value message);
/// The same for `count` descriptors; more than one only to a peer of cohort.
Value wrap_descriptors(std::size_t count, Value message);
/// The answer to a NODE_HANDLE: whether the descriptor arrived.
Value handle_answer(bool arrived);

/// A NODE_COHORT that says one thing.
Value cohort_message(std::string_view key, Value value);

/// Answers about sockets that the peer passed with a `key` and counts.
Value all_sockets_closed(std::string_view key);
Value socket_count(std::string_view key, std::size_t count);

/// Appends the message as it goes over the channel: a line, or the length and a structured clone.
/// With `attached` (advanced mode only), large strings and binary data are not copied but listed
/// there, in order: their bytes go between those of `out`. InvalidArgument if the value cannot be
/// sent so, MessageTooLarge if it has more than `message_size_max` bytes, or 2^31 or more in
/// advanced mode; `out` and `attached` are then as they were.
Result<void> encode_message(const Value& message, Serialization serialization, std::string& out,
                            std::size_t message_size_max = kMessageSizeMax,
                            std::vector<Attached>* attached = nullptr);

/// The same as JSON.
inline Result<void> encode_line(const Value& message, std::string& out,
                                std::size_t message_size_max = kMessageSizeMax) {
  return encode_message(message, Serialization::Json, out, message_size_max);
}

}  // namespace cohort::ipc
