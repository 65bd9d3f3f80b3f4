#include "sim/model_primary.h"

#include <algorithm>
#include <utility>

namespace cohort::cluster::sim {

namespace {
constexpr std::chrono::milliseconds kHeedsTermWithin{20};
}  // namespace

struct ModelPrimary::ModelWorker {
  ModelWorker(int number, bool starts) : id{number}, referee{starts} {}

  int id;
  WorkerState state = WorkerState::Spawned;
  LifeReferee referee;
  std::unique_ptr<VirtualProcess> process;  // none if it failed to start
  bool channel_open = true;                 // our end
  bool in_workers = true;
  std::set<ConnectionId> unanswered{};
};

ModelPrimary::ModelPrimary(Random& random, const Climate& climate, Coverage& coverage,
                           std::function<void(std::string)> log)
    : random_{random}, climate_{climate}, coverage_{coverage}, log_{std::move(log)} {
  supervisor_.drain_timeout = climate.drain_timeout;
}

ModelPrimary::~ModelPrimary() = default;

// The user.

void ModelPrimary::keep(unsigned count) { tell(event::Keep{count}); }

int ModelPrimary::fork(std::optional<std::size_t> place) {
  const int id = ++last_worker_;
  const bool starts = !random_.chance(climate_.spawn_fails);
  auto& worker = *workers_.emplace(id, std::make_unique<ModelWorker>(id, starts)).first->second;
  if (starts)
    worker.process = std::make_unique<VirtualProcess>(
        random_, climate_, [this](ConnectionId connection) { connections_.touched(connection); });
  for (const auto& [other, live] : supervisor_.live)
    if (place && live.left == place && live.ends)
      require(!uses_any(other), "a place has one owner of its traffic");
  tell(event::Forked{id, place});
  return id;
}

void ModelPrimary::disconnect(int worker) {
  handle(*workers_.at(worker), WorkerEvent::DisconnectAsked);
}

void ModelPrimary::kill(int worker) {
  if (auto* victim = process(worker)) victim->die();
}

void ModelPrimary::terminate() { tell(event::Terminate{}); }

// The supervisor.

void ModelPrimary::tell(const SupervisorEvent& event) {
  events_.push_back(event);
  if (events_.size() > 1) return;
  while (!events_.empty()) {
    coverage_.phases.emplace(supervisor_.phase, events_.front().index());
    const auto actions = step(supervisor_, events_.front(), now);
    supervisor_referee_.check(supervisor_, events_.front(), actions, now);
    for (const auto& action : actions) carry_out(action);
    events_.pop_front();
  }
}

void ModelPrimary::carry_out(const SupervisorAction& action) {
  if (const auto* fork_action = std::get_if<action::Fork>(&action)) {
    log_("fork for place " + std::to_string(fork_action->place));
    if (fork_action->beside) ++coverage_.counts["succeeded beside"];
    fork(fork_action->place);
  } else if (const auto* release = std::get_if<action::Release>(&action)) {
    ++coverage_.counts["closed for good"];
    release_closed(release->worker);
  } else if (const auto* retired = std::get_if<action::Retire>(&action)) {
    log_("retire worker " + std::to_string(retired->worker));
    for (int listener = 0; listener < kListeners; ++listener) retire(retired->worker, listener);
    tell(event::Closed{retired->worker, uses_any(retired->worker)});
  } else if (const auto* look = std::get_if<action::LookWhetherDry>(&action)) {
    if (random_.chance(500)) tell(event::Dry{look->worker});
  } else if (const auto* end = std::get_if<action::End>(&action)) {
    log_("end worker " + std::to_string(end->worker));
    static constexpr const char* kWhys[] = {"ended since it serves nothing", "ended in a crowd",
                                            "ended since one came back", "replaced"};
    ++coverage_.counts[kWhys[static_cast<int>(end->why)]];
    disconnect(end->worker);
    // Some have no handler for the signal.
    if (!workers_.at(end->worker)->channel_open && random_.chance(500)) kill(end->worker);
  } else if (const auto* killed = std::get_if<action::Kill>(&action)) {
    log_("kill worker " + std::to_string(killed->worker));
    ++coverage_.counts["killed, since it did not end"];
    kill(killed->worker);
  } else if (std::holds_alternative<action::StopArrivals>(action)) {
    log_("stop arrivals");
    arrivals_stopped_ = true;
    if (!any_waiting()) tell(event::NothingArrives{});
  } else if (std::holds_alternative<action::LookForArrivals>(action)) {
    ++coverage_.counts["let in"];
    if (!any_waiting()) tell(event::NothingArrives{});
  } else if (std::holds_alternative<action::DisconnectAll>(action)) {
    log_("disconnect all");
    for (const int id : workers()) disconnect(id);
  } else if (std::holds_alternative<action::KillAll>(action)) {
    log_("kill all");
    ++coverage_.counts["killed all"];
    for (const int id : workers()) kill(id);
    for (auto& [id, ends_at] : left_) ends_at = now;
  } else if (std::holds_alternative<action::GiveUp>(action)) {
    log_("give up");
    ++coverage_.counts["gave up"];
  } else {
    log_("finish");
    ++coverage_.counts["finished"];
    if (supervisor_referee_.saved_by_health()) ++coverage_.counts["saved by health"];
    for (int listener = 0; listener < kListeners; ++listener) close(listener);
    require(connections_.all_settled(), "no connection outlives the cluster");
  }
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
    for (int listener = 0; listener < kListeners; ++listener) retire(worker.id, listener);
    tell(event::Closed{worker.id, uses_any(worker.id)});
    tell(event::Ends{worker.id});
  }
  if ((actions & kLosePorts) != 0) {
    lose(worker.id);
    tell(event::Closed{worker.id, uses_any(worker.id)});
  }
  if ((actions & kAnswerExiting) != 0) worker.process->receive({ToWorker::Kind::ExitingAnswer});
  if ((actions & kLeaveWorkers) != 0) worker.in_workers = false;
  if ((actions & kSettle) != 0) look_whether_settled(worker);
  if ((actions & kSendDisconnect) != 0 && worker.process)
    worker.process->receive({ToWorker::Kind::Disconnect});
  if ((actions & kEmitListening) != 0) tell(event::Ready{worker.id});
  if ((actions & kCloseChannel) != 0) worker.channel_open = false;
  if ((actions & kEmitDisconnect) != 0) tell(event::Idle{worker.id});
  if ((actions & kEmitExit) != 0) require(!worker.in_workers, "who has exited is not in workers()");
  if ((actions & kEmitExit) != 0 && random_.chance(climate_.fork_on_exit)) {
    log_("a handler forks on exit");
    fork(std::nullopt);
  }
}

