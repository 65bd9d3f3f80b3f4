// Bytes in, messages out: Node's channel in either serialization.
//
// JSON is one message per line; in advanced mode each message is behind its length (4 bytes,
// big-endian, of what follows). Descriptors come beside them. Linux delivers a descriptor with the
// read that holds the first byte of its message, perhaps behind the end of earlier messages; the
// message may end many reads later. So a read's descriptors belong, in order, to the NODE_HANDLE
// messages that end in that read or next after it, as many as each has `heads`, else one; what
// those leave over is closed. (Node keeps it and gives it to some later message.)
//
// Pure but for closing what is left over. One thread at a time. It holds at most one unfinished
// message; a message within one read is parsed where it lies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cohort/error.h"
#include "cohort/fd.h"
#include "cohort/serialization.h"
#include "ipc/clone.h"
#include "ipc/json.h"
#include "ipc/message.h"

namespace cohort::ipc {

/// Descriptors that may wait for the end of their message: those of one, and of the next that began
/// in the same read as its end. More are closed on arrival.
inline constexpr std::size_t kWaitingFdsMax = 2 * kDescriptorsMax;

/// Memory that grows with what is in it and is given away without a copy. Growing moves pages where
/// the system can (realloc), so that a large message is not copied again and again.
class GrowingBuffer {
 public:
  std::size_t size() const { return size_; }
  std::string_view text() const { return {data_.get(), size_}; }
  /// Room behind what is in it, at least `room` bytes and at most up to a size of `size_max`.
  std::span<char> space(std::size_t room, std::size_t size_max);
  /// What was written there is part of it now.
  void grow(std::size_t size) { size_ += size; }
  void append(std::string_view bytes, std::size_t size_max);
  /// Empty, with its memory if that is little.
  void clear();
  /// Gives up the memory.
  std::shared_ptr<const char> release();

 private:
  struct Free {
    void operator()(const char* memory) const { std::free(const_cast<char*>(memory)); }
  };
  std::unique_ptr<char, Free> data_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

/// Of one message: each costs its receiver memory.
inline constexpr std::size_t kSharedReferencesMax = 1024;

/// Bytes of a message that are not in its frame but in shared memory.
struct SharedReference {
  std::size_t position;  ///< Where they belong: before the byte of the frame with this index.
  std::size_t offset;    ///< In the shared memory.
  std::size_t size;
};

/// The frame (length and value) of an advanced message, with references to the bytes that it lacks.
/// Its length has the highest bit set, which no other has: behind it come the number of references
/// and each one's position in the value, offset and size, as varints; then the value.
std::string shared_frame(std::string_view frame, std::span<const SharedReference> references);

class Decoder {
 public:
  /// A range of shared memory, for as long as the pointer lives; null if there is no such range.
  using Lend =
      std::function<std::shared_ptr<const std::byte>(std::size_t offset, std::size_t size)>;

  /// A longer message is an error. The size is that of the JSON, or the length in front.
  explicit Decoder(std::size_t message_size_max = kMessageSizeMax,
                   Serialization serialization = Serialization::Json)
      : message_size_max_{message_size_max}, serialization_{serialization} {}

  /// From now on frames may refer to shared memory; without it they are malformed.
  void set_lend(Lend lend) { lend_ = std::move(lend); }
  void set_message_size_max(std::size_t size_max) { message_size_max_ = size_max; }

  /// What one read gave. Then call `next` until it gives no more; `bytes` must stay until then.
  void feed(std::string_view bytes, std::vector<OwnFd>&& fds = {});

  /// The next whole message, or none until more bytes come. An error is final, every later call
  /// repeats it: MalformedMessage for what is not a message, MessageTooLarge as soon as the size is
  /// exceeded (or announced to be), InvalidArgument if `feed` was called before `next` had given
  /// all.
  Result<std::optional<Incoming>> next();

  /// Where the next read may put its bytes so that they need not be copied: inside of a large
  /// message that is unfinished, else nowhere (empty). Optional: if they are read to its beginning,
  /// feed them from there; any other bytes end the offer. Valid until `feed`.
  std::span<char> space();

  /// Where the last message ended, in bytes since the beginning.
  std::uint64_t message_end() const { return message_end_; }

 private:
  struct WaitingFd {
    std::uint64_t read_begin;  ///< Positions in the stream of bytes: where its read began...
    std::uint64_t read_end;    ///< ...and ended.
    OwnFd fd;
  };

  Error fail(Error error);
  Error too_large();
  std::string_view take(std::size_t size);
  Result<std::optional<Incoming>> next_line();
  Result<std::optional<Incoming>> next_frame();
  Result<bool> read_length();
  Result<std::optional<Incoming>> decode_line(std::string_view line);
  Result<std::optional<Incoming>> decode_frame(std::string_view payload,
                                               std::shared_ptr<const void> owner);
  Result<std::vector<SharedBytes>> take_references(std::string_view& payload);
  Incoming message(Value value);
  void take_fds(Incoming& incoming, std::uint64_t begin);
  void take_several(Incoming& incoming, std::uint64_t begin);

  std::size_t message_size_max_;
  Serialization serialization_;
  Lend lend_;
  JsonParser parser_;
  CloneDecoder clone_decoder_;
  std::string_view unread_;     ///< What is left of the bytes fed last.
  std::uint64_t position_ = 0;  ///< Of `unread_` in the stream of bytes.
  std::uint64_t message_end_ = 0;
  GrowingBuffer unfinished_;  ///< The beginning of a message, from earlier reads; in JSON, of a
                              ///< line, in advanced mode, of what follows the length.
  unsigned char length_bytes_[4] = {};
  std::size_t length_read_ = 0;  ///< Of `length_bytes_`, for the message that comes or is there.
  std::size_t length_ = 0;       ///< The length, once all of its bytes are read.
  bool has_references_ = false;  ///< That message.
  std::vector<WaitingFd> waiting_;
  std::optional<Error> failure_;
};

}  // namespace cohort::ipc
