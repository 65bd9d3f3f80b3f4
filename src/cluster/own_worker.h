// This process as a worker: Node's `process` and `cluster.worker` of a child.
//
// Owned by the Cluster. Loop's executor only. Three kinds of process use it: a worker of a cluster,
// a child with a channel only (Node's `child_process.fork`), and a process that nobody forked.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "cluster/own_ending.h"
#include "cluster/parent_channel.h"
#include "cluster/primary_link.h"
#include "cluster/worker_host.h"
#include "cluster/worker_impl.h"

namespace cohort::cluster {

class OwnWorker final : public WorkerImpl, private ipc::PeerUser {
 public:
  /// `leave(code)`: the process should end.
  OwnWorker(const Loop& loop, std::shared_ptr<ipc::Calls> calls, ParentChannel parent,
            std::function<void(int)> leave);
  /// Says `online`, and starts to read. Under a cohort primary it first waits for the end of the
  /// turn in which that forked us (5 s at most), so that what was done there has happened.
  void start();

  /// Asked whether somebody waits for messages in a way that this does not see.
  void also_waits(std::function<bool()> question) { also_waits_ = std::move(question); }
  /// Called when the channel is gone. Not a handler of the event: those keep the loop running.
  void when_disconnected(std::function<void()> task) { when_disconnected_ = std::move(task); }
  /// Where this process's servers get their connections from.
  net::Host& host() { return *host_; }

  // WorkerImpl
  int id() const override { return id_; }
  std::optional<std::size_t> slot_if_known() const override { return slot_; }
  pid_t pid() const override;
  bool is_dead() const override { return false; }
  bool exited_after_disconnect() const override { return ending_.on_purpose(); }
  bool is_leader() const override { return leads_; }
  void disconnect() override { step(OwnEvent::Asked); }
  bool kill(int signal_number) override;
  void exit_process(int code) override;
  const ChildStream& stdio(std::size_t index) const override;

  /// TERM or INT: as `disconnect`, then the process leaves; at once the second time, or when
  /// `timeout` has passed.
  void terminate(int signal_number, std::chrono::milliseconds timeout);
  /// Writes queued messages, for 5 s at most.
  void flush();
  /// The Cluster ends: closes every server, and drops the handlers of the user's, which may own it.
  void abandon();

 private:
  // ipc::PeerUser
  std::string describe_peer() const override { return "the primary"; }
  void cluster_message(ipc::Incoming& incoming) override;
  void waits_changed() override;
  void channel_closed(std::optional<Error> why) override;

  void lead(bool on);
  void step(OwnEvent event, int exit_code = 0);

  const int id_;
  const std::optional<std::size_t> slot_;
  std::function<void(int)> leave_;
  std::function<void()> when_disconnected_;
  std::function<bool()> also_waits_;
  PrimaryLink primary_;
  std::shared_ptr<WorkerHost> host_;  // shared with servers
  bool leads_ = false;
  OwnEnding ending_;
  std::optional<std::int64_t> exiting_seq_;  // of `exitedAfterDisconnect`, unanswered
  boost::asio::steady_timer deadline_;       // of a drain
};

}  // namespace cohort::cluster
