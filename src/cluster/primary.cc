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
// At the end of the service: how long handshakes under way have to complete, how often the queues
// are looked at from then on, and until when.
constexpr std::chrono::milliseconds kArrivalsMin{100};
constexpr std::chrono::milliseconds kArrivalsLook{10};
constexpr std::chrono::milliseconds kArrivalsMax{2000};

std::string policy_of_environment() {
  const char* value = std::getenv("NODE_CLUSTER_SCHED_POLICY");
  return value != nullptr ? value : "";
}

}  // namespace

Primary::Primary(const Loop& loop, std::shared_ptr<ipc::Calls> calls, bool may_fork,
                 std::function<void(int)> finish)
    : loop_{loop},
      calls_{std::move(calls)},
      may_fork_{may_fork},
      finish_{std::move(finish)},
      policy_{.policy = policy_from(policy_of_environment()).value_or(Policy::Auto)},
      timer_{loop.context()},
      arrivals_timer_{loop.executor()} {}

Primary::~Primary() {
  for (const auto& [id, entry] : workers_) entry.worker->abandon();
}

// Settings.

void Primary::setup(const Settings& settings) {
  if (!set_up_) {
    // Node takes a word that it does not know for none.
    const std::string word = policy_of_environment();
    if (!policy_chosen_ && may_fork_ && !word.empty() && !policy_from(word))
      say(loop_, {"unknown_policy",
                  "NODE_CLUSTER_SCHED_POLICY=" + word +
                      ": not a policy; going on with auto (others: adaptive, hash, sticky, "
                      "round-robin, shared)",
                  {{"given", word}}});
    // In a turn of its own: the listeners are in the middle of something.
    const auto decided = [this](const Address& address, Policy policy, const std::string& why) {
      loop_.post(callbacks_.wrap(
          [this, address, policy, why] { on_policy.emit(loop_, address, policy, why); }));
    };
    listeners_ = std::make_unique<Listeners>(loop_, policy_, decided);
    listeners_->set_weights(weights_);
  }
  set_up_ = true;
  settings_ = merged(settings_, settings);
  loop_.post(callbacks_.wrap([this, now = settings_] { on_setup.emit(loop_, now); }));
}

void Primary::set_policy(ChosenPolicy chosen) {
  if (!set_up_) {
    policy_ = std::move(chosen);
    policy_chosen_ = true;
  } else if (may_fork_)
    say(loop_, {"policy_too_late",
                std::string{"set_policy("} + to_string(chosen.policy) +
                    ") comes too late and changes nothing: the policy was decided (" +
                    to_string(policy_.policy) + ") at the first setup_primary, fork or keep",
                {{"given", std::string{to_string(chosen.policy)}},
                 {"policy", std::string{to_string(policy_.policy)}}}});
}

void Primary::set_weights(SlotBook::Weights weights) {
  weights_ = std::move(weights);
  if (listeners_) listeners_->set_weights(weights_);
}

void Primary::set_drain_timeout(std::chrono::milliseconds timeout) {
  supervisor_.drain_timeout = timeout;
}

// Forking.

Worker Primary::fork(const Environment& env) { return Worker{fork_worker(env, std::nullopt)}; }

std::shared_ptr<ForkedWorker> Primary::fork_worker(const Environment& env,
                                                   std::optional<std::size_t> place) {
  setup({});
  const auto worker = std::make_shared<ForkedWorker>(
      loop_, calls_, static_cast<ForkedWorkerOwner&>(*this), ++last_id_, free_slot(place));
  workers_.emplace(worker->id(), Entry{worker});
  const auto started = start(*worker, env, place.has_value());
  if (!started) {
    listeners_->lose(worker->id());
    loop_.post([worker, error = started.error()] { worker->failed_to_start(error); });
  }
  // Only now is there somebody who can be told to end.
  tell(event::Forked{worker->id(), place});
  if (listeners_->uses_any(worker->id())) tell(event::Opened{worker->id()});
  loop_.post(callbacks_.wrap([this, worker] { on_fork.emit(loop_, Worker{worker}); }));
  return worker;
}

