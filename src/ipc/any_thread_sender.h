// `send` for any thread: on the loop's executor at once; elsewhere the message is encoded there and
// handed over.
#pragma once

#include <atomic>
#include <memory>

#include "base/loop.h"
#include "cohort/value.h"
#include "ipc/channel.h"

namespace cohort::ipc {

/// Shared with messages on their way. `open` and `close` on the loop's executor; `open` before
/// another thread knows it.
class AnyThreadSender : public std::enable_shared_from_this<AnyThreadSender> {
 public:
  explicit AnyThreadSender(const Loop& loop) : loop_{loop} {}

  void open(const std::shared_ptr<Channel>& channel);
  /// From now on `send` says that the channel is closed.
  void close() { open_ = false; }
  bool is_open() const { return open_; }
  /// The channel has got other limits.
  void take_limits();
  /// As Channel::send, but that `done` is called on an error, too. What other threads sent is in no
  /// order with what the loop sends meanwhile; each one's own is. All that they have sent and that
  /// is not written yet has `queue_size_max`, besides what the loop has.
  Result<bool> send(const Value& message, Channel::Done done);

 private:
  Result<bool> send_here(const Value& message, const Channel::Done& done);
  Result<bool> hand_over(const Value& message, const Channel::Done& done);
  void arrived(std::size_t size);
  void tell_if_drained();

  const Loop loop_;
  std::weak_ptr<Channel> channel_;
  Serialization serialization_ = Serialization::Json;
  std::atomic<std::size_t> message_size_max_ = 0;
  std::atomic<std::size_t> queue_size_max_ = 0;
  std::atomic<bool> open_ = false;
  std::atomic<std::size_t> on_the_way_ = 0;  // bytes from other threads that are not written yet
  std::atomic<bool> drain_wanted_ = false;   // one of them was told to wait
};

}  // namespace cohort::ipc
