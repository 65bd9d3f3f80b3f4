// `send` for any thread: on the loop's executor at once; elsewhere the message is encoded there and
// queued for the loop, in the order in which the calls of `send` return.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/loop.h"
#include "cohort/value.h"
#include "ipc/channel.h"

namespace cohort::ipc {

/// Shared with messages on their way. All but `send` and `is_open` on the loop's executor, or when
/// the loop does not run (a process that exits); `open` before another thread knows it.
class AnyThreadSender : public std::enable_shared_from_this<AnyThreadSender> {
 public:
  explicit AnyThreadSender(const Loop& loop) : loop_{loop} {}

  void open(const std::shared_ptr<Channel>& channel);
  /// Gives the channel what other threads have sent. Before whatever else the loop sends or ends:
  /// a `send` that has returned comes before one that has not begun.
  void catch_up();
  /// From now on `send` says that the channel is closed; what it has taken goes to the channel.
  void close();
  bool is_open() const { return open_; }
  /// The channel has got other limits.
  void take_limits();
  /// As Channel::send, but that `done` is called on an error, too. All that other threads have sent
  /// and that is not written yet has `queue_size_max`, besides what the loop has.
  Result<bool> send(const Value& message, Channel::Done done);

 private:
  struct Message {
    std::string bytes;
    Channel::Done done;
  };

  Result<bool> send_here(const Value& message, const Channel::Done& done);
  Result<bool> hand_over(const Value& message, const Channel::Done& done);
  void give(const Message& message);
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

  std::mutex mutex_;            // of what follows, and of `open_` becoming false
  std::vector<Message> queue_;  // from other threads; the loop has been asked for it if not empty
  std::atomic<bool> queued_ = false;  // the same, for a look without the lock
};

}  // namespace cohort::ipc
