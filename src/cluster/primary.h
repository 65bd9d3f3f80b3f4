// The primary: forks workers, owns the listeners, and keeps the cluster as the user wants it.
//
// Owned by the Cluster. Loop's executor only. What should happen is decided by the pure Supervisor;
// this carries it out and reports back what happened.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/callback_scope.h"
#include "cluster/forked_worker.h"
#include "cluster/listeners.h"
#include "cluster/supervisor.h"
#include "cohort/cluster.h"
#include "process/spawn.h"

namespace cohort::cluster {

class Primary final : private ForkedWorkerOwner {
 public:
  /// `finish(code)` is called when the cluster is over and the loop should end. A process that may
  /// not fork is a worker itself: its forks fail with NotAPrimary.
  Primary(const Loop& loop, std::shared_ptr<ipc::Calls> calls, bool may_fork,
          std::function<void(int)> finish);
  ~Primary();

  Worker fork(const Environment& env);
  std::vector<Worker> workers() const;
  const Settings& settings() const { return settings_; }
  void setup(const Settings& settings);
  void disconnect(std::function<void()> done);
  void keep(unsigned count);
  void set_policy(ChosenPolicy chosen);
  Policy policy() const { return policy_.policy; }
  void set_weights(SlotBook::Weights weights);
  void set_drain_timeout(std::chrono::milliseconds timeout);
  /// TERM or INT arrived.
  void terminate();

  Event<const Settings&> on_setup;
  Event<Worker> on_fork;
  Event<Worker> on_online;
  Event<Worker, const Address&> on_listening;
  Event<const Address&, Policy, std::string_view> on_policy;
  Event<Worker, const Value&> on_message;
  Handlers<const Worker&, const Value&, Handle&> on_handle;
  Event<Worker> on_disconnect;
  Event<Worker, const Exit&> on_exit;

 private:
  struct Entry {
    std::shared_ptr<ForkedWorker> worker;  // shared with user handles
    bool in_workers = true;
  };
  // How the last worker with a place ended, for the reason of giving up.
  struct LastDeath {
    std::string how;
    std::vector<std::string> stderr_lines;
  };

  // ForkedWorkerOwner
  Listeners& listeners() override { return *listeners_; }
  bool keeps_ports() const override;
  bool goes_on() const override;
  std::int64_t next_seq() override { return seq_++; }
  void worker_online(ForkedWorker& worker) override;
  void worker_listening(ForkedWorker& worker, const Address& address) override;
  void worker_message(ForkedWorker& worker, const Value& message, Handle& handle) override;
  void worker_disconnected(ForkedWorker& worker) override;
  void worker_idle(ForkedWorker& worker) override;
  void worker_exited(ForkedWorker& worker, const Exit& exit) override;
  void worker_failed_to_start(ForkedWorker& worker) override;
  void worker_left(ForkedWorker& worker) override;
  void worker_asks(ForkedWorker& worker, const QueryServer& query) override;
  void worker_closed(ForkedWorker& worker) override;
  void worker_ends(ForkedWorker& worker) override;

  std::shared_ptr<ForkedWorker> fork_worker(const Environment& env,
                                            std::optional<std::size_t> place);
  std::size_t free_slot(std::optional<std::size_t> wanted) const;
  Result<void> start(ForkedWorker& worker, const Environment& env, bool keep_stderr);
  void gone(ForkedWorker& worker, std::optional<process::LeftGroup> left = {});
  void all_gone();
  void tell(const SupervisorEvent& event);
  void carry_out(const SupervisorAction& action);
  void fork_for(const action::Fork& wanted);
  void let_arrivals_in(std::chrono::milliseconds time);
  void end_all();
  void end_leaver(const action::End& wanted);
  void kill_leaver(int id);
  EndingRules ending_rules(TimePoint start) const;
  std::size_t debugger_for(const ForkedWorker& worker);
  void prepare_for_node(process::SpawnRequest& request, const ForkedWorker& worker);
  void arm_timer();
  void give_up();

  Loop loop_;
  std::shared_ptr<ipc::Calls> calls_;  // for the workers
  const bool may_fork_;
  std::function<void(int)> finish_;
  Settings settings_;
  bool set_up_ = false;
  bool policy_chosen_ = false;  // not by the environment
  ChosenPolicy policy_;
  SlotBook::Weights weights_;
  std::unique_ptr<Listeners> listeners_;   // before the workers, which use it
  std::map<int, Entry> workers_;           // every process that lives, by id
  std::map<int, process::GroupEnd> left_;  // of those that have exited, by id
  int last_id_ = 0;
  std::int64_t seq_ = 0;
  Supervisor supervisor_;
  boost::asio::steady_timer timer_;
  boost::asio::steady_timer arrivals_timer_;
  std::optional<std::chrono::steady_clock::time_point> arrivals_until_;
  bool letting_in_ = false;
  std::vector<std::function<void()>> disconnect_waiters_;
  std::optional<LastDeath> last_death_;
  int exit_code_ = 0;
  std::map<int, std::size_t> debugger_of_;        // index of its port, by id of who lives
  std::map<std::size_t, std::string> debuggers_;  // where they listen or listened, by index
  bool without_preload_ = false;                  // and it was said
  bool disconnecting_ = false;                    // all of them
  CallbackScope callbacks_;
};

}  // namespace cohort::cluster