// One that no living process has, but for those that left their place and use no port: the wanted
// one, else the first.
std::size_t Primary::free_slot(std::optional<std::size_t> wanted) const {
  std::set<std::size_t> taken;
  for (const auto& [id, entry] : workers_)
    if (!entry.worker->is_dead() && !has_left(supervisor_, id)) taken.insert(entry.worker->slot());
  if (wanted && !taken.contains(*wanted)) return *wanted;
  std::size_t slot = 0;
  while (taken.contains(slot)) ++slot;
  return slot;
}

Result<void> Primary::start(ForkedWorker& worker, const Environment& env, bool keep_stderr) {
  if (!may_fork_) return make_error(Errc::NotAPrimary, "fork");
  std::vector<int> listening;
  std::vector<Address> addresses;
  for (const Address& address : settings_.listen) {
    const auto lent = listeners_->lend(worker, listening.size(), address);
    if (!lent) return lent.error();
    addresses.push_back(lent->address);
    listening.push_back(lent->fd);
  }
  Environment with_slot = env;
  with_slot.emplace_back("COHORT_SLOT", std::to_string(worker.slot()));
  const WorkerLaunch wanted{.settings = settings_,
                            .env = std::move(with_slot),
                            .worker_id = worker.id(),
                            .listening = std::move(listening),
                            .keep_stderr = keep_stderr ? kLastLines : 0};
  const auto options = worker_options(wanted);
  if (!options) return options.error();
  auto launch = prepare_launch(loop_, wanted, *options);
  if (!launch) return launch.error();
  prepare_for_node(launch->request, worker);
  auto child = process::spawn(launch->request);
  if (!child) return child.error();
  worker.started(*std::move(child), *std::move(launch), *options, std::move(addresses));
  return {};
}

// The index of the worker's debugger port: its slot, unless one that left still has that.
std::size_t Primary::debugger_for(const ForkedWorker& worker) {
  std::set<std::size_t> taken;
  for (const auto& [id, index] : debugger_of_) taken.insert(index);
  std::size_t index = worker.slot();
  if (taken.contains(index)) index = supervisor_.places.size();
  while (taken.contains(index)) ++index;
  debugger_of_[worker.id()] = index;
  return index;
}

void Primary::prepare_for_node(process::SpawnRequest& request, const ForkedWorker& worker) {
  const std::size_t index = debugger_for(worker);
  const NodeLaunch node = prepare_node(request, index, settings_.preload.value_or(true));
  if (node.no_preload && !std::exchange(without_preload_, true))
    say(loop_, {.code = "no_preload",
                .text = "Node workers start without the preload, so their own handlers run late "
                        "(docs/signals.md): " +
                        node.no_preload->message()});
  if (!node.debugger || !debuggers_.emplace(index, *node.debugger).second) return;
  // One line for all that are started in this turn.
  loop_.post(callbacks_.wrap([this, known = debuggers_.size()] {
    if (known != debuggers_.size()) return;
    std::string text = "debuggers:";
    std::vector<std::string> addresses;
    for (const auto& [of_index, where] : debuggers_) {
      text += ' ' + where;
      addresses.push_back(where);
    }
    say(loop_, {.code = "debuggers", .text = text, .fields = {{"addresses", addresses}}});
  }));
}

std::vector<Worker> Primary::workers() const {
  std::vector<Worker> workers;
  for (const auto& [id, entry] : workers_)
    if (entry.in_workers) workers.emplace_back(entry.worker);
  return workers;
}

void Primary::disconnect(std::function<void()> done) {
  tell(event::Keep{0});
  if (done) disconnect_waiters_.push_back(std::move(done));
  disconnecting_ = true;
  for (const Worker& worker : workers()) worker.disconnect();
  disconnecting_ = false;
  loop_.post(callbacks_.wrap([this] { all_gone(); }));
}

// Tells those who wait for it that no worker is left.
void Primary::all_gone() {
  if (!workers_.empty() || disconnect_waiters_.empty()) return;
  if (listeners_) listeners_->release_all();
  for (const auto& waiter : std::exchange(disconnect_waiters_, {})) waiter();
}

