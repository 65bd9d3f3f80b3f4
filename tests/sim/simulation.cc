#include "sim/simulation.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "sim/model_primary.h"
#include "sim/rush.h"

namespace cohort::cluster::sim {
namespace {

using namespace std::chrono_literals;

class Simulation {
 public:
  Simulation(const Schedule& schedule, Outcome& outcome)
      : schedule_{schedule}, random_{schedule.seed}, steps_{schedule.steps}, outcome_{outcome} {}

  void run() {
    while (outcome_.step < steps_) one_cluster();
  }

 private:
  void one_cluster();
  void one_step();
  void user_acts();
  void nap();
  void something_happens();
  void run_to_rest();
  void rush();
  bool everybody_acts(int times);
  void settle();
  bool is_served(int listener) const;
  void end();
  // Calls `act` with a worker, if there are any.
  void with_a_worker(unsigned per_mille, const auto& act) {
    if (!random_.chance(per_mille)) return;
    const auto ids = primary_->workers();
    if (!ids.empty()) act(ids[random_.below(ids.size())]);
  }
  void log(const std::string& what) {
    const auto time = std::chrono::duration_cast<std::chrono::milliseconds>(
        primary_ ? primary_->now.time_since_epoch() : 0s);
    outcome_.last_events.push_back(std::to_string(time.count()) + " ms  " + what);
    if (outcome_.last_events.size() > 60 && !schedule_.all_events) outcome_.last_events.pop_front();
  }

  bool is_skipped(int step) const {
    const auto at = static_cast<std::size_t>(step);
    return at < schedule_.skipped.size() && schedule_.skipped[at];
  }

