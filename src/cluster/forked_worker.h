// One worker in the primary: its process, its channel, and where it is in its life.
//
// Owned by the Primary while the process lives, and by user handles. Loop's executor only. What
// arrives becomes an event of the table in worker_life.h, whose actions it carries out. How it is
// told to end is in forked_worker_ending.cc.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "cluster/hand_offs.h"
#include "cluster/listeners.h"
#include "cluster/settling.h"
#include "cluster/worker_end.h"
#include "cluster/worker_impl.h"
#include "cluster/worker_life.h"
#include "cluster/worker_loads.h"
#include "process/child_streams.h"
#include "process/running_child.h"

namespace cohort::cluster {

class ForkedWorker;

/// That are kept of a worker's stderr: what Node says of an uncaught error has 16.
inline constexpr std::size_t kLastLines = 20;

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
  virtual void worker_failed_to_start(ForkedWorker& worker, const Error& why) = 0;
  /// It is not in `workers()` any more.
  virtual void worker_left(ForkedWorker& worker) = 0;
  /// It asks for a port; has closed, or lost, one; ends on purpose.
  virtual void worker_asks(ForkedWorker& worker, const QueryServer& query) = 0;
  virtual void worker_closed(ForkedWorker& worker) = 0;
  virtual void worker_ends(ForkedWorker& worker) = 0;
  /// It is told to end before it was started. False: it does not wait for that.
  virtual bool forget_start(ForkedWorker& worker) = 0;
  /// It can be told to lead; leads no more, as it was asked to.
  virtual void worker_greets(ForkedWorker& worker) = 0;
  virtual void worker_follows(ForkedWorker& worker) = 0;
  virtual bool leads(const ForkedWorker& worker) const = 0;

 protected:
  ~ForkedWorkerOwner() = default;
};

/// Whose connections a worker gets, and as which it was started (Cluster::reload).
struct Seat {
  std::size_t slot;
  int generation;
};

class ForkedWorker final : public WorkerImpl, public HandoffPeer, private ipc::PeerUser {
 public:
  ForkedWorker(const Loop& loop, std::shared_ptr<ipc::Calls> calls, ForkedWorkerOwner& owner,
               int id, Seat seat);

  /// Its channel is there: what is sent from now on waits in it.
  void open_channel(OwnFd channel, const SpawnOptions& options);
  /// The process runs. `lent`: it was started with descriptors that listen there, and need not know
  /// the channel.
  void started(process::Child child, process::ChildLaunch launch, const SpawnOptions& options,
               std::vector<Address> lent);
  void failed_to_start(const Error& error);
  /// The service ends: as docs/signals.md has it. Once.
  void end(const EndingRules& rules);
  /// Its clients are to go elsewhere: it closes each connection after the answer under way, and
  /// idle ones; or it keeps them again.
  void rest(bool on);
  /// It leads from now on; or it is asked to lead no more (`worker_follows`).
  void lead(bool on);
  /// It said that it lives, as systemd's services do.
  void gave_sign() { hand_offs_.gave_sign(); }
  /// To its process group: a wrapper, and what it started. As `kill`, else.
  bool kill_group(int signal_number);
  /// What it left of its group, once it has exited; once.
  std::optional<process::LeftGroup> take_left_group() { return process_->take_left(); }
  /// Its owner ends: kills the process and waits for its end. Nothing is called back.
  void abandon();

  // WorkerImpl
  int id() const override { return id_; }
  std::size_t slot() const override { return seat_.slot; }
  /// As which it was started: Cluster::reload.
  int generation() const { return seat_.generation; }
  /// Another has its slot by now: it comes back.
  void set_slot(std::size_t slot) { seat_.slot = slot; }
  std::optional<std::size_t> slot_if_known() const override { return seat_.slot; }
  pid_t pid() const override { return process_ ? process_->pid() : 0; }
  bool is_dead() const override { return state_ == WorkerState::Dead; }
  bool exited_after_disconnect() const override { return on_purpose_; }
  bool is_leader() const override { return !is_dead() && owner_.leads(*this); }
  void disconnect() override { handle(WorkerEvent::DisconnectAsked); }
  bool kill(int signal_number) override;
  void exit_process(int) override {}
  const ChildStream& stdio(std::size_t index) const override { return streams_.handle(index); }
  std::optional<WorkerLoad> load() const override { return loads_.sum(); }
  Result<void> ping(std::function<void()> turned) override;
  Result<OwnFd> open_connection() override;

  // HandoffPeer
  unsigned credits() const override { return hand_offs_.credits(); }
  void reply(const QueryServer& query, Value reply, int fd) override;
  void hand_off(const std::string& key, std::span<const Offer> connections) override {
    hand_offs_.hand_off(key, connections);
  }
  bool hand_own(const std::string& key, int fd) override { return hand_offs_.hand_own(key, fd); }
  void probe() override { std::ignore = hand_offs_.probe(); }

  WorkerState state() const { return state_; }
  /// But for what its owner knows.
  WorkerStatus status() const;
  /// `worker 3 (pid 4711)`
  std::string describe() const { return describe_peer(); }
  std::vector<std::string> last_stderr_lines() const override {
    return process_ ? process_->last_stderr_lines(kLastLines) : std::vector<std::string>{};
  }

 private:
  /// What an event brings.
  using Details = std::variant<std::monostate, Error, Address, Exit, std::int64_t>;
  struct Serving {
    bool any = false;                // it listens for connections
    std::vector<Address> lent;       // where it was told to
    std::vector<Address> listening;  // where it said that it does
    const std::vector<Address>& addresses() const { return listening.empty() ? lent : listening; }
  };

  // ipc::PeerUser
  std::string describe_peer() const override;
  void cluster_message(ipc::Incoming& incoming) override;
  void user_message(const Value& message, Handle& handle) override;
  void channel_closed(std::optional<Error> why) override;

  void open_streams(process::ChildLaunch& launch);
  bool give_up_start();
  bool speaks() const;
  bool ends_by_signal() const { return !serving_.lent.empty() && !speaks(); }
  void listens_by_itself();
  void asks(const Value& message);
  void publishes(const std::string& key, OwnFd shared);
  void port_closed(const std::string& key);
  void send_cluster(Value message);
  void after(std::chrono::milliseconds time, std::function<void()> task);
  void send_disconnect();
  bool is_settled() const { return !settling_.under_way() && hand_offs_.all_answered(); }
  void look_whether_settled();
  void watch_until_idle(std::chrono::milliseconds pause);
  EndingFacts ending_facts(int stop_signal) const;
  void carry_out(EndingAct act, int signal);
  void process_ended(const Exit& exit);
  void handle(WorkerEvent event, const Details& details = {});
  void carry_out(std::uint16_t actions, const Details& details);
  void report(const Error& error);

  ForkedWorkerOwner& owner_;  // not once Dead
  const int id_;
  Seat seat_;
  WorkerState state_ = WorkerState::Spawned;
  const std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
  bool on_purpose_ = false;
  bool gave_up_channel_ = false;  // it serves on without: it needs none
  Serving serving_;
  HandOffs hand_offs_;
  Settling settling_;
  WorkerLoads loads_;
  boost::asio::steady_timer timer_;  // until it is taken for ready, or is looked at
  process::ChildStreams streams_;    // before the process, which reads them
  std::unique_ptr<process::RunningChild> process_;
  WorkerEnd end_;
};

}  // namespace cohort::cluster