void ModelPrimary::look_whether_settled(ModelWorker& worker) {
  if (worker.state == WorkerState::Settling && worker.unanswered.empty())
    handle(worker, WorkerEvent::Settled);
}

bool ModelPrimary::read(int id) {
  ModelWorker& worker = *workers_.at(id);
  if (!worker.process || !worker.channel_open) return false;
  auto& sent = worker.process->sent;
  if (sent.empty()) {
    if (worker.process->channel_open()) return false;
    worker.channel_open = false;
    handle(worker, WorkerEvent::ChannelClosed);
    return true;
  }
  const FromWorker message = sent.front();
  sent.pop_front();
  received(worker, message);
  return true;
}

void ModelPrimary::received(ModelWorker& worker, const FromWorker& message) {
  switch (message.kind) {
    case FromWorker::Kind::Online:
      return handle(worker, WorkerEvent::SaidOnline);
    case FromWorker::Kind::Query:
      return query(worker, message.listener);
    case FromWorker::Kind::Listening:
      return handle(worker, WorkerEvent::SaidListening);
    case FromWorker::Kind::CloseServer:
      retire(worker.id, message.listener);
      return tell(event::Closed{worker.id, uses_any(worker.id)});
    case FromWorker::Kind::Leaving:
      return tell(event::Ends{worker.id});
    case FromWorker::Kind::Exiting:
      return handle(worker, WorkerEvent::SaidExiting);
    case FromWorker::Kind::Answer:
      return answer(worker, message);
    case FromWorker::Kind::Garbage:
      return handle(worker, WorkerEvent::ProtocolViolated);
  }
}

