// This process as a worker: Node's `process` and `cluster.worker` of a child, and where its servers
// get their connections from.
//
// Owned by the Cluster. Loop's executor only. Three kinds of process use it: a worker of a cluster
// (it asks its primary for listening sockets), a child with a channel only (Node's
// `child_process.fork`), and a process that nobody forked; the latter two bind for themselves.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/wire.h"
#include "cluster/worker_impl.h"
#include "net/direct_host.h"
#include "net/listener.h"
#include "net/open_servers.h"

namespace cohort::cluster {

/// What the parent says in the environment. Reading it takes it out, so that children of this
/// process do not take it for theirs.
struct ParentChannel {
  OwnFd socket;                     ///< None: no channel.
  std::optional<int> worker_id;     ///< A worker of a cluster.
  std::optional<std::size_t> slot;  ///< Its slot, in a cluster of ours.
  Serialization serialization = Serialization::Json;
  bool of_cohort = false;  ///< The parent is one of ours.
  std::string problem;     ///< Why there is none, though the environment names one.
};
/// Exits with 100 and a message if the parent asks for a serialization that nobody knows.
ParentChannel take_parent_channel();

class OwnWorker final : public WorkerImpl, public net::Host, private ipc::ChannelUser {
 public:
  /// `leave(code)`: the process should end.
  OwnWorker(const Loop& loop, std::shared_ptr<Calls> calls, ParentChannel parent,
            std::function<void(int)> leave);
  ~OwnWorker() override;
  /// Says `online`, and starts to read. Under a cohort primary it first waits for the end of the
  /// turn in which that forked us (5 s at most), so that what was done there has happened.
  void start();

  /// Asked whether somebody waits for messages in a way that this does not see.
  void also_waits(std::function<bool()> question) { also_waits_ = std::move(question); }
  /// Called when the channel is gone. Not a handler of the event: those keep the loop running.
  void when_disconnected(std::function<void()> task) { when_disconnected_ = std::move(task); }

  // WorkerImpl
  int id() const override { return id_; }
  std::optional<std::size_t> slot_if_known() const override { return slot_; }
  pid_t pid() const override;
  bool connected() const override { return sender_->is_open(); }
  bool is_dead() const override { return false; }
  bool exited_after_disconnect() const override { return on_purpose_; }
  void disconnect() override;
  bool kill(int signal_number) override;
  void exit_process(int code) override;
  void message_wanted() override;
  std::string describe() const override { return "the primary"; }
  int reply_id() const override { return 0; }

  // net::Host
  const Loop& loop() const override { return loop_; }
  std::unique_ptr<net::Listener> listen(const net::ListenRequest& request,
                                        std::shared_ptr<net::ListenerUser> user) override;
  std::unique_ptr<net::Listener> adopt(OwnFd listening,
                                       std::shared_ptr<net::ListenerUser> user) override {
    return direct_.adopt(std::move(listening), std::move(user));
  }
  Result<int> listening_descriptor(const net::ListenRequest& request) override;

  /// TERM or INT: as `disconnect`, then the process leaves; at once the second time, or when
  /// `timeout` has passed.
  void terminate(int signal_number, std::chrono::milliseconds timeout);
  /// Writes queued messages, for 5 s at most.
  void flush();
  /// The Cluster ends: closes every server, and drops the handlers of the user's, which may own it.
  void abandon();

 private:
  class Claim;
  class Handle;
  enum class Ending { No, ClosingServers, Replies, Handshake, Done };
  struct EqualQueries {
    std::int64_t next = 0;
    int open = 0;
  };

  // ChannelUser
  void message(ipc::Incoming incoming) override;
  void channel_drained() override { events.drain.emit(loop_); }
  void channel_closed(std::optional<Error> why) override;

  std::shared_ptr<ipc::Channel> channel() const override { return channel_; }
  bool is_cluster_worker() const { return id_ != 0 && channel_ != nullptr; }
  std::weak_ptr<OwnWorker> weak_worker() {
    return std::static_pointer_cast<OwnWorker>(shared_from_this());
  }
  void update_ref();
  bool is_awaited(const ipc::Incoming& incoming) const;
  void deliver_deferred();
  void handle(ipc::Incoming incoming);
  void user_message(ipc::Incoming incoming);
  void keep(std::deque<ipc::Incoming>& for_later, ipc::Incoming incoming);
  std::deque<ipc::Incoming> take(std::deque<ipc::Incoming>& kept);
  void cluster_message(ipc::Incoming& incoming);
  void new_connections(ipc::Incoming& incoming);
  void inherit_options(const Claim& claim, int fd) const;
  std::int64_t ask(const std::shared_ptr<Claim>& claim);
  void query_answered(const std::shared_ptr<Claim>& claim, const Value& reply, OwnFd fd);
  void fail(Claim& claim, const Error& error);
  void send_close(const Claim& claim);
  void send_room(const Claim& claim);
  void give_back(const Claim& claim, OwnFd connection);
  std::shared_ptr<net::Load> publish(const Claim& claim);
  void send_descriptor(const char* act, const Claim& claim, int fd);
  void release(Claim& claim);
  std::int64_t send_cluster(Value message, ipc::Lane lane = ipc::Lane::Data);
  void close_servers();
  void servers_closed();
  void finish_ending();

  std::function<void(int)> leave_;
  std::function<void()> when_disconnected_;
  std::function<bool()> also_waits_;
  int id_ = 0;
  std::optional<std::size_t> slot_;
  std::shared_ptr<ipc::Channel> channel_;  // shared with its own pending callbacks
  bool on_purpose_ = false;
  bool by_primary_ = false;  // the primary asked: no handshake
  bool takes_back_ = false;  // and others go on serving
  bool leave_when_done_ = false;
  Ending ending_ = Ending::No;
  std::optional<std::int64_t> exiting_seq_;
  std::int64_t seq_ = 0;
  std::deque<ipc::Incoming> early_messages_;  // before the first listener
  std::deque<ipc::Incoming> deferred_;  // arrived while somebody waits for one answer, blocking
  std::optional<std::int64_t> blocking_for_;
  bool of_cohort_ = false;
  bool greeted_ = true;                                     // false: start() waits for the hello
  std::map<std::int64_t, std::shared_ptr<Claim>> queries_;  // by seq; shared with Handle
  std::map<std::string, std::shared_ptr<Claim>> claims_;    // by key; shared with Handle
  std::map<std::string, EqualQueries> equal_queries_;
  std::vector<std::shared_ptr<Claim>> descriptors_;  // of listening_descriptor
  boost::asio::steady_timer deadline_;               // of a drain
  net::OpenServers servers_;
  net::DirectHost direct_;
};

}  // namespace cohort::cluster
