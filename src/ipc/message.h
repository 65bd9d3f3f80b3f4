// What a message on Node's channel is: a user's, one of the cluster's, or about a descriptor.
//
// The wire (node's `lib/internal/child_process.js` and `internal/cluster`): every message is one
// JSON value on a line. An object whose `cmd` is a string that begins with NODE_ and goes on is
// internal; all else is the user's. `{"cmd":"NODE_HANDLE","type":T,"msg":M}` carries the message M
// together with a descriptor, and is answered by one NODE_HANDLE_ACK, or NODE_HANDLE_NACK if none
// came with it.
//
// Pure values; one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "cohort/error.h"
#include "cohort/fd.h"
#include "cohort/value.h"

namespace cohort::ipc {

/// The default limit of one message, in bytes of JSON.
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
  UnknownInternal,  ///< To be ignored: that is how the protocol is extended.
};

/// One message from the peer, taken out of its NODE_HANDLE if it came in one.
struct Incoming {
  Value value;
  MessageKind kind = MessageKind::User;
  /// It came in a NODE_HANDLE: answer with exactly one `handle_answer(fd)`, before all that is
  /// queued.
  bool was_handle = false;
  /// The descriptor; none although `was_handle` if it was lost on the way. Then the message is
  /// dropped.
  OwnFd fd;
  std::string handle_type;  ///< `net.Native`, `net.Server`, `net.Socket`, `dgram.Native`...
  Value handle_key;         ///< A `net.Socket` of a server: the key to report its end under.
  std::string handle_head;  ///< What was read of a connection before it was sent; ours only.
  std::string dgram_type;   ///< `udp4` or `udp6` for a `dgram.Socket`.
};

/// The message that a line held. NODE_HANDLE within NODE_HANDLE (how Node sends one again after a
/// NACK) is taken apart as one.
Incoming classify(Value message);

/// `message` to be sent along with a descriptor. Add `key` or `dgramType` where the type has them.
Value wrap_handle(std::string_view type, Value message);
/// The answer to a NODE_HANDLE: whether the descriptor arrived.
Value handle_answer(bool arrived);

/// Answers about sockets that the peer passed with a `key` and counts.
Value all_sockets_closed(std::string_view key);
Value socket_count(std::string_view key, std::size_t count);

/// Appends the message and its line end. InvalidArgument if it has no JSON, MessageTooLarge if that
/// is longer than `message_size_max`; `out` is then as it was.
Result<void> encode_line(const Value& message, std::string& out,
                         std::size_t message_size_max = kMessageSizeMax);

}  // namespace cohort::ipc
