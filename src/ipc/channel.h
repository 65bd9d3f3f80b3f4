// The two-way channel between a primary and a worker: Node's IPC socket.
//
// Writing never blocks: the first message of a loop turn leaves at once, later ones of the same
// turn leave together at its end; what the socket does not take waits here, in order. Reading
// delivers every message that arrived, answers descriptors (NODE_HANDLE_ACK), and ends with exactly
// one `channel_closed`.
//
// Owned by whoever talks to the peer, through a shared_ptr (pending callbacks hold it while they
// run). Loop's executor only.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/loop.h"
#include "cohort/error.h"
#include "cohort/fd.h"
#include "cohort/value.h"
#include "ipc/framing.h"
#include "ipc/message.h"

namespace cohort::ipc {

/// Who listens to a channel. Must outlive it, or `detach` first.
class ChannelUser {
 public:
  /// A message, not ACK or NACK. May close or drop the channel.
  virtual void message(Incoming incoming) = 0;
  /// Once: the peer is gone (no error), broke the protocol (MalformedMessage, MessageTooLarge), or
  /// `close()` has finished. Never called before `close()` returned.
  virtual void channel_closed(std::optional<Error> why) = 0;

 protected:
  ~ChannelUser() = default;
};

class Channel : public std::enable_shared_from_this<Channel> {
 public:
  using Done = std::function<void(std::optional<Error>)>;
  /// Below this many bytes waiting, `send` says that the peer keeps up. As in Node.
  static constexpr std::size_t kHighWaterMark = 131072;

  Channel(const Loop& loop, OwnFd socket, Serialization serialization, std::size_t message_size_max,
          ChannelUser& user);
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  /// Starts to read.
  void start();
  /// Sends until `close()`, or until the peer is known to be gone.
  bool is_open() const { return open_; }

  /// True while less than kHighWaterMark waits. `done` is called later: with nothing once the
  /// system has the message, with the error if it never will. On an error nothing was queued, and
  /// `done` is not called.
  Result<bool> send(const Value& message, Done done = {});
  /// The same for one that was encoded by `encode_message` for this channel's serialization.
  Result<bool> send_encoded(std::string_view message, Done done = {});
  /// What became of a descriptor.
  enum class Delivery {
    Received,
    Refused,   ///< It got lost on the way: the peer has no descriptors left.
    PeerGone,  ///< The channel ended before the peer answered.
  };
  using Answered = std::function<void(Delivery)>;
  /// A NODE_HANDLE message, with its descriptor at its first byte. The caller keeps `fd`. On an
  /// error `answered` is not called, else once, later.
  Result<bool> send_descriptor(const Value& wrapped, int fd, Answered answered = {});

  /// Reads and delivers everything that has arrived, up to now or to the end of the channel.
  void read_available();
  /// Waits for the next bytes and delivers; false if the deadline passed or the channel is closed.
  bool read_blocking(std::chrono::steady_clock::time_point deadline);
  /// Takes no more messages; writes what waits, then closes and calls `channel_closed`.
  void close();
  /// Closes now, without a callback; drops what waits.
  void abandon();
  /// Writes what waits, blocking; false if the deadline passed or the peer is gone.
  bool flush(std::chrono::steady_clock::time_point deadline);

  /// Whether the channel keeps the loop running. It does at first.
  void set_ref(bool ref);

 private:
  // Consecutive bytes, of its own or of a large Value; a descriptor goes with the first of them.
  struct Segment {
    std::string text{};
    std::span<const std::byte> attached{};
    Value keeper{};  // of `attached`
    int fd = -1;
    OwnFd own{};  // keeps `fd` open if it could not be sent at once

    std::string_view bytes() const {
      if (attached.empty()) return text;
      return {reinterpret_cast<const char*>(attached.data()), attached.size()};
    }
    bool takes_more() const;
  };
  struct Waiting {
    std::uint64_t end;  // written_ from which on it is done
    Done done;
  };
  std::string& plain_tail();
  Result<std::size_t> append(const Value& message, std::string& text);
  Result<bool> queued(std::size_t size, Done done);
  void write_soon();
  void write_now();
  bool write_some();
  void wait_writable();
  void written(std::size_t size);
  void fail_writes(Error error);
  bool read_once();
  void deliver(std::string_view bytes, std::vector<OwnFd> fds);
  void answered(Delivery delivery);
  void wait_readable();
  void end(std::optional<Error> why);

  Loop loop_;
  std::unique_ptr<Watch> watch_;
  ChannelUser* user_;
  const Serialization serialization_;
  const std::size_t message_size_max_;
  Decoder decoder_;
  std::unique_ptr<char[]> read_buffer_;

  std::deque<Segment> queue_;
  std::size_t front_offset_ = 0;    // written bytes of queue_.front()
  std::vector<Attached> attached_;  // of the message that is being encoded; here for its memory
  std::uint64_t written_ = 0;
  std::uint64_t queued_ = 0;
  std::deque<Waiting> waiting_;
  std::deque<Answered> unanswered_;  // of the descriptors sent, oldest first
  bool open_ = true;
  bool closing_ = false;
  bool ended_ = false;
  bool writable_wanted_ = false;
  bool corked_ = false;  // delivering, or a write at the end of this turn is posted
};

}  // namespace cohort::ipc
