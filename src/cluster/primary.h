// The primary: forks workers, owns the listeners, and keeps the cluster as the user wants it.
//
// Owned by the Cluster. Loop's executor only. What should happen is decided by the pure Supervisor;
// this carries it out and reports back what happened.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/callback_scope.h"
#include "base/notices.h"
#include "cluster/forked_worker.h"
#include "cluster/listeners.h"
#include "cluster/primary_settings.h"
#include "cluster/supervisor_loop.h"
#include "cluster/worker_checks.h"
#include "cluster/worker_starts.h"
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
  const Settings& settings() const { return settings_.settings(); }
  void setup(const Settings& settings);
  void disconnect(std::function<void()> done);
  void keep(unsigned count);
  void scale(unsigned count);
  std::optional<Worker> replace(const Worker& worker);
  int reload(const ReloadOptions& options, std::function<void(const RolloutResult&)> done);
  Result<int> rollback();
  void set_policy(ChosenPolicy chosen) { settings_.choose(std::move(chosen)); }
  Policy policy() const { return settings_.policy().policy; }
  void set_weights(SlotBook::Weights weights);
  void set_when_empty(std::optional<std::chrono::milliseconds> hold);
  void set_drain_timeout(std::chrono::milliseconds time) { supervisor_.set_drain_timeout(time); }
  /// The service is to end; the second time at once.
  void terminate();
  ClusterStatus status() const;

  struct {
    Event<const Settings&> setup;
    Event<Worker> fork;
    Event<Worker> online;
    Event<Worker, const Address&> listening;
    Event<const Address&, Policy, std::string_view> policy;
    Event<const RolloutResult&> rollout;
    Event<Worker, const Value&> message;
    Handlers<const Worker&, const Value&, Handle&> handle;  // of messages, with or without one
    Event<Worker> disconnect;
    Event<Worker, const Exit&> exit;
  } events;

 private:
  struct Entry {
    std::shared_ptr<ForkedWorker> worker;  // shared with user handles
    bool in_workers = true;
  };
  // How the last worker with a place ended, for the reason of giving up.
  struct LastDeath {
    int worker;
    std::string who;
    std::size_t slot;
    std::string how;
    std::vector<std::string> stderr_lines;
  };
  // Whom to tell what the user asked for.
  struct Waiting {
    std::vector<std::function<void()>> disconnect;
    bool disconnects = false;                                         // all of them are being told
    std::map<int, std::function<void(const RolloutResult&)>> reload;  // by generation
    std::optional<int> prepares;  // the generation that is not begun
  };
  struct Counters {
    int forks = 0;        // the last one's id
    int generations = 1;  // the last that was to be reached
    std::int64_t messages = 0;
    std::uint64_t exits = 0, deaths = 0;
  };

  // ForkedWorkerOwner
  Listeners& listeners() override { return *listeners_; }
  bool keeps_ports() const override;
  bool goes_on() const override;
  std::int64_t next_seq() override { return counters_.messages++; }
  void worker_online(ForkedWorker& worker) override;
  void worker_listening(ForkedWorker& worker, const Address& address) override;
  void worker_message(ForkedWorker& worker, const Value& message, Handle& handle) override;
  void worker_disconnected(ForkedWorker& worker) override;
  void worker_idle(ForkedWorker& worker) override;
  void worker_exited(ForkedWorker& worker, const Exit& exit) override;
  void worker_failed_to_start(ForkedWorker& worker, const Error& why) override;
  void worker_left(ForkedWorker& worker) override;
  void worker_asks(ForkedWorker& worker, const QueryServer& query) override;
  void worker_closed(ForkedWorker& worker) override;
  void worker_ends(ForkedWorker& worker) override;
  void worker_greets(ForkedWorker& worker) override;
  void worker_follows(ForkedWorker& worker) override;
  bool forget_start(ForkedWorker& worker) override { return starts_.forget(worker.id()); }
  bool leads(const ForkedWorker& worker) const override;

  std::shared_ptr<ForkedWorker> fork_worker(const Environment& env,
                                            std::optional<std::size_t> place, std::size_t slot,
                                            int generation);
  std::set<std::size_t> taken_slots() const;
  std::size_t free_slot(std::optional<std::size_t> wanted = {}) const;
  void tell_places(ClusterStatus& status) const;
  void retire_ports(int worker, bool succeeded);
  void is_well(const Worker& worker, bool now);
  void is_not_well(const Worker& worker, const std::string& why);
  void lives(const Worker& worker);
  Result<void> start(ForkedWorker& worker, const Environment& env, bool keep_stderr,
                     OwnFd channel = {});
  Result<void> start_when_loaded(const std::shared_ptr<ForkedWorker>& worker,
                                 const Environment& env, bool keep_stderr);
  void drop_what_nobody_needs();
  void gone(ForkedWorker& worker, std::optional<process::LeftGroup> left = {},
            bool permanent = false);
  void all_gone();
  void open_listeners();
  void release_ports();

  // The supervisor's actions.
  void carry_out(const SupervisorAction& action);
  void operator()(const action::Fork& wanted);
  void operator()(const action::Release& wanted);
  void operator()(const action::Retire& wanted);
  void operator()(const action::Hold& wanted);
  void operator()(const action::Resume& wanted);
  void operator()(const action::Rest& wanted);
  void operator()(const action::Lead& wanted);
  void operator()(const action::Follow& wanted);
  void operator()(const action::LookWhetherDry& wanted);
  void operator()(const action::End& wanted);
  void operator()(const action::Kill& wanted);
  void operator()(const action::StopArrivals& wanted);
  void operator()(const action::LookForArrivals& wanted);
  void operator()(const action::DisconnectAll& wanted);
  void operator()(const action::KillAll& wanted);
  void operator()(const action::RolloutOver& wanted);
  void operator()(const action::GiveUp& wanted);
  void operator()(const action::Close& wanted);
  void operator()(const action::AllClosed& wanted);
  void operator()(const action::Finish& wanted);
  void prepared(int generation, const ReloadOptions& options, const Result<void>& done);
  void begin(int generation, const ReloadOptions& options);
  bool can_park() const;
  void give_up_preparing(RolloutResult::Outcome outcome, const std::string& why);
  void conclude(const RolloutResult& result);
  void say_with_last_death(Remark reason);
  EndingRules ending_rules(TimePoint start) const;
  std::string why(const RolloutVerdict& verdict) const;

  const Loop loop_;
  const std::shared_ptr<ipc::Calls> calls_;  // for the workers
  const bool may_fork_;
  const std::function<void(int)> finish_;
  PrimarySettings settings_;
  std::unique_ptr<Listeners> listeners_;   // before the workers, which use it
  std::map<int, Entry> workers_;           // every process that lives, by id
  std::map<int, process::GroupEnd> left_;  // of those that have exited, by id
  Counters counters_;
  SupervisorLoop supervisor_;
  Waiting waiting_;
  std::optional<LastDeath> last_death_;
  WorkerChecks checks_;
  WorkerStarts starts_;
  CallbackScope callbacks_;
};

}  // namespace cohort::cluster
