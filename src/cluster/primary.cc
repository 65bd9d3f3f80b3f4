#include "cluster/primary.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <set>
#include <sstream>

#include "base/notices.h"
#include "base/sys.h"
#include "cluster/launch.h"
#include "cluster/node_launch.h"
#include "cluster/private_socket.h"
#include "process/spawn.h"

namespace cohort::cluster {
namespace {

constexpr std::size_t kLastLines = 10;

}  // namespace

Primary::Primary(const Loop& loop, std::shared_ptr<ipc::Calls> calls, bool may_fork,
                 std::function<void(int)> finish)
    : loop_{loop},
      calls_{std::move(calls)},
      may_fork_{may_fork},
      finish_{std::move(finish)},
      settings_{loop, may_fork},
      supervisor_{loop, [this](const SupervisorAction& action) { carry_out(action); }},
      node_{loop} {}

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
  listeners_->set_weights(weights_);
}

void Primary::release_ports() {
  if (listeners_) listeners_->release_all();
}

void Primary::set_weights(SlotBook::Weights weights) {
  weights_ = std::move(weights);
  if (listeners_) listeners_->set_weights(weights_);
}

void Primary::set_drain_timeout(std::chrono::milliseconds timeout) {
  supervisor_.set_drain_timeout(timeout);
}

// Forking.

Worker Primary::fork(const Environment& env) {
  return Worker{fork_worker(env, std::nullopt, free_slot())};
}

std::shared_ptr<ForkedWorker> Primary::fork_worker(const Environment& env,
                                                   std::optional<std::size_t> place,
                                                   std::size_t slot) {
  setup({});
  const auto worker = std::make_shared<ForkedWorker>(
      loop_, calls_, static_cast<ForkedWorkerOwner&>(*this), ++counters_.forks, slot);
  workers_.emplace(worker->id(), Entry{worker});
  const auto started = start(*worker, env, place.has_value());
  if (!started) {
    listeners_->lose(worker->id());
    loop_.post([worker, error = started.error()] { worker->failed_to_start(error); });
  }
  // Only now is there somebody who can be told to end.
  supervisor_.tell(event::Forked{worker->id(), place});
  if (listeners_->uses_any(worker->id())) supervisor_.tell(event::Opened{worker->id()});
  loop_.post(callbacks_.wrap([this, worker] { events.fork.emit(Worker{worker}); }));
  return worker;
}

// One that no living process has, but for those that left their place and use no port, or are
// retired: the wanted one, else the first.
std::size_t Primary::free_slot(std::optional<std::size_t> wanted) const {
  std::set<std::size_t> taken;
  for (const auto& [id, entry] : workers_)
    if (!entry.worker->is_dead() && !has_left(supervisor_.state(), id) &&
        !is_retired(supervisor_.state(), id))
      taken.insert(entry.worker->slot());
  if (wanted && !taken.contains(*wanted)) return *wanted;
  std::size_t slot = 0;
  while (taken.contains(slot)) ++slot;
  return slot;
}

Result<void> Primary::start(ForkedWorker& worker, const Environment& env, bool keep_stderr) {
  if (!may_fork_) return make_error(Errc::NotAPrimary, "fork");
  std::vector<int> listening;
  std::vector<Address> addresses;
  for (const Address& address : settings().listen) {
    const auto lent = listeners_->lend(worker, listening.size(), address);
    if (!lent) return lent.error();
    addresses.push_back(lent->address);
    listening.push_back(lent->fd);
  }
  Environment with_slot = env;
  with_slot.emplace_back("COHORT_SLOT", std::to_string(worker.slot()));
  const WorkerLaunch wanted{.settings = settings(),
                            .env = std::move(with_slot),
                            .worker_id = worker.id(),
                            .listening = std::move(listening),
                            .keep_stderr = keep_stderr ? kLastLines : 0};
  const auto options = worker_options(wanted);
  if (!options) return options.error();
  auto launch = prepare_launch(loop_, wanted, *options);
  if (!launch) return launch.error();
  node_.prepare(launch->request, worker.id(), worker.slot(), supervisor_.state().places.size(),
                settings().preload.value_or(true));
  auto child = process::spawn(launch->request);
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
  if (done) disconnecting_.waiters.push_back(std::move(done));
  disconnecting_.under_way = true;
  for (const Worker& worker : workers()) worker.disconnect();
  disconnecting_.under_way = false;
  loop_.post(callbacks_.wrap([this] { all_gone(); }));
}

// Tells those who wait for it that no worker is left.
void Primary::all_gone() {
  if (!workers_.empty() || disconnecting_.waiters.empty()) return;
  release_ports();
  for (const auto& waiter : std::exchange(disconnecting_.waiters, {})) waiter();
}

void Primary::keep(unsigned count) { supervisor_.tell(event::Keep{count}); }

