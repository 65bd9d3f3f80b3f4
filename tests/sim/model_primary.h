// A primary for the simulation: it carries out what the pure core decides, on virtual processes, as
// the real one does on real ones. Referees look over its shoulder and throw Violation.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cluster/dispatcher.h"
#include "cluster/supervisor.h"
#include "cluster/worker_life.h"
#include "sim/climate.h"
#include "sim/connection_referee.h"
#include "sim/life_referee.h"
#include "sim/random.h"
#include "sim/supervisor_referee.h"
#include "sim/virtual_process.h"

namespace cohort::cluster::sim {

/// What the runs visited, to prove that they are worth something.
struct Coverage {
  std::set<std::pair<WorkerState, WorkerEvent>> cells;
  std::set<std::pair<Supervisor::Phase, std::size_t>> phases;  ///< and event's index
  std::map<std::string, int> counts;
};

class ModelPrimary {
 public:
  struct ModelWorker;

  ModelPrimary(Random& random, const Climate& climate, Coverage& coverage,
               std::function<void(std::string)> log);
  ~ModelPrimary();

  TimePoint now{std::chrono::seconds{1}};

  // The user.
  void keep(unsigned count);
  int fork(std::optional<std::size_t> place);
  void disconnect(int worker);
  void replace(int worker) { tell(event::Replace{worker}); }
  void kill(int worker);
  void terminate();

  // The world. Each returns false if there was nothing to do.
  void connect(int listener);
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
  const Supervisor& supervisor() const { return supervisor_; }
  bool finished() const { return supervisor_referee_.finished(); }
  /// Every place has its worker.
  bool is_complete() const;
  bool all_dead() const;

 private:
  struct ModelListener {
    bool open = false;
    bool released = false;
    int last_user = 0;
    std::set<int> users{};
    Dispatcher dispatcher{};
    std::optional<TimePoint> retry{};
  };

  void tell(const SupervisorEvent& event);
  void carry_out(const SupervisorAction& action);
  void handle(ModelWorker& worker, WorkerEvent event);
  void carry_out(ModelWorker& worker, std::uint16_t actions);
  void received(ModelWorker& worker, const FromWorker& message);
  void look_whether_settled(ModelWorker& worker);
  void gone(ModelWorker& worker);

  void query(ModelWorker& worker, int listener);
  void answer(ModelWorker& worker, const FromWorker& message);
  bool any_waiting() const;
  bool keeps_ports() const;
  bool uses_any(int worker) const;
  void retire(int worker, int listener);
  void release_closed(int worker);
  void lose(int worker);
  void pump(int listener);
  void release_if_unused(int listener);
  void close(int listener);

  Random& random_;
  const Climate& climate_;
  Coverage& coverage_;
  std::function<void(std::string)> log_;
  Supervisor supervisor_;
  std::deque<SupervisorEvent> events_;  // the first is being carried out
  bool arrivals_stopped_ = false;
  SupervisorReferee supervisor_referee_;
  ConnectionReferee connections_;
  std::map<int, std::unique_ptr<ModelWorker>> workers_;
  std::array<ModelListener, kListeners> listeners_;
  std::map<int, TimePoint> left_;  // by workers that exited, until then
  int last_worker_ = 0;
};

}  // namespace cohort::cluster::sim
