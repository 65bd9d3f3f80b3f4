// Whoever is at the other end of a channel: the parent, a child, a worker. Sends to it, receives
// from it, calls it, passes descriptors both ways.
//
// The order of receiving is made here, for everybody:
// - A message waits while somebody blocks for another one (`receive_until`), and so does all that
//   comes behind it.
// - A call, or the answer to one, goes to `Calls`.
// - A user's message waits for the first handler, where that is wished (`Early::Waits`).
//
// Owned by its user, the process that has the other end, and by what is on its way. Loop's executor
// only, but for `send` and `connected`, which any thread may call.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/event.h"
#include "base/handlers.h"
#include "base/loop.h"
#include "cohort/error.h"
#include "cohort/fd.h"
#include "cohort/handle.h"
#include "cohort/value.h"
#include "ipc/any_thread_sender.h"
#include "ipc/channel.h"
#include "ipc/handle_traffic.h"

namespace cohort::ipc {

class Calls;

/// Whose peer it is. Must outlive it, or `abandon` it first.
class PeerUser {
 public:
  /// `worker 3 (pid 4711)`, for texts.
  virtual std::string describe_peer() const = 0;
  /// A message of Node's cluster.
  virtual void cluster_message(Incoming&) {}
  /// A user's message, before the peer's own handlers get it.
  virtual void user_message(const Value&, Handle&) {}
  /// This process waits for something from the peer, or does so no more: a handler was added, a
  /// call was made or answered.
  virtual void waits_changed() {}
  /// Once, and never called before `close()` returned: the peer is gone (no error), it broke the
  /// protocol, or `close()` has finished.
  virtual void channel_closed(std::optional<Error> why) = 0;

 protected:
  ~PeerUser() = default;
};

class Peer final : public std::enable_shared_from_this<Peer>, private ChannelUser {
 public:
  using Clock = std::chrono::steady_clock;
  using Done = Channel::Done;

  /// User's messages that arrive before anybody listens: wait for that, or go to nobody.
  enum class Early : bool { Waits, GoesToNobody };

  /// `calls` may be null: then calls are messages like any other. `id`: as `Reply::caller`.
  Peer(const Loop& loop, PeerUser& user, Early early, std::shared_ptr<Calls> calls = {},
       int id = 0);
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  // Life.

  /// The channel's end here. Once; before that, and without, `send` says that it is closed.
  void open(OwnFd socket, Serialization serialization, const ChannelLimits& limits);
  /// Starts to read.
  void start();
  /// In a child whose parent is of cohort, before `start`: greets it.
  void announce();
  /// It was opened, and `channel_closed` is still to come.
  bool has_channel() const { return channel_ != nullptr; }
  /// `send` takes messages.
  bool connected() const { return sender_->is_open(); }
  /// It is of cohort: it said so. Still known when the channel is closed.
  bool is_cohort() const { return channel_ ? channel_->peer_is_cohort() : was_cohort_; }
  /// Anything ever came from it.
  bool has_spoken() const { return has_spoken_; }
  /// `send` takes no more. What it has taken is written by `close`.
  void stop_sending() { sender_->close(); }
  /// Writes what waits, then closes; `channel_closed` follows.
  void close();
  /// Delivers what has arrived. Not up to the end: another process may hold the peer's socket.
  void read_available();
  /// The peer's process has ended, whoever may hold its socket: nothing more comes or goes, and
  /// `channel_closed` is not called.
  void has_ended();
  /// Closes now; the user is called no more.
  void abandon();
  /// Nothing more comes: operations that wait are aborted, and handlers go. They often hold a
  /// handle to the very process, which would keep both alive for ever. Not from a handler.
  void end_events(boost::system::error_code why = boost::asio::error::operation_aborted);

  // Sending.

  /// Any thread. As Channel::send, but that `done` is called on an error, too.
  Result<bool> send(const Value& message, Done done = {}) {
    return sender_->send(message, std::move(done));
  }
  Result<bool> send(const Value& message, Handle handle, HandleTraffic::Done done);
  /// The library's own, which a full channel does not refuse.
  Result<bool> send_own(const Value& message, Lane lane = Lane::Data);
  /// As Channel::send_descriptors.
  Result<bool> send_descriptors(const Value& wrapped, std::vector<int> fds,
                                Channel::Answered answered = {}, Lane lane = Lane::Data);
  /// Memory for a large message: shared with the peer where that works.
  WritableBuffer make_buffer(std::size_t size);
  /// From now on nothing waits for the peer's progress: one of the two ends.
  void hurry();
  /// Gives the channel what other threads have sent.
  void catch_up() { sender_->catch_up(); }
  /// Writes all of it, blocking, whatever the peer has not processed: this process exits.
  void flush(Clock::time_point deadline);

  // Receiving.

  void on_message(std::function<void(const Value&)> handler);
  void on_message(std::function<void(const Value&, Handle&)> handler);
  void wait_message(Event<const Value&>::Waiting handler);
  void on_drain(std::function<void()> handler) { drain_.on(std::move(handler)); }
  void wait_drain(Event<>::Waiting handler);
  /// Somebody listens for messages.
  bool wants_messages() const { return message_.has_listener() || !on_handle_.empty(); }
  /// There is another reason to look at the messages that wait for one: a handler, a method.
  void look_again();
  /// Whether the channel keeps the loop running. It does at first.
  void set_ref(bool ref);
  using Awaited = std::function<bool(const Incoming&)>;
  /// Reads, blocking, until a message that is `awaited` was handled; all others wait for the loop.
  /// False if the deadline passed or the channel is closed.
  bool receive_until(const Awaited& awaited, Clock::time_point deadline);

  // For calls.

  int id() const { return id_; }
  std::string describe() const;
  void waits_changed();

 private:
  struct Blocking {
    const Awaited& awaited;
    bool came = false;
  };

  // ChannelUser
  void message(Incoming incoming) override;
  void channel_drained() override { drain_.emit(); }
  void channel_closed(std::optional<Error> why) override;

  void handle(Incoming& incoming);
  bool take_call(const Incoming& incoming);
  void user_message(Incoming& incoming);
  void emit(Incoming& incoming);
  void keep(std::deque<Incoming>& for_later, Incoming incoming);
  Incoming take_first(std::deque<Incoming>& kept);
  void deliver_deferred();
  void deliver_early();
  void forget_channel();
  void drop_handlers();

  const Loop loop_;
  PeerUser* user_;  // null: abandoned
  const std::shared_ptr<Calls> calls_;
  const int id_;
  const Early early_;
  bool has_spoken_ = false;
  bool was_cohort_ = false;
  bool ended_ = false;                             // there was a channel
  std::shared_ptr<Channel> channel_;               // shared with its own pending callbacks
  const std::shared_ptr<AnyThreadSender> sender_;  // shared with messages on their way
  const std::shared_ptr<HandleTraffic> traffic_;   // shared with handles on their way
  Event<const Value&> message_;
  Handlers<const Value&, Handle&> on_handle_;  // of messages, with or without one
  Event<> drain_;
  std::deque<Incoming> early_messages_;  // before the first handler
  std::deque<Incoming> deferred_;        // arrived while somebody blocks for another
  Blocking* blocking_ = nullptr;         // while that is so
};

}  // namespace cohort::ipc