std::optional<Worker> Primary::replace(const Worker& worker) {
  if (!may_be_replaced(supervisor_.state(), worker.id())) return std::nullopt;
  supervisor_.tell(event::Replace{worker.id()});
  const auto successor = successor_of(supervisor_.state(), worker.id());
  const auto found = workers_.find(successor.value_or(0));
  return found == workers_.end() ? std::nullopt : std::optional{Worker{found->second.worker}};
}

void Primary::terminate() { supervisor_.tell(event::Terminate{}); }

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
  return supervisor_.state().phase == Supervisor::Phase::Running && !disconnecting_.under_way &&
         (others || keeps_ports());
}

ClusterStatus Primary::status() const {
  const Supervisor& supervisor = supervisor_.state();
  ClusterStatus status{.phase = static_cast<ClusterStatus::Phase>(supervisor.phase),
                       .policy = policy(),
                       .places = supervisor.places.size(),
                       .forks = static_cast<std::uint64_t>(counters_.forks),
                       .exits = counters_.exits,
                       .deaths = counters_.deaths};
  for (const auto& [id, entry] : workers_) {
    WorkerStatus worker = entry.worker->status();
    const auto live = supervisor.live.find(id);
    worker.kept = live != supervisor.live.end() && live->second.place.has_value();
    status.workers.push_back(std::move(worker));
  }
  if (listeners_) status.ports = listeners_->status();
  return status;
}

// What workers report.

void Primary::worker_online(ForkedWorker& worker) {
  events.online.emit(Worker{worker.shared_from_this()});
}

void Primary::worker_listening(ForkedWorker& worker, const Address& address) {
  if (!is_private(address, worker.pid())) supervisor_.tell(event::Ready{worker.id()});
  events.listening.emit(Worker{worker.shared_from_this()}, address);
}

void Primary::worker_message(ForkedWorker& worker, const Value& message, Handle& handle) {
  const Worker sender{worker.shared_from_this()};
  events.message.emit(sender, message);
  events.handle(sender, message, handle);
}

void Primary::worker_disconnected(ForkedWorker& worker) {
  events.disconnect.emit(Worker{worker.shared_from_this()});
}

void Primary::worker_idle(ForkedWorker& worker) { supervisor_.tell(event::Idle{worker.id()}); }

void Primary::worker_exited(ForkedWorker& worker, const Exit& exit) {
  std::ostringstream how;
  how << "pid " << worker.pid() << ' ' << exit;
  last_death_ = LastDeath{how.str(), worker.last_stderr_lines(kLastLines)};
  events.exit.emit(Worker{worker.shared_from_this()}, exit);
  gone(worker, worker.take_left_group());
}

void Primary::worker_failed_to_start(ForkedWorker& worker) {
  last_death_ = LastDeath{"the program could not be started", {}};
  gone(worker);
}

void Primary::worker_left(ForkedWorker& worker) {
  if (const auto found = workers_.find(worker.id()); found != workers_.end())
    found->second.in_workers = false;
}

void Primary::worker_asks(ForkedWorker& worker, const QueryServer& query) {
  const bool retired = is_retired(supervisor_.state(), worker.id());
  // One that comes back: its successor has its slot.
  if (has_left(supervisor_.state(), worker.id()) && !retired) worker.set_slot(free_slot());
  listeners_->query(worker, query);
  if (listeners_->uses_any(worker.id())) supervisor_.tell(event::Opened{worker.id()});
  if (retired) retire_ports(worker.id());
}

void Primary::worker_closed(ForkedWorker& worker) {
  supervisor_.tell(event::Closed{worker.id(), listeners_->uses_any(worker.id())});
}

// What waits for it it still takes.
void Primary::retire_ports(int worker) {
  listeners_->retire(worker, !keeps_ports());
  supervisor_.tell(event::Closed{worker, listeners_->uses_any(worker)});
}

void Primary::worker_ends(ForkedWorker& worker) { supervisor_.tell(event::Ends{worker.id()}); }

void Primary::gone(ForkedWorker& worker, std::optional<process::LeftGroup> left) {
  const int id = worker.id();
  ++counters_.exits;
  if (!worker.exited_after_disconnect()) ++counters_.deaths;
  workers_.erase(id);
  node_.gone(id);
  if (left) {
    const auto grace =
        std::chrono::duration_cast<std::chrono::milliseconds>(supervisor_.state().drain_timeout);
    left_.try_emplace(id, loop_, std::move(*left), grace, [this, id] {
      left_.erase(id);
      supervisor_.tell(event::Vanished{id});
    });
  }
  supervisor_.tell(event::Exited{id, left_.contains(id)});
  all_gone();
}

// The supervisor's actions.

void Primary::carry_out(const SupervisorAction& action) {
  std::visit([this](const auto& wanted) { (*this)(wanted); }, action);
}