void Primary::keep(unsigned count) { tell(event::Keep{count}); }

void Primary::terminate() { tell(event::Terminate{}); }

bool Primary::keeps_ports() const {
  return !supervisor_.places.empty() && supervisor_.phase == Supervisor::Phase::Running;
}

// A connection that is given back moves, which under sticky, and without rescue, none does.
bool Primary::goes_on() const {
  const bool never = policy_.rescue_after && policy_.rescue_after->count() <= 0;
  if (never || policy_.policy == Policy::Sticky) return false;
  const bool others = listeners_ && listeners_->have_users();
  return supervisor_.phase == Supervisor::Phase::Running && !disconnecting_ &&
         (others || keeps_ports());
}

// What workers report.

void Primary::worker_online(ForkedWorker& worker) {
  on_online.emit(loop_, Worker{worker.shared_from_this()});
}

void Primary::worker_listening(ForkedWorker& worker, const Address& address) {
  if (!is_private(address, worker.pid())) tell(event::Ready{worker.id()});
  on_listening.emit(loop_, Worker{worker.shared_from_this()}, address);
}

void Primary::worker_message(ForkedWorker& worker, const Value& message, Handle& handle) {
  const Worker sender{worker.shared_from_this()};
  on_message.emit(loop_, sender, message);
  on_handle(sender, message, handle);
}

void Primary::worker_disconnected(ForkedWorker& worker) {
  on_disconnect.emit(loop_, Worker{worker.shared_from_this()});
}

void Primary::worker_idle(ForkedWorker& worker) { tell(event::Idle{worker.id()}); }

void Primary::worker_exited(ForkedWorker& worker, const Exit& exit) {
  std::ostringstream how;
  how << "pid " << worker.pid() << ' ' << exit;
  last_death_ = LastDeath{how.str(), worker.last_stderr_lines(kLastLines)};
  on_exit.emit(loop_, Worker{worker.shared_from_this()}, exit);
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
  // One that comes back: its successor has its slot.
  if (has_left(supervisor_, worker.id())) worker.set_slot(free_slot({}));
  listeners_->query(worker, query);
  if (listeners_->uses_any(worker.id())) tell(event::Opened{worker.id()});
}

void Primary::worker_closed(ForkedWorker& worker) {
  tell(event::Closed{worker.id(), listeners_->uses_any(worker.id())});
}

void Primary::worker_ends(ForkedWorker& worker) { tell(event::Ends{worker.id()}); }

void Primary::gone(ForkedWorker& worker, std::optional<process::LeftGroup> left) {
  const int id = worker.id();
  workers_.erase(id);
  debugger_of_.erase(id);
  if (left) {
    const auto grace =
        std::chrono::duration_cast<std::chrono::milliseconds>(supervisor_.drain_timeout);
    left_.try_emplace(id, loop_, std::move(*left), grace, [this, id] {
      left_.erase(id);
      tell(event::Vanished{id});
    });
  }
  tell(event::Exited{id, left_.contains(id)});
  all_gone();
}

// The supervisor.

void Primary::tell(const SupervisorEvent& event) {
  const auto actions = step(supervisor_, event, std::chrono::steady_clock::now());
  for (const auto& action : actions) carry_out(action);
  arm_timer();
}

