// What a `Worker` handle points to: a process that this primary forked (forked_worker.h), or this
// process itself (own_worker.h). Events and handlers are common to both.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/event.h"
#include "base/loop.h"
#include "cohort/worker.h"
#include "ipc/calls.h"
#include "ipc/peer.h"

namespace cohort {

class WorkerImpl : public std::enable_shared_from_this<WorkerImpl> {
 public:
  virtual ~WorkerImpl() { peer_->abandon(); }
  WorkerImpl(const WorkerImpl&) = delete;
  WorkerImpl& operator=(const WorkerImpl&) = delete;

  virtual int id() const = 0;
  virtual std::optional<std::size_t> slot_if_known() const = 0;
  virtual pid_t pid() const = 0;
  virtual bool is_dead() const = 0;
  virtual bool exited_after_disconnect() const = 0;
  virtual bool is_leader() const { return false; }
  virtual void disconnect() = 0;
  virtual bool kill(int signal_number) = 0;
  /// As Process::exit.
  virtual void exit_process(int code) = 0;
  /// As Process::stdio.
  virtual const ChildStream& stdio(std::size_t index) const = 0;
  /// As Worker::load.
  virtual std::optional<WorkerLoad> load() const { return std::nullopt; }
  /// As Worker::ping.
  virtual Result<void> ping(std::function<void()> turned);
  /// As Worker::open_connection.
  virtual Result<OwnFd> open_connection();
  virtual std::vector<std::string> last_stderr_lines() const { return {}; }

  const Loop& loop() const { return loop_; }
  /// Who is at the other end of the channel: the worker, or the primary.
  ipc::Peer& peer() const { return *peer_; }
  ipc::Calls& calls() const { return *calls_; }
  /// Nothing more comes: operations that wait for an event are aborted, and handlers go. They often
  /// hold a handle to this very worker, which would keep both alive for ever. Not from a handler.
  void end_events();
  /// How it ended, once that was told.
  const std::optional<Exit>& exit() const { return exit_; }

  struct {
    Event<> online;
    Event<const Address&> listening;
    Event<bool> leader;
    Event<const Error&> error;
    Event<> disconnect;
    Event<const Exit&> exit;
    Event<std::string_view> stdout_data;
    Event<std::string_view> stderr_data;
  } events;

 protected:
  /// `user` is the object itself. `id`: as `Reply::caller`.
  WorkerImpl(const Loop& loop, std::shared_ptr<ipc::Calls> calls, ipc::PeerUser& user,
             ipc::Peer::Early early, int id)
      : loop_{loop},
        calls_{calls},
        peer_{std::make_shared<ipc::Peer>(loop, user, early, std::move(calls), id)} {}

  const Loop loop_;
  const std::shared_ptr<ipc::Calls> calls_;  // one for all of them
  const std::shared_ptr<ipc::Peer> peer_;    // shared with what is on its way
  std::optional<Exit> exit_;
};

}  // namespace cohort
