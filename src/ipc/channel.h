// The two-way channel between a primary and a worker: Node's IPC socket.
//
// Writing never blocks: the first message of a loop turn leaves at once, later ones of the same
// turn leave together at its end; what the socket does not take waits in the Outbox. Reading
// delivers every message that arrived, answers descriptors (NODE_HANDLE_ACK), and ends with exactly
// one `channel_closed`.
//
// Two cohort processes greet each other (`announce`); from then on the receiver says how much it
// has processed, so that the sender holds back what is too much, descriptors are confirmed in
// batches, and large data goes through shared memory. docs/ipc.md has the messages.
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
#include "ipc/outbox.h"
#include "ipc/shared_pool.h"

namespace cohort::ipc {

/// What one channel may take.
struct ChannelLimits {
  std::size_t message_size_max = kMessageSizeMax;
  /// Data that waits to be written: of what exceeds it, only one message is taken.
  std::size_t queue_size_max = kQueueSizeMax;
  /// Of the memory that this side shares with a cohort peer; 0: none.
  std::size_t shared_memory_max = kSharedMemoryMax;

  static constexpr std::size_t kQueueSizeMax = 256u << 20;
  static constexpr std::size_t kSharedMemoryMax = 64u << 20;
};

/// ChannelFull: so many bytes wait.
Error channel_full(std::size_t waiting, std::size_t queue_size_max);

/// Who listens to a channel. Must outlive it, or `abandon` it first.
class ChannelUser {
 public:
  /// A message, not ACK or NACK. May close or drop the channel. Whoever keeps it for later says so
  /// (`withhold`).
  virtual void message(Incoming incoming) = 0;
  /// Little waits again, after a `send` that said false or failed with ChannelFull.
  virtual void channel_drained() {}
  /// Once: the peer is gone (no error), broke the protocol (MalformedMessage, MessageTooLarge), or
  /// `close()` has finished. Never called before `close()` returned.
  virtual void channel_closed(std::optional<Error> why) = 0;

 protected:
  ~ChannelUser() = default;
};

class Channel : public std::enable_shared_from_this<Channel> {
 public:
  using Done = Parcel::Done;
  using Delivery = ipc::Delivery;
  using Answered = Parcel::Answered;
  /// Below this many bytes waiting, `send` says that the peer keeps up. As in Node.
  static constexpr std::size_t kHighWaterMark = 131072;
  /// What a cohort peer may have sent without our having processed it.
  static constexpr std::size_t kWindow = 1u << 20;

  Channel(const Loop& loop, OwnFd socket, Serialization serialization, const ChannelLimits& limits,
          ChannelUser& user);
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  /// Starts to read.
  void start();
  Serialization serialization() const { return serialization_; }
  const ChannelLimits& limits() const { return limits_; }
  /// Sends until `close()`, or until the peer is known to be gone.
  bool is_open() const { return open_; }

  /// In a child whose parent is of cohort, first: greets it. Its answer brings the limits.
  void announce();
  /// It said so, or `announce` was called.
  bool peer_is_cohort() const { return peer_is_cohort_; }

  /// True while less than kHighWaterMark waits. `done` is called later: with nothing once the
  /// system has the message, with the error if it never will. On an error (ChannelClosed,
  /// ChannelFull, MessageTooLarge, not a message) nothing was queued, and `done` is not called.
  Result<bool> send(const Value& message, Done done = {});
  /// The same for one that was encoded by `encode_message` for this channel's serialization, and
  /// accepted on another thread: it is taken though the channel is full.
  Result<bool> send_encoded(std::string_view message, Done done = {});
  /// A message of the library's own, which is taken though the channel is full. In the Control lane
  /// data does not delay it, and it does not keep its place among it.
  Result<bool> send_own(const Value& message, Lane lane = Lane::Data);
  /// A NODE_HANDLE message, with its descriptor at its first byte; several, at most
  /// kDescriptorsMax, if the peer is of cohort. The caller keeps them. On an error `answered` is
  /// not called, else once, later.
  Result<bool> send_descriptors(const Value& wrapped, std::vector<int> fds, Answered answered = {},
                                Lane lane = Lane::Data);
  Result<bool> send_descriptor(const Value& wrapped, int fd, Answered answered = {},
                               Lane lane = Lane::Data) {
    return send_descriptors(wrapped, {fd}, std::move(answered), lane);
  }

