// What a `Worker` handle points to: a process that this primary forked (forked_worker.h), or this
// process itself (own_worker.h). Events and handlers are common to both.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/event.h"
#include "base/handlers.h"
#include "base/loop.h"
#include "cluster/calls.h"
#include "cohort/worker.h"
#include "ipc/any_thread_sender.h"
#include "ipc/handle.h"

namespace cohort {

class WorkerImpl : public std::enable_shared_from_this<WorkerImpl> {
 public:
  virtual ~WorkerImpl() = default;

  virtual int id() const = 0;
  virtual std::optional<std::size_t> slot_if_known() const = 0;
  virtual pid_t pid() const = 0;
  virtual bool connected() const = 0;
  virtual bool is_dead() const = 0;
  virtual bool exited_after_disconnect() const = 0;
  virtual void disconnect() = 0;
  virtual bool kill(int signal_number) = 0;
  virtual void exit_process(int code) = 0;
  /// Any thread.
  virtual SendResult send(const Value& message, ipc::Channel::Done done) {
    return sender_->send(message, std::move(done));
  }
  /// The library's own, which a full channel does not refuse. The loop's executor only.
  virtual SendResult send_own(const Value& message) {
    sender_->catch_up();
    const auto target = channel();
    return target ? target->send_own(message) : make_error(Errc::ChannelClosed, "send");
  }
  /// The loop's executor only.
  SendResult send(const Value& message, Handle handle, ipc::HandleTraffic::Done done);

  /// The loop's executor only.
  WritableBuffer make_buffer(std::size_t size);

  const Loop& loop() const { return loop_; }
  /// Nothing more comes: operations that wait for an event are aborted, and handlers go. They often
  /// hold a handle to this very worker, which would keep both alive for ever. Not from a handler.
  void end_events();
  /// Called when what this process waits for from the peer has changed: a handler was added, a
  /// call was made or answered.
  virtual void message_wanted() {}
  cluster::Calls& calls() const { return *calls_; }
  /// `drain` will be emitted, soon if little waits.
  void want_drained();
  /// `worker 3 (pid 4711, killed by SIGKILL)`
  virtual std::string describe() const = 0;
  /// What `Reply::caller` says of calls from there.
  virtual int reply_id() const = 0;
  /// As Worker::load.
  virtual std::optional<WorkerLoad> load() const { return std::nullopt; }

  struct {
    Event<> online;
    Event<const Address&> listening;
    Event<const Value&> message;
    Event<const Error&> error;
    Event<> drain;
    Event<> disconnect;
    Event<const Exit&> exit;
    Event<std::string_view> stdout_data;
    Event<std::string_view> stderr_data;
  } events;
  Handlers<const Value&, Handle&> on_handle;  // of messages, with or without one

 protected:
  WorkerImpl(const Loop& loop, std::shared_ptr<cluster::Calls> calls)
      : loop_{loop},
        calls_{std::move(calls)},
        sender_{std::make_shared<ipc::AnyThreadSender>(loop)},
        handles_{std::make_shared<ipc::HandleTraffic>(loop)} {}
  /// On the loop's executor. Null if there is none (any more).
  virtual std::shared_ptr<ipc::Channel> channel() const = 0;
  bool wants_messages() const { return events.message.has_listener() || !on_handle.empty(); }
  void emit_message(const Value& message, Handle& handle);

  Loop loop_;
  std::shared_ptr<cluster::Calls> calls_;         // one for all of them
  std::shared_ptr<ipc::AnyThreadSender> sender_;  // shared with messages on their way
  std::shared_ptr<ipc::HandleTraffic> handles_;   // shared with handles on their way
};

}  // namespace cohort