  const Schedule& schedule_;
  Random random_;
  const int steps_;
  Outcome& outcome_;
  Climate* climate_ = nullptr;
  ModelPrimary* primary_ = nullptr;
};

void Simulation::one_cluster() {
  Climate climate{random_};
  ModelPrimary primary{random_, climate, outcome_.coverage,
                       [this](const std::string& what) { log(what); }};
  climate_ = &climate;
  primary_ = &primary;
  log("a new cluster");
  if (random_.chance(900)) primary.keep(1 + static_cast<unsigned>(random_.below(4)));
  const int last = std::min(steps_, outcome_.step + 100 + static_cast<int>(random_.below(4000)));
  while (outcome_.step < last && !primary.finished()) one_step();
  const bool has_time = steps_ > 1000;  // a rush takes ten times as long as a short schedule
  if (!primary.finished() && has_time && random_.chance(500)) rush();
  if (!primary.finished()) settle();
  if (!primary.finished()) end();
  // A handler may still fork, and a late event may come: nothing follows.
  for (int i = 0; i < 30; ++i) one_step();
  climate.clear_up();
  primary.destroy();
  for (const int id : primary.workers()) primary.reap(id);
  require(primary.all_dead(), "every worker's end was told");
  primary_ = nullptr;
}

void Simulation::one_step() {
  random_.begin_again(schedule_.seed, ++outcome_.step);
  if (is_skipped(outcome_.step)) return;
  if (random_.chance(climate_->connect))
    primary_->connect(static_cast<int>(random_.below(kListeners)));
  user_acts();
  if (random_.chance(100)) nap();
  something_happens();
  if (random_.chance(500)) primary_->fire_due_timers();
  if (random_.chance(20)) primary_->wake_up();
  primary_->forget_some_dead();
}

void Simulation::user_acts() {
  if (random_.chance(climate_->keep)) {
    const auto count = static_cast<unsigned>(random_.below(6));
    log("keep " + std::to_string(count));
    primary_->keep(count);
  }
  if (random_.chance(climate_->fork) && primary_->workers().size() < 30) {
    log("the user forks");
    primary_->fork(std::nullopt);
  }
  with_a_worker(climate_->disconnect, [this](int worker) { primary_->disconnect(worker); });
  with_a_worker(climate_->disconnect, [this](int worker) { primary_->replace(worker); });
  if (random_.chance(climate_->keep)) {
    const auto count = static_cast<unsigned>(random_.below(6));
    log("scale to " + std::to_string(count));
    primary_->scale(count);
  }
  if (random_.chance(climate_->reload)) {
    log("reload");
    primary_->reload({.canaries = 1 + static_cast<unsigned>(random_.below(3)),
                      .batch = 1 + static_cast<unsigned>(random_.below(3)),
                      .surge = static_cast<unsigned>(random_.below(4)),
                      .ready_within = std::chrono::milliseconds{1 + random_.below(30000)},
                      .prove = std::chrono::milliseconds{random_.below(8000)},
                      .park = std::chrono::milliseconds{random_.below(2) * random_.below(40000)}});
  }
  if (random_.chance(climate_->reload)) {
    log("rollback");
    if (primary_->supervisor().parked) ++outcome_.coverage.counts["back to who was parked"];
    primary_->rollback();
  }
  with_a_worker(climate_->reload, [this](int worker) {
    log("worker " + std::to_string(worker) + " is unfit");
    primary_->unfit(worker);
  });
  with_a_worker(climate_->kill, [this](int worker) {
    log("worker " + std::to_string(worker) + " is killed");
    primary_->kill(worker);
  });
  with_a_worker(climate_->kill, [this](int worker) {
    log("worker " + std::to_string(worker) + " gets TERM");
    primary_->signal(worker);
  });
  if (random_.chance(climate_->terminate)) {
    log("terminate");
    primary_->terminate();
  }
}

void Simulation::nap() {
  auto until = primary_->now + std::chrono::microseconds{random_.below(20000)};
  if (random_.chance(climate_->long_naps)) {
    const auto timer = primary_->next_timer();
    until = timer && random_.chance(500)
                ? *timer
                : primary_->now + std::chrono::milliseconds{random_.below(15000)};
  }
  primary_->now = std::max(primary_->now, until);
}

void Simulation::something_happens() {
  with_a_worker(1000, [this](int worker) {
    switch (random_.below(3)) {
      case 0:
        if (auto* process = primary_->process(worker)) process->act();
        break;
      case 1:
        primary_->read(worker);
        break;
      default:
        primary_->reap(worker);
    }
  });
}

bool Simulation::everybody_acts(int times) {
  bool any = false;
  for (const int id : primary_->workers()) {
    for (int i = 0; i < times; ++i) {
      if (auto* process = primary_->process(id)) any = process->act() || any;
      any = primary_->read(id) || any;
    }
    any = primary_->reap(id) || any;
  }
  return any;
}

void Simulation::rush() {
  log("a rush");
  climate_->clear_up();
  for (const int id : primary_->workers())
    if (auto* process = primary_->process(id)) process->hang(false);
  Rush rush{random_, *climate_, *primary_};
  for (int round = 0; round < 550 && !primary_->finished(); ++round) {
    primary_->now += 3ms;
    rush.connections_come();
    with_a_worker(5, [this](int worker) { primary_->disconnect(worker); });
    everybody_acts(rush.speed());
    rush.more_connections_come();
    primary_->fire_due_timers();
    rush.watch();
  }
  ++outcome_.coverage.counts["rushed"];
}

// Lets everything happen that will, timers included, until nothing does. It has to come to that.
void Simulation::run_to_rest() {
  constexpr int kIdleRounds = 15;  // several, since a process does not always do what it could
  int idle_rounds = 0;
  for (int round = 0; idle_rounds < kIdleRounds && !primary_->finished(); ++round) {
    require(round < 40000, "it comes to rest");
    bool any = everybody_acts(1);
    any = primary_->fire_due_timers() || any;
    primary_->forget_some_dead();
    if (any) {
      idle_rounds = 0;
    } else if (++idle_rounds == kIdleRounds) {
      const auto timer = primary_->next_timer();
      if (!timer) return;
      primary_->now = std::max(primary_->now, *timer);
      idle_rounds = kIdleRounds - 4;
    }
  }
}

// The storm is over: everything that waits for something gets it.
void Simulation::settle() {
  log("the storm is over");
  climate_->clear_up();
  for (const int id : primary_->workers())
    if (auto* process = primary_->process(id)) process->hang(false);
  run_to_rest();
  if (primary_->finished()) return;
  require(primary_->supervisor().phase == Supervisor::Phase::Running,
          "what began to end has ended");
  require(primary_->is_complete(), "every place has its worker again");
  require(!primary_->supervisor().rollout, "a rollout comes to its end");
  require(!primary_->supervisor().parked, "nobody is parked for ever");
  for (int listener = 0; listener < kListeners; ++listener)
    require(!is_served(listener) || (!primary_->connections().any_waits(listener) &&
                                     !primary_->connections().any_unanswered(listener)),
            "every connection was served");
  ++outcome_.coverage.counts["settled"];
}

// Somebody can be handed its connections, and none has to wait for his own worker.
bool Simulation::is_served(int listener) const {
  const PortClimate& port = climate_->ports[static_cast<std::size_t>(listener)];
  const bool moves = !port.has_slots || port.rules.rescue_after;
  return moves && !primary_->ports().takers(listener).empty();
}

void Simulation::end() {
  const bool some_hang = random_.chance(300);
  for (const int id : primary_->workers())
    if (auto* process = primary_->process(id)) process->hang(some_hang && random_.chance(300));
  std::vector<int> served;
  for (int listener = 0; listener < kListeners; ++listener)
    if (is_served(listener)) served.push_back(listener);
  for (int i = 0; i < 10 && !served.empty(); ++i)
    primary_->connect(served[random_.below(served.size())]);
  if (!some_hang) primary_->expect_good_end(served);
  const auto asked = primary_->now;
  log("terminate, at rest");
  primary_->terminate();
  run_to_rest();
  require(primary_->finished(), "a cluster that was told to end ends");
  require(primary_->now - asked <= climate_->drain_timeout, "it ends in time");
}

}  // namespace

Outcome simulate(const Schedule& schedule) {
  Outcome outcome;
  try {
    Simulation{schedule, outcome}.run();
  } catch (const Violation& violation) {
    outcome.violation = violation.what();
  }
  return outcome;
}

}  // namespace cohort::cluster::sim