void Primary::carry_out(const SupervisorAction& action) {
  if (const auto* fork_action = std::get_if<action::Fork>(&action)) {
    fork_for(*fork_action);
  } else if (const auto* release = std::get_if<action::Release>(&action)) {
    listeners_->release_closed(release->worker);
  } else if (const auto* end = std::get_if<action::End>(&action)) {
    end_leaver(*end);
  } else if (const auto* kill = std::get_if<action::Kill>(&action)) {
    kill_leaver(kill->worker);
  } else if (std::holds_alternative<action::DisconnectAll>(action)) {
    if (letting_in_) return;  // who came since is told with the others
    if (!arrivals_until_ && listeners_ && listeners_->stop_arrivals()) {
      const auto drain =
          std::chrono::duration_cast<std::chrono::milliseconds>(supervisor_.drain_timeout);
      arrivals_until_ = std::chrono::steady_clock::now() + std::min(kArrivalsMax, drain / 2);
      let_arrivals_in(std::min(kArrivalsMin, drain / 4));
    } else {
      end_all();
    }
  } else if (std::holds_alternative<action::KillAll>(action)) {
    for (const auto& [id, entry] : workers_) entry.worker->kill_group(SIGKILL);
    for (auto& [id, group] : left_) group.kill();
  } else if (std::holds_alternative<action::GiveUp>(action)) {
    give_up();
  } else if (std::holds_alternative<action::Finish>(action)) {
    if (listeners_) listeners_->release_all();
    loop_.post(callbacks_.wrap([this] { finish_(exit_code_); }));
  }
}

void Primary::fork_for(const action::Fork& wanted) {
  const auto successor = fork_worker({}, wanted.place);
  const auto found = workers_.find(wanted.beside.value_or(0));
  if (found == workers_.end()) return;
  const auto& old = *found->second.worker;
  Remark leaves{"leaves",
                old.describe() + " leaves: it finishes what it serves; worker " +
                    std::to_string(successor->id()) + " takes its place",
                {{"worker", std::int64_t{old.id()}},
                 {"pid", std::int64_t{old.pid()}},
                 {"successor", std::int64_t{successor->id()}}}};
  // After the fork's own event.
  loop_.post(callbacks_.wrap([this, leaves] { say(loop_, leaves); }));
}

void Primary::end_leaver(const action::End& wanted) {
  using Why = action::End::Why;
  const auto found = workers_.find(wanted.worker);
  if (found == workers_.end()) return;
  const std::shared_ptr<ForkedWorker> worker = found->second.worker;  // it may be gone after this
  if (wanted.why != Why::ServesNothing) {
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

void Primary::kill_leaver(int id) {
  const auto found = workers_.find(id);
  if (found == workers_.end()) return;
  const ForkedWorker& worker = *found->second.worker;
  const auto grace = std::chrono::duration<double>(supervisor_.drain_timeout).count();
  std::ostringstream text;
  text << worker.describe() << " left its place and was told to end; it did not within " << grace
       << " s, and is killed";
  say(loop_, {"leaver_killed",
              text.str(),
              {{"worker", std::int64_t{id}}, {"pid", std::int64_t{worker.pid()}}}});
  found->second.worker->kill_group(SIGKILL);
}

// A port that is closed resets what waits in its queue. So first nothing more comes, and the
// workers go on until they have taken all that has.
void Primary::let_arrivals_in(std::chrono::milliseconds time) {
  letting_in_ = true;
  arrivals_timer_.expires_after(time);
  arrivals_timer_.async_wait(callbacks_.wrap([this](boost::system::error_code error) {
    if (error || supervisor_.phase != Supervisor::Phase::Draining) return;
    const bool late = std::chrono::steady_clock::now() >= *arrivals_until_;
    if (listeners_->any_waiting() && !late) return let_arrivals_in(kArrivalsLook);
    letting_in_ = false;
    end_all();
  }));
}

void Primary::end_all() {
  const auto start = supervisor_.deadline ? *supervisor_.deadline - supervisor_.drain_timeout
                                          : std::chrono::steady_clock::now();
  const EndingRules rules = ending_rules(start);
  for (const auto& [id, entry] : std::map(workers_)) entry.worker->end(rules);
}

EndingRules Primary::ending_rules(TimePoint start) const {
  return {settings_.stop_signal.value_or(SIGTERM), start, supervisor_.drain_timeout};
}

void Primary::arm_timer() {
  const auto at = next_wakeup(supervisor_);
  if (!at) {
    timer_.cancel();
    return;
  }
  timer_.expires_at(*at);
  timer_.async_wait(callbacks_.wrap([this](boost::system::error_code error) {
    if (!error) loop_.run_here(callbacks_.wrap([this] { tell(event::TimePassed{}); }));
  }));
}

void Primary::give_up() {
  exit_code_ = 1;
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
