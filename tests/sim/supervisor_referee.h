// What the supervisor may and must do, kept count of independently of it.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "cluster/supervisor.h"
#include "sim/climate.h"

namespace cohort::cluster::sim {

class SupervisorReferee {
 public:
  using Actions = std::vector<SupervisorAction>;

  /// After each step. Throws Violation.
  void check(const Supervisor& after, const SupervisorEvent& event, const Actions& actions,
             TimePoint now);
  bool finished() const { return finished_; }
  /// A worker was ready although none listened: it lived.
  bool saved_by_health() const { return saved_by_health_; }

 private:
  struct Place {
    std::optional<int> worker;
    bool fork_asked = false;
    int deaths = 0;  // in a row
    TimePoint not_before{};
    std::vector<int> heirless{};  // who had it and used ports, since the last healthy one
    bool succession_asked = false;
    std::optional<int> successor{};  // until it has the place
    int generation = 1;              // of who is forked for it while it is vacant
    bool closed = false;             // for the generation that serves
  };
  struct Live {
    std::optional<std::size_t> place;
    TimePoint since;
    bool ready = false;
    bool ends = false;
    bool accepts = false;
    bool used = false;
    bool idle = false;
    bool asked = false;
    TimePoint opened{};
    bool briefly = false;
    std::optional<TimePoint> closed{};
    std::optional<std::size_t> left{};
    std::optional<TimePoint> dies{};
    std::optional<TimePoint> retired{};  // since when
    TimePoint looks_at{};
    int generation = 1;
    bool says_ready = false;
    bool held = false;
    bool rests = false;
    bool lived = false;  // long enough to count in its rollout, when that was looked at
  };

  void happened(const SupervisorEvent& event, TimePoint now);
  void exited(const event::Exited& event, TimePoint now);
  void ports_changed(const SupervisorEvent& event, TimePoint now);
  void consider(int worker, Live& live, TimePoint now);
  // Of places that are closed.
  void closes(int worker, const Live& live);
  bool is_closed(const Place& place) const;
  bool all_closed() const;
  void closed_go_first(std::size_t count);
  void has_place(std::size_t at, int worker, const Live& live);
  bool is_retired_from_closed(int worker);
  bool is_released_by_closed(int worker);
  void is_said_to_be_closed(int worker);
  void ends_by_itself(TimePoint now);
  void watch_closed() const;
  void vacated(std::size_t place, int worker, const Live& live, TimePoint now);
  void came_back(int worker, Live& live, TimePoint now);
  void must_end(int worker, TimePoint now);
  void forked(const event::Forked& event, TimePoint now);
  void asked_to_replace(int worker);
  bool may_be_replaced(int worker) const;
  void scaled(std::size_t count, TimePoint now);
  void ready(int worker, TimePoint now);
  void inherits(std::size_t place, TimePoint now);
  void retires_worker_of(std::size_t place, TimePoint now);
  std::optional<TimePoint> takes_over_at(const Place& place) const;
  void bequeath(std::size_t place, int worker, const Live& live);
  void time_passed(TimePoint now);
  void crowds_thin(TimePoint now);
  bool is_crowded(std::size_t place) const;
  std::optional<int> one_too_many(std::size_t place) const;
  void closed_place_thins(int worker, TimePoint now);
  void notice_health(TimePoint now);
  void allowed(const SupervisorAction& action, const SupervisorEvent& event, TimePoint now);
  // Of rollouts: what they do is allowed or not, and taken over.
  void forks_beside(const action::Fork& fork);
  void forks_of_another_generation(Place& place, int generation, TimePoint now);
  void holds(int worker);
  void resumes(int worker, TimePoint now);
  void rests(int worker);
  static bool has_lived(const Live& live, TimePoint now);
  void retires(int worker, TimePoint now);
  bool may_end_held(TimePoint now) const;
  void wants_back(TimePoint now);
  bool any_held() const;
  std::size_t surplus_of_rollout() const;
  void drops_successor(int worker, TimePoint now);
  void is_over(const RolloutVerdict& verdict, const SupervisorEvent& event, TimePoint now);
  void watch_rollout(const SupervisorEvent& event, TimePoint now);
  bool rolled_out(const Live& live) const;
  bool is_complete(int generation, TimePoint now) const;
  void required(const SupervisorEvent& event, const Actions& actions, TimePoint now);
  void same(const Supervisor& state) const;
  void wakes_up(const Supervisor& state, const SupervisorEvent& event, TimePoint now) const;
  bool running() const { return terminates_ == 0 && !gave_up_; }
  bool hopeless() const { return !ready_ && deaths_ >= kTriesMax; }
  bool any_placed() const;
  bool anybody() const { return !live_.empty() || !left_.empty(); }

  std::vector<Place> places_;
  std::map<int, Live> live_;
  // In the step that is checked: whose ports are closed, and who is told to end, or killed.
  std::multiset<int> released_;
  std::set<int> ended_, killed_, succeeded_, surplus_, displaced_;
  std::optional<Rollout> rollout_before_, rollout_;
  bool must_be_undone_ = false;
  std::optional<Parked> parked_before_, parked_;
  bool goes_back_ = false;  // in the step that is checked
  int wishes_ = 0, wishes_before_ = 0;
  std::set<int> over_, wanted_back_, unfit_;  // generations; workers
  int generation_ = 1, generation_before_ = 1;
  std::optional<TimePoint> complete_since_;  // every place has one that serves, of the rollout
  std::optional<int> replaced_;
  bool comes_back_ = false;
  std::set<int> left_;
  bool ready_ = false;
  bool saved_by_health_ = false;
  int deaths_ = 0;  // of workers with a place, while none had been ready
  int terminates_ = 0;
  bool gave_up_ = false;
  bool all_closed_ = false;
  bool untold_ = false;  // it ends by itself, and nobody has asked for it
  // In this step: who closed a place, and which, if that is to be said.
  std::optional<int> closer_;
  std::optional<std::size_t> to_be_said_;
  bool killing_ = false;
  bool finished_ = false;
  TimePoint drain_ends_{};
  bool letting_in_ = false;
  TimePoint looks_at_{}, lets_in_until_{};
  Duration grace_{};
};

}  // namespace cohort::cluster::sim
