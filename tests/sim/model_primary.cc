#include <algorithm>
#include <utility>

#include "sim/model_worker.h"

namespace cohort::cluster::sim {

namespace {
constexpr std::chrono::milliseconds kHeedsTermWithin{20};

int worker_of(const SupervisorEvent& event) {
  return std::visit(
      [](const auto& one) {
        if constexpr (requires { one.worker; }) return one.worker;
        return 0;
      },
      event);
}

}  // namespace

ModelPrimary::ModelPrimary(Random& random, const Climate& climate, Coverage& coverage,
                           std::function<void(std::string)> log)
    : random_{random},
      climate_{climate},
      coverage_{coverage},
      log_{std::move(log)},
      supervisor_{{.now = [this] { return now; },
                   .carry_out =
                       [this](const SupervisorAction& action) {
                         require(!std::exchange(carries_out_, true),
                                 "what happens while actions are carried out comes after them");
                         carry_out(action);
                         carries_out_ = false;
                       },
                   .decided = [this](const SupervisorEvent& event,
                                     const auto& actions) { decided(event, actions); }}},
      ports_{random,
             climate,
             coverage,
             connections_,
             now,
             {.hand_off =
                  [this](int worker, int listener, auto held, auto connections) {
                    hand_off(worker, listener, std::move(held), std::move(connections));
                  },
              .probe = [this](int worker) { probe(worker); }}} {
  supervisor_.set_drain_timeout(climate.drain_timeout);
}

ModelPrimary::~ModelPrimary() = default;

// The user.

void ModelPrimary::keep(unsigned count) { tell(event::Keep{count}); }

int ModelPrimary::fork(std::optional<std::size_t> place, int generation,
                       std::optional<std::size_t> beside) {
  const int id = ++last_worker_;
  const bool starts = !random_.chance(climate_.spawn_fails);
  const std::size_t slot = beside ? *beside : free_slot(place);
  auto& worker =
      *workers_.emplace(id, std::make_unique<ModelWorker>(id, slot, starts)).first->second;
  worker.waits = random_.chance(climate_.waits);
  if (starts && !worker.waits) start(worker);
  for (const auto& [other, live] : supervisor().live)
    if (place && live.left == place && live.ends)
      require(!ports_.serves_any(other), "a place has one owner of its traffic");
  tell(event::Forked{id, place, generation, random_.chance(climate_.says_ready), worker.waits});
  return id;
}

void ModelPrimary::start(ModelWorker& worker) {
  worker.process =
      std::make_unique<VirtualProcess>(random_, climate_, static_cast<Kernel&>(*this), worker.id);
}

void ModelPrimary::disconnect(int worker) {
  handle(*workers_.at(worker), WorkerEvent::DisconnectAsked);
}

void ModelPrimary::kill(int worker) {
  if (auto* victim = process(worker)) victim->die();
  if (const auto found = workers_.find(worker); found != workers_.end() && found->second->waits)
    found->second->given_up = true;
}

void ModelPrimary::signal(int worker) {
  if (auto* process = this->process(worker)) process->signal();
}

void ModelPrimary::terminate() { tell(event::Terminate{}); }

// The supervisor.

void ModelPrimary::tell(const SupervisorEvent& event) {
  told_.push_back(event);
  supervisor_.tell(event);
}

void ModelPrimary::decided(const SupervisorEvent& event,
                           const std::vector<SupervisorAction>& actions) {
  require(!told_.empty() && told_.front().index() == event.index() &&
              worker_of(told_.front()) == worker_of(event),
          "events are carried out in their order");
  told_.pop_front();
  coverage_.phases.emplace(phase_before_, event.index());
  phase_before_ = supervisor().phase;
  supervisor_referee_.check(supervisor(), event, actions, now);
  leader_referee_.check(supervisor(), event, actions, now);
}

void ModelPrimary::carry_out(const SupervisorAction& action) {
  if (const auto* fork_action = std::get_if<action::Fork>(&action)) {
    log_("fork for place " + std::to_string(fork_action->place));
    const bool succeeds = fork_action->beside && supervisor().places[fork_action->place].succeeds;
    if (fork_action->beside)
      ++coverage_.counts[succeeds ? "succeeded in its slot" : "succeeded beside"];
    if (succeeds)
      fork(fork_action->place, fork_action->generation, workers_.at(*fork_action->beside)->slot);
    else
      fork(fork_action->place, fork_action->generation);
  } else if (const auto* release = std::get_if<action::Release>(&action)) {
    ++coverage_.counts["closed for good"];
    ports_.release_closed(release->worker);
  } else if (const auto* retired = std::get_if<action::Retire>(&action)) {
    log_("retire worker " + std::to_string(retired->worker));
    retire_ports(retired->worker, retired->succeeded);
  } else if (const auto* held = std::get_if<action::Hold>(&action)) {
    log_("hold worker " + std::to_string(held->worker));
    ports_.hold(held->worker);
  } else if (const auto* resumed = std::get_if<action::Resume>(&action)) {
    log_("resume worker " + std::to_string(resumed->worker));
    ++coverage_.counts["resumed"];
    ports_.resume(resumed->worker,
                  workers_.at(resumed->worker)->of_cohort() ? climate_.credits : 1);
  } else if (const auto* parked = std::get_if<action::Rest>(&action)) {
    log_("rest worker " + std::to_string(parked->worker));
    ++coverage_.counts["rests"];
  } else if (const auto* lead = std::get_if<action::Lead>(&action)) {
    tell_to_lead(lead->worker);
  } else if (const auto* follow = std::get_if<action::Follow>(&action)) {
    log_("worker " + std::to_string(follow->worker) + " is to lead no more");
    if (auto* leader = process(follow->worker)) leader->receive({ToWorker::Kind::Follow});
  } else if (const auto* over = std::get_if<action::RolloutOver>(&action)) {
    log_("generation " + std::to_string(over->verdict.generation) + " is over");
    static constexpr const char* kEnds[] = {
        "rollout reached",       "rollout undone: died",       "rollout undone: not ready",
        "rollout undone: unfit", "rollout undone: superseded", "rollout stopped",
        "rollout taken back"};
    ++coverage_.counts[kEnds[static_cast<int>(over->verdict.end)]];
  } else if (const auto* look = std::get_if<action::LookWhetherDry>(&action)) {
    if (random_.chance(500)) tell(event::Dry{look->worker});
  } else if (const auto* end = std::get_if<action::End>(&action)) {
    log_("end worker " + std::to_string(end->worker));
    static constexpr const char* kWhys[] = {
        "ended since it serves nothing",     "ended in a crowd",
        "ended since one came back",         "replaced",
        "ended since its rollout is undone", "ended since its place is no more"};
    ++coverage_.counts[kWhys[static_cast<int>(end->why)]];
    this->end(*workers_.at(end->worker), now);
  } else if (const auto* killed = std::get_if<action::Kill>(&action)) {
    log_("kill worker " + std::to_string(killed->worker));
    ++coverage_.counts["killed, since it did not end"];
    require(workers_.at(killed->worker)->ending_referee.may_be_killed(now),
            "nobody is killed before the grace time is over");
    kill(killed->worker);
  } else if (std::holds_alternative<action::StopArrivals>(action)) {
    log_("stop arrivals");
    lets_in_since_ = now;
    if (!ports_.stop_arrivals()) tell(event::NothingArrives{});
  } else if (std::holds_alternative<action::LookForArrivals>(action)) {
    ++coverage_.counts["let in"];
    if (!ports_.any_waiting()) tell(event::NothingArrives{});
  } else if (std::holds_alternative<action::DisconnectAll>(action)) {
    log_("disconnect all");
    begin_draining();
  } else if (std::holds_alternative<action::KillAll>(action)) {
    log_("kill all");
    ++coverage_.counts["killed all"];
    for (const int id : workers())
      if (auto* victim = process(id); victim != nullptr && victim->alive())
        require(!expects_good_end_ || !victim->is_well(), "whoever is well ends in time");
    for (const int id : workers()) kill(id);
    for (auto& [id, ends_at] : left_) ends_at = now;
  } else if (std::holds_alternative<action::GiveUp>(action)) {
    log_("give up");
    ++coverage_.counts["gave up"];
  } else if (const auto* close = std::get_if<action::Close>(&action)) {
    log_("a place is closed by worker " + std::to_string(close->worker));
    ++coverage_.counts["closed a place"];
  } else if (std::holds_alternative<action::AllClosed>(action)) {
    log_("all places are closed");
    ++coverage_.counts["closed all"];
  } else {
    require(std::holds_alternative<action::Finish>(action), "every action is carried out");
    log_("finish");
    ++coverage_.counts["finished"];
    if (supervisor_referee_.saved_by_health()) ++coverage_.counts["saved by health"];
    ports_.close_all();
    for (const auto& [listener, before] : resets_before_)
      require(connections_.resets(listener) == before, "what has arrived is served");
    require(connections_.all_settled(), "no connection outlives the cluster");
  }
}

void ModelPrimary::tell_to_lead(int worker) {
  log_("worker " + std::to_string(worker) + " is to lead");
  ++coverage_.counts["leads"];
  for (const auto& [id, other] : workers_)
    require(!other->process || !other->process->may_lead(), "two never lead");
  if (auto* leader = process(worker)) leader->receive({ToWorker::Kind::Lead});
}

// One worker's life.

void ModelPrimary::handle(ModelWorker& worker, WorkerEvent event) {
  coverage_.cells.emplace(worker.state, event);
  log_("worker " + std::to_string(worker.id) + " (" + to_string(worker.state) +
       "): " + to_string(event));
  const auto [next, actions] = step(worker.state, event);
  worker.referee.check(event, actions);
  worker.state = next;
  carry_out(worker, actions);
}

void ModelPrimary::carry_out(ModelWorker& worker, std::uint16_t actions) {
  if ((actions & kKill) != 0) worker.process->die();
  if ((actions & kReleasePorts) != 0) {
    ports_.retire(worker.id, !keeps_ports());
    tell(event::Closed{worker.id, ports_.uses_any(worker.id)});
    tell(event::Ends{worker.id});
  }
  if ((actions & kLosePorts) != 0) {
    ports_.lose(worker.id);
    tell(event::Closed{worker.id, ports_.uses_any(worker.id)});
  }
  if ((actions & kAnswerExiting) != 0) worker.process->receive({ToWorker::Kind::ExitingAnswer});
  if ((actions & kLeaveWorkers) != 0) worker.in_workers = false;
  if ((actions & kSettle) != 0) ask_to_end(worker);
  if ((actions & kEmitListening) != 0) tell(event::Ready{worker.id});
  if ((actions & kCloseChannel) != 0) worker.channel_open = false;
  if ((actions & kEmitExit) != 0) require(!worker.in_workers, "who has exited is not in workers()");
  if ((actions & kEmitExit) != 0 && random_.chance(climate_.fork_on_exit)) {
    log_("a handler forks on exit");
    fork(std::nullopt);
  }
  if ((actions & kSendDisconnect) != 0 && worker.process) {
    worker.settling.stop();
    worker.process->receive({ToWorker::Kind::Disconnect});
  }
}

bool ModelPrimary::read(int id) {
  ModelWorker& worker = *workers_.at(id);
  if (!worker.process || !worker.channel_open) return false;
  auto& sent = worker.process->sent;
  if (sent.empty()) {
    if (worker.process->channel_open()) return false;
    worker.channel_open = false;
    channel_closed(worker, WorkerEvent::ChannelClosed);
    return true;
  }
  const FromWorker message = sent.front();
  sent.pop_front();
  worker.has_spoken = true;
  received(worker, message);
  return true;
}

void ModelPrimary::received(ModelWorker& worker, const FromWorker& message) {
  switch (message.kind) {
    case FromWorker::Kind::Online:
      if (worker.process->kind() != VirtualProcess::Kind::Node) tell(event::Greeted{worker.id});
      return handle(worker, WorkerEvent::SaidOnline);
    case FromWorker::Kind::Follows:
      return tell(event::Followed{worker.id});
    case FromWorker::Kind::Query:
      return query(worker, message.listener);
    case FromWorker::Kind::Listening:
      worker.said_listening = true;
      return handle(worker, WorkerEvent::SaidListening);
    case FromWorker::Kind::CloseServer:
      ports_.close(worker.id, message.listener, !keeps_ports());
      return tell(event::Closed{worker.id, ports_.uses_any(worker.id)});
    case FromWorker::Kind::Leaving:
      return tell(event::Ends{worker.id});
    case FromWorker::Kind::Exiting:
      return handle(worker, WorkerEvent::SaidExiting);
    case FromWorker::Kind::Answer:
      return answer(worker, message);
    case FromWorker::Kind::Room:
      return ports_.has_room(worker.id, message.listener);
    case FromWorker::Kind::Garbage:
      return channel_closed(worker, WorkerEvent::ProtocolViolated);
  }
}

bool ModelPrimary::reap(int id) {
  ModelWorker& worker = *workers_.at(id);
  if (worker.referee.over() || (worker.process && worker.process->alive())) return false;
  if (std::exchange(worker.waits, false) && worker.referee.starts()) {
    if (worker.state != WorkerState::Spawned || worker.given_up) {
      ++coverage_.counts["ended before it was started"];
      worker.referee.never_starts();
    } else {
      ++coverage_.counts["started late"];
      start(worker);
      tell(event::Started{id});
      return true;
    }
  }
  if (!worker.process) {
    handle(worker, WorkerEvent::SpawnFailed);
  } else {
    while (worker.channel_open && !worker.process->sent.empty()) read(id);
    // Its end of the channel may be open still: a grandchild holds it.
    if (random_.chance(500)) read(id);
    worker.unanswered.clear();
    worker.settling.stop();
    worker.ending.reset();
    handle(worker, WorkerEvent::Exited);
  }
  gone(worker);
  return true;
}

void ModelPrimary::gone(ModelWorker& worker) {
  require(worker.referee.over(), "who is gone was told of");
  require(worker.state == WorkerState::Dead, "who is gone is dead");
  require(!worker.in_workers, "who is gone is not in workers()");
  require(!ports_.uses_any(worker.id), "who is gone uses no port");
  worker.ending.reset();
  worker.idle_look.reset();
  const bool leaves_some = worker.process && random_.chance(climate_.leaves_some);
  const bool permanent =
      worker.process && worker.process->is_permanent() && !worker.referee.on_purpose();
  worker.process.reset();
  // Some heed TERM, the others are killed when the grace is over.
  if (leaves_some)
    left_[worker.id] = now + (random_.chance(500) ? climate_.drain_timeout : kHeedsTermWithin);
  tell(event::Exited{worker.id, leaves_some, permanent});
}

void ModelPrimary::forget_some_dead() {
  for (auto next = workers_.begin(); next != workers_.end() && workers_.size() > 20;)
    next = next->second->state == WorkerState::Dead ? workers_.erase(next) : std::next(next);
}

// Time.

std::optional<TimePoint> ModelPrimary::next_timer() const {
  auto next = next_wakeup(supervisor());
  const auto sooner = [&next](std::optional<TimePoint> at) {
    if (at && (!next || *at < *next)) next = at;
  };
  for (const auto& [id, ends_at] : left_) sooner(ends_at);
  for (const auto& [id, worker] : workers_) sooner(next_timer(*worker));
  sooner(ports_.next_timer());
  return next;
}

bool ModelPrimary::fire_due_timers() {
  bool any = false;
  for (auto next = left_.begin(); next != left_.end();) {
    const auto [id, ends_at] = *next++;
    if (ends_at > now) continue;
    any = true;
    left_.erase(id);
    tell(event::Vanished{id});
  }
  if (const auto at = next_wakeup(supervisor()); at && *at <= now) {
    any = true;
    tell(event::TimePassed{});
  }
  for (const int id : workers())
    if (const auto found = workers_.find(id); found != workers_.end())
      any = fire_due_timers(*found->second) || any;
  return ports_.fire_due_timers() || any;
}

void ModelPrimary::destroy() {
  for (const int id : workers()) kill(id);
}

std::vector<int> ModelPrimary::workers() const {
  std::vector<int> ids;
  ids.reserve(workers_.size());
  for (const auto& [id, worker] : workers_) ids.push_back(id);
  return ids;
}

VirtualProcess* ModelPrimary::process(int worker) {
  const auto found = workers_.find(worker);
  return found == workers_.end() ? nullptr : found->second->process.get();
}

bool ModelPrimary::is_complete() const {
  const auto& places = supervisor().places;
  return std::all_of(places.begin(), places.end(), [this](const auto& place) {
    return place.worker.has_value() || is_closed(supervisor(), place);
  });
}

bool ModelPrimary::all_dead() const {
  return std::all_of(workers_.begin(), workers_.end(),
                     [](const auto& entry) { return entry.second->state == WorkerState::Dead; });
}

}  // namespace cohort::cluster::sim