  /// Memory whose bytes, sent on this channel, need not be copied; null if there is none (the peer
  /// is not of cohort, the serialization is JSON, the size is small, all of it is in use).
  std::shared_ptr<std::byte> allocate(std::size_t size);

  /// `channel_drained` will be called: soon if little waits now.
  void want_drained();

  /// So many bytes of messages (`Incoming::size`) are kept for later: the peer is not told that
  /// they are processed until `consumed`.
  void withhold(std::size_t size) { withheld_ += size; }
  void consumed(std::size_t size);

  /// Reads and delivers everything that has arrived, up to now or to the end of the channel.
  void read_available();
  /// Waits for the next bytes and delivers; false if the deadline passed or the channel is closed.
  bool read_blocking(std::chrono::steady_clock::time_point deadline);
  /// From now on nothing waits for the peer's progress: one of the two ends.
  void hurry() { outbox_.hurry(); }
  /// Takes no more messages; writes what waits, then closes and calls `channel_closed`.
  void close();
  /// The process at the other end is gone, whoever else may hold its socket: what waits fails, and
  /// nothing more is called.
  void peer_ended();
  /// Closes now, without a callback; drops what waits.
  void abandon();
  /// Writes what may be written now, blocking; false if the deadline passed or the peer is gone.
  bool flush(std::chrono::steady_clock::time_point deadline);
  /// The process exits: writes all of it, whatever the peer has not processed or answered.
  bool flush_all(std::chrono::steady_clock::time_point deadline);

  /// Whether the channel keeps the loop running. It does at first.
  void set_ref(bool ref);

 private:
  Result<std::size_t> enqueue(Lane lane, const Value& message, bool bounded = false,
                              Done done = {});
  std::optional<Error> full(std::size_t size);
  void drained();
  bool keeps_up();
  void write_soon();
  void write_now();
  bool write_batch(const Outbox::Batch& batch);
  void wait_writable();
  void fail_writes(const Error& error);
  bool read_once();
  void deliver(std::string_view bytes, std::vector<OwnFd> fds);
  void confirm(bool arrived);
  void confirm_batch();
  bool answered(Delivery delivery);
  bool take_cohort(Incoming& incoming);
  void greet(const Value& hello);
  void share_memory();
  void give_back_memory();
  void report_processed();
  void wait_readable();
  void end(std::optional<Error> why);

  Loop loop_;
  std::unique_ptr<Watch> watch_;
  ChannelUser* user_;
  const Serialization serialization_;
  ChannelLimits limits_;
  Decoder decoder_;
  std::unique_ptr<char[]> read_buffer_;
  Outbox outbox_;
  std::vector<Attached> attached_;  // of the message that is being encoded; here for its memory
  std::vector<Done> done_;          // of what was just written; the same

  bool peer_is_cohort_ = false;
  bool announced_ = false;
  bool greeted_ = false;         // the peer understands all of it
  std::size_t unconfirmed_ = 0;  // descriptors that arrived in this read
  std::uint64_t withheld_ = 0;
  std::uint64_t reported_ = 0;          // as processed
  std::unique_ptr<SharedPool> pool_;    // what we send through
  std::unique_ptr<SharedInbox> inbox_;  // what the peer does
  bool pool_asked_ = false;
  bool drain_due_ = false;
  bool open_ = true;
  bool closing_ = false;
  bool ended_ = false;
  bool writable_wanted_ = false;
  bool corked_ = false;  // delivering, or a write at the end of this turn is posted
};

}  // namespace cohort::ipc
