// One worker in the primary: its process, its channel, and where it is in its life.
//
// Owned by the Primary while the process lives, and by user handles. Loop's executor only. It
// decides nothing: what arrives becomes an event of the table in worker_life.h, whose actions it
// carries out.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cluster/listeners.h"
#include "cluster/worker_end.h"
#include "cluster/worker_impl.h"
#include "cluster/worker_life.h"
#include "net/load.h"
#include "process/child_watch.h"
#include "process/stdio_tail.h"

namespace cohort::cluster {

class ForkedWorker;

/// What a worker needs of its primary.
class ForkedWorkerOwner {
 public:
  virtual Listeners& listeners() = 0;
  /// Whether a port that nobody uses any more stays open for the successor of a worker that ended
  /// on purpose.
  virtual bool keeps_ports() const = 0;
  /// Whether others serve, or will serve, what a worker that ends on purpose served.
  virtual bool goes_on() const = 0;
  /// Of this process's cluster messages, all workers together, as in Node.
  virtual std::int64_t next_seq() = 0;
  /// Emitted on the worker already, or about to be (`message`): the cluster's turn.
  virtual void worker_online(ForkedWorker& worker) = 0;
  virtual void worker_listening(ForkedWorker& worker, const Address& address) = 0;
  virtual void worker_message(ForkedWorker& worker, const Value& message, Handle& handle) = 0;
  virtual void worker_disconnected(ForkedWorker& worker) = 0;
  /// Its channel is closed, and nobody is connected to what it served.
  virtual void worker_idle(ForkedWorker& worker) = 0;
  virtual void worker_exited(ForkedWorker& worker, const Exit& exit) = 0;
  virtual void worker_failed_to_start(ForkedWorker& worker) = 0;
  /// It is not in `workers()` any more.
  virtual void worker_left(ForkedWorker& worker) = 0;
  /// It asks for a port; has closed, or lost, one; ends on purpose.
  virtual void worker_asks(ForkedWorker& worker, const QueryServer& query) = 0;
  virtual void worker_closed(ForkedWorker& worker) = 0;
  virtual void worker_ends(ForkedWorker& worker) = 0;

 protected:
  ~ForkedWorkerOwner() = default;
};

class ForkedWorker final : public WorkerImpl, public HandoffPeer, private ipc::ChannelUser {
 public:
  ForkedWorker(const Loop& loop, std::shared_ptr<Calls> calls, ForkedWorkerOwner& owner, int id,
               std::size_t slot, Serialization serialization, const ipc::ChannelLimits& limits);
  ~ForkedWorker() override;

  /// The process runs. `tail` reads its stderr, if the primary does.
  void started(process::Child child, OwnFd channel, std::unique_ptr<process::StderrTail> tail);
  /// Reads a stdio pipe and emits what comes.
  void read_output(int stdio_index, OwnFd pipe);
  /// It was started with descriptors that listen there, and need not know the channel.
  void lent(std::vector<Address> addresses);
  /// It is one of those, and has said nothing: it is asked to end as any program is.
  bool ends_by_signal() const { return !lent_.empty() && !speaks_; }
  void failed_to_start(Error error);
  /// The service ends: as docs/signals.md has it. Once.
  void end(const EndingRules& rules);
  /// To its process group: a wrapper, and what it started. As `kill`, else.
  bool kill_group(int signal_number);
  /// What it left of its group, once it has exited; once.
  std::optional<process::LeftGroup> take_left_group() { return process_->take_left(); }
  /// Its owner ends: kills the process and waits for its end. Nothing is called back.
  void abandon();

  // WorkerImpl
  int id() const override { return id_; }
  std::size_t slot() const override { return slot_; }
  /// Another has its slot by now: it comes back.
  void set_slot(std::size_t slot) { slot_ = slot; }
  std::optional<std::size_t> slot_if_known() const override { return slot_; }
  pid_t pid() const override { return pid_; }
  bool connected() const override { return sender_->is_open(); }
  bool is_dead() const override { return state_ == WorkerState::Dead; }
  bool exited_after_disconnect() const override { return on_purpose_; }
  void disconnect() override { handle(WorkerEvent::DisconnectAsked); }
  bool kill(int signal_number) override;
  void exit_process(int) override {}
  std::string describe() const override;
  int reply_id() const override { return id_; }
  std::optional<WorkerLoad> load() const override;

  // HandoffPeer
  unsigned credits() const override;
  void reply(const QueryServer& query, Value reply, int fd) override;
  void hand_off(const std::string& key, std::span<const Offer> connections) override;
  void probe() override;

  WorkerState state() const { return state_; }
  std::vector<std::string> last_stderr_lines(std::size_t count) const;

 private:
  struct HandOff {
    std::int64_t seq;
    std::string key;
    std::vector<ConnectionId> connections;
  };
  struct OutputPipe;

  // ChannelUser
  void message(ipc::Incoming incoming) override;
  void channel_drained() override { events.drain.emit(loop_); }
  void channel_closed(std::optional<Error> why) override;

  std::shared_ptr<ipc::Channel> channel() const override { return channel_; }
  void cluster_message(ipc::Incoming& incoming);
  void answered(std::int64_t seq, std::size_t accepted);
  void port_closed(const std::string& key);
  void send_cluster(Value message);
  void listens_by_itself();
  void settle();
  void settle_on();
  void after(std::chrono::milliseconds time, std::function<void()> task);
  void send_disconnect_if_quiet();
  void send_disconnect();
  void settled();
  void watch_until_idle(std::chrono::milliseconds pause);
  EndingFacts ending_facts(int stop_signal);
  void carry_out(EndingAct act);
  void process_ended(const Exit& exit);
  void handle(WorkerEvent event);
  void carry_out(std::uint16_t actions);
  void report(const Error& error);

  ForkedWorkerOwner& owner_;  // not once Dead
  const int id_;
  std::size_t slot_;
  const Serialization serialization_;
  const ipc::ChannelLimits limits_;
  pid_t pid_ = 0;
  WorkerState state_ = WorkerState::Spawned;
  bool on_purpose_ = false;
  bool disconnect_pending_ = false;
  bool serves_ = false;  // it listens for connections
  bool speaks_ = false;  // it said something
  std::vector<Address> lent_;
  std::vector<Address> listening_;  // where it said that it listens
  NodeReport node_;
  std::unique_ptr<WorkerEnd> end_;
  int end_signal_ = 0;
  bool told_to_disconnect_ = false;
  int settling_ = 0;  // so many turns more before it is told to disconnect
  std::chrono::steady_clock::time_point settle_earliest_;
  boost::asio::steady_timer settle_timer_;
  std::unique_ptr<process::ChildWatch> process_;
  std::shared_ptr<ipc::Channel> channel_;  // shared with its own pending callbacks
  std::unique_ptr<process::StderrTail> stderr_tail_;
  std::vector<std::unique_ptr<OutputPipe>> outputs_;
  std::deque<HandOff> hand_offs_;                                  // unanswered, oldest first
  std::map<std::string, std::shared_ptr<const net::Load>> loads_;  // published, by port
  std::vector<std::shared_ptr<const net::Load>> closed_loads_;     // whose connections go on
  std::uint64_t accepted_before_ = 0;                              // by those that are gone
  bool one_at_a_time_ = false;  // it had no descriptors for several connections
  // Arguments of the event that is being handled.
  std::optional<Error> error_;
  Address address_;
  std::int64_t exiting_seq_ = 0;
  Exit exit_;
};

}  // namespace cohort::cluster
