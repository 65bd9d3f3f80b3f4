// What a `Worker` handle points to: a process that this primary forked (forked_worker.h), or this
// process itself (own_worker.h). Events and handlers are common to both.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/loop.h"
#include "cluster/events.h"
#include "cohort/worker.h"
#include "ipc/channel.h"

namespace cohort {

class WorkerImpl : public std::enable_shared_from_this<WorkerImpl> {
 public:
  virtual ~WorkerImpl() = default;

  virtual int id() const = 0;
  virtual pid_t pid() const = 0;
  virtual bool connected() const = 0;
  virtual bool is_dead() const = 0;
  virtual bool exited_after_disconnect() const = 0;
  virtual void disconnect() = 0;
  virtual bool kill(int signal_number) = 0;
  virtual void exit_process(int code) = 0;
  /// Any thread.
  SendResult send(const Value& message, ipc::Channel::Done done);

  const Loop& loop() const { return loop_; }
  /// Nothing more comes: operations that wait for an event are aborted, and handlers go. They often
  /// hold a handle to this very worker, which would keep both alive for ever. Not from a handler.
  void end_events();
  /// Called when a handler for `message` was added.
  virtual void message_wanted() {}

  struct {
    cluster::Event<> online;
    cluster::Event<const Address&> listening;
    cluster::Event<const Value&> message;
    cluster::Event<const Error&> error;
    cluster::Event<> disconnect;
    cluster::Event<const Exit&> exit;
    cluster::Event<std::string_view> stdout_data;
    cluster::Event<std::string_view> stderr_data;
  } events;

 protected:
  explicit WorkerImpl(const Loop& loop) : loop_{loop} {}
  /// On the loop's executor. Null if there is none (any more).
  virtual ipc::Channel* channel() const = 0;
  virtual std::size_t message_size_max() const = 0;

  Loop loop_;
};

}  // namespace cohort
