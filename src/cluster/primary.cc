#include "cluster/primary.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>

#include "base/sys.h"
#include "cluster/launch.h"
#include "cluster/node_launch.h"
#include "cluster/private_socket.h"
#include "process/child_channel.h"
#include "process/spawn.h"

namespace cohort::cluster {
namespace {

// Somebody who told it to end did not ask whether it may be started again.
bool is_permanent(const ForkedWorker& worker, const Exit& exit) {
  return exit.signal() == 0 && exit.code() == kPermanent && !worker.exited_after_disconnect();
}

}  // namespace

Primary::Primary(const Loop& loop, std::shared_ptr<ipc::Calls> calls, bool may_fork,
                 std::function<void(int)> finish)
    : loop_{loop},
      calls_{std::move(calls)},
      may_fork_{may_fork},
      finish_{std::move(finish)},
      settings_{loop, may_fork},
      supervisor_{loop, [this](const SupervisorAction& action) { carry_out(action); }},
      checks_{loop,
              {.well = [this](const Worker& worker, bool now) { is_well(worker, now); },
               .not_well = [this](const Worker& worker,
                                  const std::string& why) { is_not_well(worker, why); },
               .lives = [this](const Worker& worker) { lives(worker); }}},
      starts_{loop} {}

Primary::~Primary() {
  for (const auto& [id, entry] : workers_) entry.worker->abandon();
}

// Settings.

void Primary::setup(const Settings& settings) {
  if (settings_.setup(settings)) open_listeners();
  loop_.post(callbacks_.wrap([this, now = settings_.settings()] { events.setup.emit(now); }));
}

void Primary::open_listeners() {
  // In a turn of its own: the listeners are in the middle of something.
  const auto decided = [this](const Address& address, Policy policy, const std::string& why) {
    loop_.post(callbacks_.wrap(
        [this, address, policy, why] { events.policy.emit(address, policy, why); }));
  };
  listeners_ = std::make_unique<Listeners>(loop_, settings_.policy(), decided);
  listeners_->set_weights(settings_.weights());
  listeners_->set_hold(settings_.hold());
}

void Primary::release_ports() {
  if (listeners_) listeners_->release_all();
}

void Primary::set_weights(SlotBook::Weights weights) {
  settings_.set_weights(std::move(weights));
  if (listeners_) listeners_->set_weights(settings_.weights());
}

void Primary::set_when_empty(std::optional<std::chrono::milliseconds> hold) {
  settings_.set_hold(hold);
  if (listeners_) listeners_->set_hold(hold);
}

// Forking.

Worker Primary::fork(const Environment& env) {
  return Worker{fork_worker(env, std::nullopt, free_slot(), supervisor_.state().generation)};
}

std::shared_ptr<ForkedWorker> Primary::fork_worker(const Environment& env,
                                                   std::optional<std::size_t> place,
                                                   std::size_t slot, int generation) {
  setup({});
  const auto worker =
      std::make_shared<ForkedWorker>(loop_, calls_, static_cast<ForkedWorkerOwner&>(*this),
                                     ++counters_.forks, Seat{slot, generation});
  workers_.emplace(worker->id(), Entry{worker});
  const Settings& settings = settings_.of(generation);
  checks_.expect(Worker{worker}, settings);
  const bool says_ready = settings.ready && settings.ready->by != Readiness::By::Listening;
  const bool waits = may_fork_ && starts_.has_to_load(generation, settings);
  const auto started = waits ? start_when_loaded(worker, env, place.has_value())
                             : start(*worker, env, place.has_value());
  if (!started) {
    listeners_->lose(worker->id());
    loop_.post([worker, error = started.error()] { worker->failed_to_start(error); });
  }
  // Only now is there somebody who can be told to end.
  supervisor_.tell(event::Forked{worker->id(), place, generation, says_ready, waits});
  if (listeners_->uses_any(worker->id())) supervisor_.tell(event::Opened{worker->id()});
  loop_.post(callbacks_.wrap([this, worker] { events.fork.emit(Worker{worker}); }));
  return worker;
}

// It is there, and has a channel, but no process yet.
Result<void> Primary::start_when_loaded(const std::shared_ptr<ForkedWorker>& worker,
                                        const Environment& env, bool keep_stderr) {
  auto channel = process::make_child_channel("a worker's");
  if (!channel) return channel.error();
  const Settings& settings = settings_.of(worker->generation());
  worker->open_channel(std::move(channel->ours), settings.spawn);
  const auto childs = std::make_shared<OwnFd>(std::move(channel->childs));
  const auto loaded = [this, worker, env, keep_stderr, childs](const Result<void>& loading) {
    const auto started = loading ? start(*worker, env, keep_stderr, std::move(*childs)) : loading;
    if (started) return supervisor_.tell(event::Started{worker->id()});
    listeners_->lose(worker->id());
    worker->failed_to_start(started.error());
  };
  starts_.load(worker->generation(), settings, worker->id(), callbacks_.wrap(loaded));
  return {};
}

Result<void> Primary::start(ForkedWorker& worker, const Environment& env, bool keep_stderr,
                            OwnFd channel) {
  if (!may_fork_) return make_error(Errc::NotAPrimary, "fork");
  const Settings& settings = settings_.of(worker.generation());
  std::vector<int> listening;
  std::vector<Address> addresses;
  for (const Address& address : settings.listen) {
    const auto lent =
        listeners_->lend(worker, listening.size(), address, checks_.is_awaited(worker.id()));
    if (!lent) return lent.error();
    if (lent->is_shared && settings.check && *settings.check)
      return make_error(Errc::InvalidArgument, "listen " + to_string(address),
                        "the workers accept from one socket there, so none of them can be checked "
                        "before it gets connections");
    addresses.push_back(lent->address);
    listening.push_back(lent->fd);
  }
  Environment variables = with_seat(env, worker.slot(), worker.generation());
  const auto notify = checks_.open_socket(Worker{worker.shared_from_this()}, settings);
  if (!notify) return notify.error();
  variables.insert(variables.end(), notify->begin(), notify->end());
  WorkerLaunch wanted{.settings = settings,
                      .env = std::move(variables),
                      .worker_id = worker.id(),
                      .listening = std::move(listening),
                      .keep_stderr = keep_stderr ? kLastLines : 0,
                      .channel = std::move(channel)};
  const auto options = worker_options(wanted);
  if (!options) return options.error();
  auto launch = prepare_launch(loop_, wanted, *options);
  if (!launch) return launch.error();
  auto child = starts_.spawn(launch->request, {worker.id(), worker.slot(), worker.generation()},
                             settings, supervisor_.state().places.size());
  if (!child) return child.error();
  worker.started(*std::move(child), *std::move(launch), *options, std::move(addresses));
  return {};
}

std::vector<Worker> Primary::workers() const {
  std::vector<Worker> workers;
  for (const auto& [id, entry] : workers_)
    if (entry.in_workers) workers.emplace_back(entry.worker);
  return workers;
}

void Primary::disconnect(std::function<void()> done) {
  supervisor_.tell(event::Keep{0});
  if (done) waiting_.disconnect.push_back(std::move(done));
  waiting_.disconnects = true;
  for (const Worker& worker : workers()) worker.disconnect();
  waiting_.disconnects = false;
  loop_.post(callbacks_.wrap([this] { all_gone(); }));
}

// Tells those who wait for it that no worker is left.
void Primary::all_gone() {
  if (!workers_.empty() || waiting_.disconnect.empty()) return;
  release_ports();
  for (const auto& waiter : std::exchange(waiting_.disconnect, {})) waiter();
}

void Primary::keep(unsigned count) { supervisor_.tell(event::Keep{count}); }

void Primary::scale(unsigned count) { supervisor_.tell(event::Scale{count}); }

std::optional<Worker> Primary::replace(const Worker& worker) {
  if (!may_be_replaced(supervisor_.state(), worker.id())) return std::nullopt;
  supervisor_.tell(event::Replace{worker.id()});
  const auto successor = successor_of(supervisor_.state(), worker.id());
  const auto found = workers_.find(successor.value_or(0));
  return found == workers_.end() ? std::nullopt : std::optional{Worker{found->second.worker}};
}

void Primary::terminate() {
  give_up_preparing(RolloutResult::Outcome::Stopped, "the service ends");
  supervisor_.tell(event::Terminate{});
}

bool Primary::keeps_ports() const {
  return !supervisor_.state().places.empty() &&
         supervisor_.state().phase == Supervisor::Phase::Running;
}

// A connection that is given back moves, which under sticky, and without rescue, none does.
bool Primary::goes_on() const {
  const bool never =
      settings_.policy().rescue_after && settings_.policy().rescue_after->count() <= 0;
  if (never || policy() == Policy::Sticky) return false;
  const bool others = listeners_ && listeners_->have_users();
  return supervisor_.state().phase == Supervisor::Phase::Running && !waiting_.disconnects &&
         (others || keeps_ports());
}

// What workers report.

void Primary::worker_online(ForkedWorker& worker) {
  events.online.emit(Worker{worker.shared_from_this()});
}

void Primary::worker_listening(ForkedWorker& worker, const Address& address) {
  const Worker listening{worker.shared_from_this()};
  const bool counts = !is_private(address, worker.pid());
  if (counts && checks_.is_awaited(worker.id()))
    checks_.happened(listening, Readiness::By::Listening);
  else if (counts && is_tried(supervisor_.state(), worker.id()))
    checks_.await_turn(listening);  // else one that hangs would have its place
  else if (counts)
    supervisor_.tell(event::Ready{worker.id()});
  events.listening.emit(listening, address);
}

void Primary::worker_message(ForkedWorker& worker, const Value& message, Handle& handle) {
  const Worker sender{worker.shared_from_this()};
  if (message == "ready") checks_.happened(sender, Readiness::By::Message);
  events.message.emit(sender, message);
  events.handle(sender, message, handle);
}

void Primary::worker_disconnected(ForkedWorker& worker) {
  events.disconnect.emit(Worker{worker.shared_from_this()});
}

void Primary::worker_idle(ForkedWorker& worker) { supervisor_.tell(event::Idle{worker.id()}); }

void Primary::worker_exited(ForkedWorker& worker, const Exit& exit) {
  std::ostringstream how;  // What it used says nothing about why.
  how << "pid " << worker.pid() << ' ' << exit.with_usage({}, {}, 0);
  last_death_ = LastDeath{worker.id(), worker.describe(), worker.slot(), how.str(),
                          worker.last_stderr_lines()};
  events.exit.emit(Worker{worker.shared_from_this()}, exit);
  gone(worker, worker.take_left_group(), is_permanent(worker, exit));
}

void Primary::worker_failed_to_start(ForkedWorker& worker, const Error& why) {
  last_death_ = LastDeath{worker.id(),
                          worker.describe(),
                          worker.slot(),
                          "the program could not be started: " + why.message(),
                          {}};
  gone(worker);
}

void Primary::worker_left(ForkedWorker& worker) {
  if (const auto found = workers_.find(worker.id()); found != workers_.end())
    found->second.in_workers = false;
}

void Primary::worker_asks(ForkedWorker& worker, const QueryServer& query) {
  const bool retired = is_retired(supervisor_.state(), worker.id());
  // One that comes back: its successor has its slot.
  const bool held = is_held(supervisor_.state(), worker.id());
  if (has_left(supervisor_.state(), worker.id()) && !retired && !held) worker.set_slot(free_slot());
  listeners_->query(worker, query, held || checks_.is_awaited(worker.id()));
  if (listeners_->uses_any(worker.id())) supervisor_.tell(event::Opened{worker.id()});
  if (retired) retire_ports(worker.id(), true);
}

void Primary::worker_closed(ForkedWorker& worker) {
  supervisor_.tell(event::Closed{worker.id(), listeners_->uses_any(worker.id())});
}

// What waits for it it still takes.
void Primary::retire_ports(int worker, bool succeeded) {
  checks_.gone(worker);
  listeners_->retire(worker, !succeeded || !keeps_ports());
  supervisor_.tell(event::Closed{worker, listeners_->uses_any(worker)});
}

void Primary::worker_ends(ForkedWorker& worker) {
  checks_.gone(worker.id());
  supervisor_.tell(event::Ends{worker.id()});
}

void Primary::worker_greets(ForkedWorker& worker) { supervisor_.tell(event::Greeted{worker.id()}); }

void Primary::worker_follows(ForkedWorker& worker) {
  supervisor_.tell(event::Followed{worker.id()});
}

bool Primary::leads(const ForkedWorker& worker) const {
  return cluster::leads(supervisor_.state(), worker.id());
}

void Primary::gone(ForkedWorker& worker, std::optional<process::LeftGroup> left, bool permanent) {
  const int id = worker.id();
  ++counters_.exits;
  if (!worker.exited_after_disconnect()) ++counters_.deaths;
  workers_.erase(id);
  checks_.gone(id);
  starts_.gone(id);
  if (left) {
    const auto grace = std::chrono::duration_cast<std::chrono::milliseconds>(
        supervisor_.state().rules.drain_timeout);
    left_.try_emplace(id, loop_, std::move(*left), grace, [this, id] {
      left_.erase(id);
      supervisor_.tell(event::Vanished{id});
    });
  }
  supervisor_.tell(event::Exited{id, left_.contains(id), permanent});
  drop_what_nobody_needs();
  all_gone();
}

void Primary::drop_what_nobody_needs() {
  const Supervisor& state = supervisor_.state();
  starts_.keep([&](int generation) {
    const bool is_tried = state.rollout && state.rollout->wish.generation == generation;
    return generation == state.generation || is_tried || waiting_.prepares == generation ||
           std::any_of(workers_.begin(), workers_.end(), [generation](const auto& each) {
             return each.second.worker->generation() == generation;
           });
  });
}

}  // namespace cohort::cluster
