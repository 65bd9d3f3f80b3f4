// What the supervisor may and must do, kept count of independently of it.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "cluster/supervisor.h"
#include "sim/climate.h"

namespace cohort::sim {

class SupervisorReferee {
 public:
  using Actions = std::vector<cluster::SupervisorAction>;

  /// After each step. Throws Violation.
  void check(const cluster::Supervisor& after, const cluster::SupervisorEvent& event,
             const Actions& actions, cluster::TimePoint now);
  bool finished() const { return finished_; }
  /// A worker was ready although none listened: it lived.
  bool saved_by_health() const { return saved_by_health_; }

 private:
  struct Place {
    std::optional<int> worker;
    bool fork_asked = false;
    int deaths = 0;  // in a row
    cluster::TimePoint not_before{};
  };
  struct Live {
    std::optional<std::size_t> place;
    cluster::TimePoint since;
  };

  void happened(const cluster::SupervisorEvent& event, cluster::TimePoint now);
  void exited(int worker, cluster::TimePoint now);
  void notice_health(cluster::TimePoint now);
  void allowed(const cluster::SupervisorAction& action, const cluster::SupervisorEvent& event,
               cluster::TimePoint now);
  void required(const cluster::SupervisorEvent& event, const Actions& actions,
                cluster::TimePoint now);
  void same(const cluster::Supervisor& state) const;
  void wakes_up(const cluster::Supervisor& state, const cluster::SupervisorEvent& event,
                cluster::TimePoint now) const;
  bool running() const { return terminates_ == 0 && !gave_up_; }
  bool hopeless() const { return !ready_ && deaths_ >= cluster::kTriesMax; }
  bool any_placed() const;

  std::vector<Place> places_;
  std::map<int, Live> live_;
  bool ready_ = false;
  bool saved_by_health_ = false;
  int deaths_ = 0;  // of workers with a place, while none had been ready
  int terminates_ = 0;
  bool gave_up_ = false;
  bool killing_ = false;
  bool finished_ = false;
  cluster::TimePoint drain_ends_{};
};

}  // namespace cohort::sim