bool ModelPrimary::reap(int id) {
  ModelWorker& worker = *workers_.at(id);
  if (worker.referee.over() || (worker.process && worker.process->alive())) return false;
  if (!worker.process) {
    handle(worker, WorkerEvent::SpawnFailed);
  } else {
    while (worker.channel_open && !worker.process->sent.empty()) read(id);
    // Its end of the channel may be open still: a grandchild holds it.
    if (random_.chance(500)) read(id);
    handle(worker, WorkerEvent::Exited);
  }
  gone(worker);
  return true;
}

void ModelPrimary::gone(ModelWorker& worker) {
  require(worker.referee.over(), "who is gone was told of");
  require(worker.state == WorkerState::Dead, "who is gone is dead");
  require(!worker.in_workers, "who is gone is not in workers()");
  require(worker.unanswered.empty(), "who is gone holds nothing");
  const bool leaves_some = worker.process && random_.chance(climate_.leaves_some);
  worker.process.reset();
  // Some heed TERM, the others are killed when the grace is over.
  if (leaves_some)
    left_[worker.id] = now + (random_.chance(500) ? climate_.drain_timeout : kHeedsTermWithin);
  tell(event::Exited{worker.id, leaves_some});
}

void ModelPrimary::forget_some_dead() {
  for (auto next = workers_.begin(); next != workers_.end() && workers_.size() > 20;)
    next = next->second->state == WorkerState::Dead ? workers_.erase(next) : std::next(next);
}

// Listeners.

void ModelPrimary::connect(int listener) {
  if (!listeners_[static_cast<std::size_t>(listener)].open || arrivals_stopped_ ||
      connections_.in_kernel(listener) >= 20)
    return;  // the client is refused, or times out
  connections_.arrived(listener);
  pump(listener);
}

void ModelPrimary::query(ModelWorker& worker, int number) {
  if (worker.referee.on_purpose()) return;  // no answer, as in Node
  if (arrivals_stopped_) return;            // as one that comes when its worker was told to end
  auto& listener = listeners_[static_cast<std::size_t>(number)];
  listener.open = true;
  listener.released = false;
  listener.last_user = 0;
  listener.users.insert(worker.id);
  listener.dispatcher.join(worker.id, climate_.credits);
  connections_.joined(number, worker.id, climate_.credits);
  pump(number);
  tell(event::Opened{worker.id});
}

void ModelPrimary::answer(ModelWorker& worker, const FromWorker& message) {
  auto& dispatcher = listeners_[static_cast<std::size_t>(message.listener)].dispatcher;
  const bool held = message.accepted ? dispatcher.accepted(worker.id, message.connection)
                                     : dispatcher.refused(worker.id, message.connection, now);
  require(held, "a worker answers what it was handed");
  connections_.answered(message.listener, worker.id, message.connection, message.accepted, now);
  worker.unanswered.erase(message.connection);
  if (!message.accepted) {
    ++coverage_.counts["refused"];
    dispatcher.offer(message.connection);
    connections_.offered_again(message.connection);
  }
  pump(message.listener);
  release_if_unused(message.listener);
  look_whether_settled(worker);
}

bool ModelPrimary::any_waiting() const {
  for (int listener = 0; listener < kListeners; ++listener) {
    const auto& port = listeners_[static_cast<std::size_t>(listener)];
    if (!port.users.empty() &&
        (port.dispatcher.waiting() > 0 || connections_.in_kernel(listener) > 0))
      return true;
  }
  return false;
}

bool ModelPrimary::keeps_ports() const {
  return !supervisor_.places.empty() && supervisor_.phase == Supervisor::Phase::Running;
}

bool ModelPrimary::uses_any(int worker) const {
  return std::any_of(listeners_.begin(), listeners_.end(),
                     [worker](const auto& listener) { return listener.users.contains(worker); });
}

void ModelPrimary::retire(int worker, int number) {
  auto& listener = listeners_[static_cast<std::size_t>(number)];
  if (listener.users.erase(worker) == 0) return;
  listener.dispatcher.leave(worker);
  connections_.retired(number, worker);
  if (listener.users.empty())
    (keeps_ports() ? listener.last_user = worker : listener.released = true);
  release_if_unused(number);
}

