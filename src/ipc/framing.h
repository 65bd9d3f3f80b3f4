// Bytes in, messages out: Node's channel in JSON mode.
//
// One message per line, and descriptors beside them. Linux delivers a descriptor with the read that
// holds the first byte of its message, perhaps behind the end of earlier messages; the message may
// end many reads later. So a read's descriptors belong, in order, to the NODE_HANDLE lines that end
// in that read or next after it; what those leave over is closed. (Node keeps it and gives it to
// some later message.)
//
// Pure but for closing what is left over. One thread at a time. It holds at most one unfinished
// message; a message within one read is parsed where it lies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cohort/error.h"
#include "cohort/fd.h"
#include "ipc/json.h"
#include "ipc/message.h"

namespace cohort::ipc {

/// Descriptors that may wait for the end of their message; more are closed on arrival. A read
/// brings no more than this from a peer that keeps to one descriptor per message.
inline constexpr std::size_t kWaitingFdsMax = 64;

class LineDecoder {
 public:
  /// A longer message is an error.
  explicit LineDecoder(std::size_t message_size_max = kMessageSizeMax)
      : message_size_max_{message_size_max} {}

  /// What one read gave. Then call `next` until it gives no more; `bytes` must stay until then.
  void feed(std::string_view bytes, std::vector<OwnFd>&& fds = {});

  /// The next whole message, or none until more bytes come. An error is final, every later call
  /// repeats it: MalformedMessage for a line that is empty or not JSON, MessageTooLarge as soon as
  /// the size is exceeded, InvalidArgument if `feed` was called before `next` had given all.
  Result<std::optional<Incoming>> next();

 private:
  struct WaitingFd {
    std::uint64_t read_begin;  ///< Positions in the stream of bytes: where its read began...
    std::uint64_t read_end;    ///< ...and ended.
    OwnFd fd;
  };

  Error fail(Error error);
  Result<std::optional<Incoming>> decode(std::string_view line);
  void take_fd(Incoming& incoming);

  std::size_t message_size_max_;
  JsonParser parser_;
  std::string_view unread_;     ///< What is left of the bytes fed last.
  std::uint64_t position_ = 0;  ///< Of `unread_` in the stream of bytes.
  std::string unfinished_;  ///< The beginning of a message, from earlier reads; no line end in it.
  std::vector<WaitingFd> waiting_;
  std::optional<Error> failure_;
};

}  // namespace cohort::ipc
