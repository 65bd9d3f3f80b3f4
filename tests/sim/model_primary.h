// A primary for the simulation: it carries out what the pure core decides, on virtual processes, as
// the real one does on real ones. Referees look over its shoulder and throw Violation.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/ending.h"
#include "cluster/supervisor_queue.h"
#include "cluster/worker_life.h"
#include "sim/climate.h"
#include "sim/connection_referee.h"
#include "sim/coverage.h"
#include "sim/leader_referee.h"
#include "sim/life_referee.h"
#include "sim/model_ports.h"
#include "sim/random.h"
#include "sim/supervisor_referee.h"
#include "sim/virtual_process.h"

namespace cohort::cluster::sim {

class ModelPrimary : private Kernel {
 public:
  struct ModelWorker;

  ModelPrimary(Random& random, const Climate& climate, Coverage& coverage,
               std::function<void(std::string)> log);
  ~ModelPrimary();

  TimePoint now{std::chrono::seconds{1}};

  // The user.
  void keep(unsigned count);
  /// `beside`: the slot of the worker that it is to succeed there.
  int fork(std::optional<std::size_t> place, int generation = 1,
           std::optional<std::size_t> beside = {});
  void disconnect(int worker);
  void scale(unsigned count) { tell(event::Scale{count}); }
  void replace(int worker) { tell(event::Replace{worker}); }
  void reload(const RolloutPlan& plan) { tell(event::Reload{{++generations_, plan}}); }
  void rollback() { tell(event::Rollback{}); }
  void unfit(int worker) { tell(event::Unfit{worker}); }
  void kill(int worker);
  void signal(int worker);
  void terminate();

  // The world. Each returns false if there was nothing to do.
  /// Who has the slot that it came to.
  std::optional<int> connect(int listener) { return ports_.connect(listener); }
  /// Reads one message, or the end, of a worker's channel.
  bool read(int worker);
  /// Learns of a process's death, or of a start that failed.
  bool reap(int worker);
  bool fire_due_timers();
  /// A timer that was cancelled too late, or any other moment.
  void wake_up() { tell(event::TimePassed{}); }
  std::optional<TimePoint> next_timer() const;
  void destroy();  ///< As the program ends.
  /// The user drops his handles to them.
  void forget_some_dead();

  std::vector<int> workers() const;
  VirtualProcess* process(int worker);
  const ConnectionReferee& connections() const { return connections_; }
  const ModelPorts& ports() const { return ports_; }
  const Supervisor& supervisor() const { return supervisor_.state(); }
  /// It may be handed connections, and answers.
  bool is_at_work(int worker) const;
  /// From now on whoever is well ends in time, and what arrived at these listeners is served.
  void expect_good_end(const std::vector<int>& listeners);
  bool finished() const { return supervisor_referee_.finished(); }
  /// Every place has its worker, or is closed.
  bool is_complete() const;
  bool all_dead() const;

 private:
  // Kernel
  TimePoint time() const override { return now; }
  std::optional<ConnectionId> accept(int worker, int listener) override;
  void touched(ConnectionId connection) override { connections_.touched(connection); }
  TimePoint request_at(ConnectionId connection) const override;
  void unread(ConnectionId connection, int worker, TimePoint request_at, bool well) override;

  void tell(const SupervisorEvent& event);
  void decided(const SupervisorEvent& event, const std::vector<SupervisorAction>& actions);
  void carry_out(const SupervisorAction& action);
  void handle(ModelWorker& worker, WorkerEvent event);
  void carry_out(ModelWorker& worker, std::uint16_t actions);
  void received(ModelWorker& worker, const FromWorker& message);
  void start(ModelWorker& worker);
  void gone(ModelWorker& worker);

  // One worker, as its ForkedWorker.
  void ask_to_end(ModelWorker& worker);
  bool is_settled(const ModelWorker& worker) const;
  void look_whether_settled(ModelWorker& worker);
  void end(ModelWorker& worker, TimePoint start);
  bool look_at_ending(ModelWorker& worker);
  EndingFacts ending_facts(const ModelWorker& worker) const;
  void channel_closed(ModelWorker& worker, WorkerEvent event);
  void look_whether_idle(ModelWorker& worker);
  bool fire_due_timers(ModelWorker& worker);
  std::optional<TimePoint> next_timer(const ModelWorker& worker) const;
  void hand_off(int worker, int listener, std::vector<ConnectionId> held,
                std::vector<ConnectionId> connections);
  void probe(int worker);
  void query(ModelWorker& worker, int listener);
  void retire_ports(int worker, bool succeeded);
  void answer(ModelWorker& worker, const FromWorker& message);
  std::size_t free_slot(std::optional<std::size_t> wanted) const;
  bool keeps_ports() const;
  void begin_draining();
  void tell_to_lead(int worker);

  Random& random_;
  const Climate& climate_;
  Coverage& coverage_;
  std::function<void(std::string)> log_;
  SupervisorReferee supervisor_referee_;
  LeaderReferee leader_referee_;
  SupervisorQueue supervisor_;
  std::deque<SupervisorEvent> told_;  // and not decided on
  bool carries_out_ = false;
  Supervisor::Phase phase_before_ = Supervisor::Phase::Running;
  ConnectionReferee connections_;
  std::map<int, std::unique_ptr<ModelWorker>> workers_;
  ModelPorts ports_;
  std::map<int, TimePoint> left_;  // by workers that exited, until then
  int last_worker_ = 0;
  int generations_ = 1;
  TimePoint lets_in_since_{};
  bool expects_good_end_ = false;
  std::map<int, std::size_t> resets_before_;  // by listener
};

}  // namespace cohort::cluster::sim
