#include "sim/model_worker.h"

#include <algorithm>
#include <set>
#include <utility>

namespace cohort::cluster::sim {

using namespace std::chrono_literals;

namespace {

// Of a client, until it sends its request.
std::chrono::milliseconds slowness(ConnectionId connection) {
  return std::chrono::milliseconds{connection * 37 % 80};
}

}  // namespace

// What a worker is handed.

void ModelPrimary::hand_off(int id, int listener, std::vector<ConnectionId> held,
                            std::vector<ConnectionId> connections) {
  ModelWorker& worker = *workers_.at(id);
  worker.unanswered.push_back({++worker.last_seq, listener, std::move(held)});
  worker.process->receive(
      {ToWorker::Kind::HandOff, listener, worker.last_seq, std::move(connections)});
}

void ModelPrimary::probe(int id) {
  ModelWorker& worker = *workers_.at(id);
  for (const auto& hand_off : worker.unanswered)
    if (hand_off.listener == ModelWorker::kProbe) return;  // it answers that one
  hand_off(id, ModelWorker::kProbe, {}, {});
}

void ModelPrimary::answer(ModelWorker& worker, const FromWorker& message) {
  const auto found =
      std::find_if(worker.unanswered.begin(), worker.unanswered.end(),
                   [&](const auto& hand_off) { return hand_off.seq == message.seq; });
  require(found != worker.unanswered.end(), "a worker answers what it was handed");
  const auto done = std::move(*found);
  worker.unanswered.erase(found);
  if (done.listener == ModelWorker::kProbe) {
    ports_.turns(worker.id);
    if (worker.settling.turned(now, [&] { return ports_.any_waiting(worker.id); }))
      probe(worker.id);
  } else {
    ports_.answer(worker.id, done.listener, done.held, message.accepted);
  }
  look_whether_settled(worker);
}

void ModelPrimary::query(ModelWorker& worker, int listener) {
  if (worker.referee.on_purpose()) return;  // no answer, as in Node
  // As Primary::worker_asks.
  const bool retired = is_retired(supervisor(), worker.id);
  const bool held = is_held(supervisor(), worker.id);
  if (has_left(supervisor(), worker.id) && !retired && !held) worker.slot = free_slot({});
  if (!ports_.arrivals_stopped()) {  // else as one that comes when its worker was told to end
    const ModelPorts::Asking asking{worker.id, worker.slot,
                                    worker.of_cohort() ? climate_.credits : 1,
                                    worker.process->only_accepts(), worker.of_cohort()};
    const bool accepts = ports_.join(asking, listener);
    worker.served = true;
    worker.process->receive({ToWorker::Kind::Reply, listener, 0, {}, accepts});
    ports_.welcome(asking, listener);
    if (held) ports_.hold(worker.id);
  }
  if (ports_.uses_any(worker.id)) tell(event::Opened{worker.id});
  if (retired) retire_ports(worker.id, true);
}

void ModelPrimary::retire_ports(int worker, bool succeeded) {
  ports_.retire(worker, !succeeded || !keeps_ports());
  tell(event::Closed{worker, ports_.uses_any(worker)});
}

// As Primary::free_slot.
std::size_t ModelPrimary::free_slot(std::optional<std::size_t> wanted) const {
  std::set<std::size_t> taken;
  for (const auto& [id, worker] : workers_)
    if (worker->state != WorkerState::Dead && !has_left(supervisor(), id) &&
        !is_retired(supervisor(), id))
      taken.insert(worker->slot);
  if (wanted && !taken.contains(*wanted)) return *wanted;
  std::size_t slot = 0;
  while (taken.contains(slot)) ++slot;
  return slot;
}

bool ModelPrimary::keeps_ports() const {
  return !supervisor().places.empty() && supervisor().phase == Supervisor::Phase::Running;
}

// What the processes find in the kernel.

std::optional<ConnectionId> ModelPrimary::accept(int worker, int listener) {
  return ports_.accept(worker, listener);
}

TimePoint ModelPrimary::request_at(ConnectionId connection) const {
  return connections_.arrived_at(connection) + slowness(connection);
}

void ModelPrimary::unread(ConnectionId connection, int worker, TimePoint request_at, bool well) {
  ++coverage_.counts["reset unread"];
  const TimePoint asked_at = workers_.at(worker)->asked_at;
  const bool was_late = now >= asked_at + 2s || request_at - slowness(connection) > asked_at;
  require(!well || was_late, "a worker is told to end when it has read what it was given");
}

// How it is asked to end.

void ModelPrimary::ask_to_end(ModelWorker& worker) {
  worker.asked_at = now;
  if (worker.served && worker.has_spoken && !worker.of_cohort()) worker.settling.start(now);
  if (!worker.ending) look_whether_settled(worker);
}

bool ModelPrimary::is_settled(const ModelWorker& worker) const {
  return !worker.settling.under_way() && worker.unanswered.empty();
}

void ModelPrimary::look_whether_settled(ModelWorker& worker) {
  if (worker.ending)
    look_at_ending(worker);
  else if (worker.state == WorkerState::Settling && is_settled(worker))
    handle(worker, WorkerEvent::Settled);
}

void ModelPrimary::channel_closed(ModelWorker& worker, WorkerEvent event) {
  worker.settling.stop();
  worker.unanswered.clear();
  handle(worker, event);
  if (event == WorkerEvent::ChannelClosed && worker.said_listening)
    worker.idle_look = now + kEndsByItself;
}

void ModelPrimary::look_whether_idle(ModelWorker& worker) {
  worker.idle_look.reset();
  if (worker.process->connections() == 0) return tell(event::Idle{worker.id});
  worker.idle_look = now + 500ms;
}

// The end of the service.

void ModelPrimary::begin_draining() {
  for (int listener = 0; listener < kListeners; ++listener)
    require(!ports_.has_users(listener) || !connections_.any_waits(listener) ||
                lets_in_since_ + std::min<Duration>(2s, climate_.drain_timeout / 2) <= now,
            "workers are asked to end when all that has arrived is let in");
  const TimePoint start =
      supervisor().deadline ? *supervisor().deadline - climate_.drain_timeout : now;
  for (const int id : workers()) end(*workers_.at(id), start);
}

void ModelPrimary::end(ModelWorker& worker, TimePoint start) {
  if (worker.ending || worker.state == WorkerState::Dead) return;
  worker.ending.emplace(start, climate_.drain_timeout);
  worker.ending_referee.begins(start, climate_.drain_timeout);
  handle(worker, WorkerEvent::DisconnectAsked);
  look_at_ending(worker);
}

EndingFacts ModelPrimary::ending_facts(const ModelWorker& worker) const {
  using Channel = EndingFacts::Channel;
  using Handler = EndingFacts::Handler;
  EndingFacts facts;
  facts.serves = worker.served;
  facts.channel = !worker.has_spoken    ? Channel::None
                  : worker.channel_open ? Channel::Open
                                        : Channel::Closed;
  facts.settled = is_settled(worker);
  if (!worker.process) return facts;
  const VirtualProcess& process = *worker.process;
  if (worker.has_spoken && process.kind() == VirtualProcess::Kind::NodeWithPreload) {
    facts.handler = process.has_handler() ? Handler::Yes : Handler::No;
    facts.drains = true;
    facts.requests = facts.connections = process.connections();
    facts.minds_disconnect = process.minds_disconnect();
  } else if (worker.has_spoken && worker.of_cohort()) {
    facts.handler = Handler::No;
  } else {
    facts.connections = process.connections();
    if (facts.channel == Channel::None) facts.handler = Handler::Yes;
  }
  return facts;
}

bool ModelPrimary::look_at_ending(ModelWorker& worker) {
  if (worker.state == WorkerState::Dead) return false;
  const auto acts = worker.ending->step(ending_facts(worker), now);
  worker.ending_look = now + kEndingLook;
  for (const EndingAct act : acts) {
    if (worker.process)
      worker.ending_referee.check(act, *worker.process, worker.served, worker.has_spoken, now);
    if (act == EndingAct::Disconnect) handle(worker, WorkerEvent::Settled);
    if (act == EndingAct::Signal && worker.process) {
      ++coverage_.counts["signalled"];
      worker.process->signal();
    }
  }
  if (worker.process && worker.process->alive())
    worker.ending_referee.overdue(*worker.process, worker.served, worker.has_spoken,
                                  is_settled(worker), !worker.channel_open, now);
  return !acts.empty();
}

void ModelPrimary::expect_good_end(const std::vector<int>& listeners) {
  if (climate_.drain_timeout < 4s) return;
  expects_good_end_ = true;
  for (const int listener : listeners) resets_before_[listener] = connections_.resets(listener);
}

// Time.

bool ModelPrimary::is_at_work(int id) const {
  const ModelWorker& worker = *workers_.at(id);
  return worker.state == WorkerState::Listening && worker.process && worker.channel_open &&
         worker.process->channel_open() && !worker.process->is_blocked();
}

std::optional<TimePoint> ModelPrimary::next_timer(const ModelWorker& worker) const {
  auto next = worker.process ? worker.process->wakes_at() : std::nullopt;
  const auto ending_look = worker.ending ? worker.ending_look : std::nullopt;
  for (const auto& at : {worker.settling.next(), ending_look, worker.idle_look})
    if (at && (!next || *at < *next)) next = at;
  return next;
}

bool ModelPrimary::fire_due_timers(ModelWorker& worker) {
  bool any = false;
  const auto at = worker.settling.next();
  const auto due = at && *at <= now ? worker.settling.time_passed(now) : SettlingRule::Due::Nothing;
  require(!worker.settling.under_way() || now < worker.asked_at + 2s,
          "a worker that does not answer is told in time");
  if (due != SettlingRule::Due::Nothing) any = true;
  if (due == SettlingRule::Due::Probe) probe(worker.id);
  if (due == SettlingRule::Due::Late) look_whether_settled(worker);
  if (worker.idle_look && *worker.idle_look <= now) look_whether_idle(worker);
  if (worker.ending && worker.ending_look && *worker.ending_look <= now)
    any = look_at_ending(worker) || any;
  return any;
}

}  // namespace cohort::cluster::sim