void ModelPrimary::release_closed(int worker) {
  for (int number = 0; number < kListeners; ++number) {
    auto& listener = listeners_[static_cast<std::size_t>(number)];
    if (listener.last_user != worker) continue;
    listener.released = true;
    release_if_unused(number);
  }
}

void ModelPrimary::lose(int worker) {
  for (int number = 0; number < kListeners; ++number) {
    auto& listener = listeners_[static_cast<std::size_t>(number)];
    if (listener.users.erase(worker) > 0 && listener.users.empty()) listener.last_user = worker;
    auto unanswered = listener.dispatcher.lose(worker);
    connections_.left(number, worker, unanswered);
    std::reverse(unanswered.begin(), unanswered.end());  // the oldest is to be the first again
    for (const ConnectionId connection : unanswered) {
      workers_.at(worker)->unanswered.erase(connection);
      ++coverage_.counts[connections_.is_touched(connection) ? "lost with its worker" : "rescued"];
      if (connections_.is_touched(connection)) {
        connections_.given_up(connection);
      } else {
        listener.dispatcher.offer(connection);
        connections_.offered_again(connection);
      }
    }
    pump(number);
    release_if_unused(number);
  }
}

void ModelPrimary::pump(int number) {
  auto& listener = listeners_[static_cast<std::size_t>(number)];
  if (!listener.open) return;
  for (auto room = listener.dispatcher.room(now); room > 0 && connections_.in_kernel(number) > 0;
       --room) {
    const ConnectionId connection = connections_.first_in_kernel(number);
    connections_.taken(connection);
    listener.dispatcher.offer(connection);
  }
  while (const auto assignment = listener.dispatcher.next(now)) {
    connections_.assigned(number, *assignment, now);
    ModelWorker& worker = *workers_.at(assignment->worker);
    worker.unanswered.insert(assignment->connection);
    worker.process->receive({ToWorker::Kind::NewConnection, number, assignment->connection});
  }
  connections_.pumped(number, listener.dispatcher, now);
  listener.retry =
      listener.dispatcher.room(now) == 0 ? listener.dispatcher.retry_at(now) : std::nullopt;
}

void ModelPrimary::release_if_unused(int number) {
  const auto& listener = listeners_[static_cast<std::size_t>(number)];
  if (listener.released && listener.users.empty() && !listener.dispatcher.any_unanswered())
    close(number);
}

void ModelPrimary::close(int number) {
  listeners_[static_cast<std::size_t>(number)] = {};
  connections_.closed(number);
}

// Time.

std::optional<TimePoint> ModelPrimary::next_timer() const {
  auto next = next_wakeup(supervisor_);
  for (const auto& [id, ends_at] : left_)
    if (!next || ends_at < *next) next = ends_at;
  for (const auto& listener : listeners_)
    if (listener.retry && (!next || *listener.retry < *next)) next = listener.retry;
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
  if (const auto at = next_wakeup(supervisor_); at && *at <= now) {
    any = true;
    tell(event::TimePassed{});
  }
  for (int number = 0; number < kListeners; ++number) {
    const auto& listener = listeners_[static_cast<std::size_t>(number)];
    if (!listener.retry || *listener.retry > now) continue;
    any = true;
    pump(number);
    require(!listener.retry || *listener.retry > now, "a retry makes something happen");
  }
  return any;
}

void ModelPrimary::destroy() {
  for (const int id : workers()) kill(id);
}

std::vector<int> ModelPrimary::workers() const {
  std::vector<int> ids;
  for (const auto& [id, worker] : workers_) ids.push_back(id);
  return ids;
}

VirtualProcess* ModelPrimary::process(int worker) {
  const auto found = workers_.find(worker);
  return found == workers_.end() ? nullptr : found->second->process.get();
}

bool ModelPrimary::is_complete() const {
  return std::all_of(supervisor_.places.begin(), supervisor_.places.end(),
                     [](const auto& place) { return place.worker.has_value(); });
}

bool ModelPrimary::all_dead() const {
  return std::all_of(workers_.begin(), workers_.end(),
                     [](const auto& entry) { return entry.second->state == WorkerState::Dead; });
}

}  // namespace cohort::cluster::sim