void Primary::operator()(const action::Release& wanted) {
  listeners_->release_closed(wanted.worker);
}

void Primary::operator()(const action::Retire& wanted) { retire_ports(wanted.worker); }

void Primary::operator()(const action::LookWhetherDry& wanted) {
  if (!listeners_->any_waiting(wanted.worker)) supervisor_.tell(event::Dry{wanted.worker});
}

void Primary::operator()(const action::StopArrivals&) {
  if (!listeners_ || !listeners_->stop_arrivals()) supervisor_.tell(event::NothingArrives{});
}

void Primary::operator()(const action::LookForArrivals&) {
  if (!listeners_->any_waiting()) supervisor_.tell(event::NothingArrives{});
}

void Primary::operator()(const action::KillAll&) {
  for (const auto& [id, entry] : workers_) entry.worker->kill_group(SIGKILL);
  for (auto& [id, group] : left_) group.kill();
}

void Primary::operator()(const action::Finish& wanted) {
  release_ports();
  loop_.post(callbacks_.wrap([this, code = wanted.gave_up ? 1 : 0] { finish_(code); }));
}

void Primary::operator()(const action::Fork& wanted) {
  const auto found = workers_.find(wanted.beside.value_or(0));
  const auto beside = found == workers_.end() ? nullptr : found->second.worker;
  if (beside && supervisor_.state().places[wanted.place].succeeds) {
    fork_worker({}, wanted.place, beside->slot());
    return;
  }
  const auto successor = fork_worker({}, wanted.place, free_slot(wanted.place));
  if (!beside) return;
  const auto& old = *beside;
  Remark leaves{"leaves",
                old.describe() + " leaves: it finishes what it serves; worker " +
                    std::to_string(successor->id()) + " takes its place",
                {{"worker", std::int64_t{old.id()}},
                 {"pid", std::int64_t{old.pid()}},
                 {"successor", std::int64_t{successor->id()}}}};
  // After the fork's own event.
  loop_.post(callbacks_.wrap([this, leaves] { say(loop_, leaves); }));
}

void Primary::operator()(const action::End& wanted) {
  using Why = action::End::Why;
  const auto found = workers_.find(wanted.worker);
  if (found == workers_.end()) return;
  const std::shared_ptr<ForkedWorker> worker = found->second.worker;  // it may be gone after this
  if (wanted.why == Why::TooMany || wanted.why == Why::TwoInAPlace) {
    const std::string why =
        wanted.why == Why::TooMany
            ? "is ended: it left its place, and so did " + std::to_string(kLeaversMax - 1) +
                  " after it that live"
            : "is ended: its place has two workers, since one that seemed to leave came back";
    say(loop_, {"leaver_ended",
                worker->describe() + ' ' + why,
                {{"worker", std::int64_t{worker->id()}}, {"pid", std::int64_t{worker->pid()}}}});
  }
  worker->end(ending_rules(std::chrono::steady_clock::now()));
}

void Primary::operator()(const action::Kill& wanted) {
  const int id = wanted.worker;
  const auto found = workers_.find(id);
  if (found == workers_.end()) return;
  const ForkedWorker& worker = *found->second.worker;
  const auto grace = std::chrono::duration<double>(supervisor_.state().drain_timeout).count();
  std::ostringstream text;
  text << worker.describe() << " left its place and was told to end; it did not within " << grace
       << " s, and is killed";
  say(loop_, {"leaver_killed",
              text.str(),
              {{"worker", std::int64_t{id}}, {"pid", std::int64_t{worker.pid()}}}});
  found->second.worker->kill_group(SIGKILL);
}

void Primary::operator()(const action::DisconnectAll&) {
  const auto start = supervisor_.state().deadline
                         ? *supervisor_.state().deadline - supervisor_.state().drain_timeout
                         : std::chrono::steady_clock::now();
  const EndingRules rules = ending_rules(start);
  for (const auto& [id, entry] : std::map(workers_)) entry.worker->end(rules);
}

EndingRules Primary::ending_rules(TimePoint start) const {
  return {settings().stop_signal.value_or(SIGTERM), start, supervisor_.state().drain_timeout};
}

void Primary::operator()(const action::GiveUp&) {
  Remark reason{"gave_up",
                "no worker was ever ready after " + std::to_string(kTriesMax) + " tries; giving up",
                {{"tries", std::int64_t{kTriesMax}}}};
  if (last_death_) {
    reason.text += "; the last one: " + last_death_->how;
    reason.fields.emplace_back("last", last_death_->how);
    if (!last_death_->stderr_lines.empty()) {
      reason.text += "; its last lines on stderr:";
      reason.fields.emplace_back("lines", last_death_->stderr_lines);
    }
  }
  say(loop_, std::move(reason));
}

}  // namespace cohort::cluster
