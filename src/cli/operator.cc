#include "cli/operator.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <csignal>
#include <limits>
#include <memory>
#include <set>
#include <utility>

#include "base/command_line.h"
#include "base/read_file.h"
#include "base/sys.h"
#include "cli/changes.h"
#include "cli/debugger_visit.h"
#include "cli/memory_room.h"
#include "cli/preparation.h"
#include "cli/program_now.h"
#include "cli/stack_dump.h"
#include "manager/recycle_rule.h"
#include "manager/status_json.h"
#include "process/identity.h"
#include "process/signals.h"

namespace cohort::cli {
namespace {

using manager::RecycleLimits;

// How often workers are held against their limits.
constexpr std::chrono::seconds kLimitsLook{2};
constexpr const char* kStillBegins = "it starts, and its --once command has not ended";

std::vector<std::string> differences(const ProgramNow& before, const ProgramNow& now) {
  std::vector<std::string> result = changes(before.options, now.options);
  const auto compare = [&result](const char* what, const std::string& was, const std::string& is) {
    if (was != is) result.push_back(std::string{what} + ' ' + was + " -> " + is);
  };
  compare("program", before.settings.exec, now.settings.exec);
  compare("command", join_words(before.direct), join_words(now.direct));
  compare("directory", before.directory, now.directory);
  return result;
}

std::uint64_t resident_of(pid_t pid) {
  const auto usage = manager::usage_of(pid);
  return usage ? usage->memory_bytes : 0;
}

// The kernel counts the pages of a process for its PSS, which is never more than what is resident.
std::optional<std::uint64_t> memory_of(pid_t pid, std::uint64_t limit) {
  const auto usage = manager::usage_of(pid);
  if (!usage || usage->memory_bytes <= limit) return std::nullopt;
  return manager::own_memory_of(pid).value_or(usage->memory_bytes);
}

// Of those who serve. Those that are parked make room.
MemoryNow memory_now(const ClusterStatus& status) {
  const auto room = memory_room(read_file);
  MemoryNow now{.left = room.value_or(std::numeric_limits<std::uint64_t>::max())};
  std::vector<pid_t> serve;
  for (const WorkerStatus& worker : status.workers) {
    if (worker.kept) serve.push_back(worker.pid);
    if (worker.held && room) now.left += memory_of(worker.pid, 0).value_or(0);
  }
  now.workers = static_cast<unsigned>(serve.size());
  // What is resident is an upper bound, and costs less to know.
  for (const pid_t pid : serve) now.needed += resident_of(pid);
  if (now.is_enough()) return now;
  now.needed = 0;
  for (const pid_t pid : serve) now.needed += memory_of(pid, 0).value_or(0);
  return now;
}

}  // namespace

Operator::Operator(Cluster& cluster, unsigned count, ProgramNow serving, Preparation& preparation,
                   MemoryGroups& memory_groups, Narrator& narrator,
                   manager::ServiceManager& systemd, Say say)
    : cluster_{cluster},
      count_{count},
      is_auto_{!serving.options.workers},
      why_so_many_{count_now(serving.options).why},
      serving_{std::move(serving)},
      preparation_{preparation},
      memory_groups_{memory_groups},
      narrator_{narrator},
      systemd_{systemd},
      say_{std::move(say)},
      signals_{cluster.io_context()} {}

void Operator::listen() {
  boost::system::error_code ignored;
  cluster_.on_rollout([this](const RolloutResult& result) {
    if (result.outcome != RolloutResult::Outcome::Reached) went_back();
  });
  for (const int signal : {SIGHUP, SIGQUIT, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2})
    signals_.add(signal, ignored);
  await_signal();
}

void Operator::begin(std::function<void(const std::string&, bool)> begun) {
  begins_ = true;
  if (!serving_.options.once.empty()) say_(narrator_.prepares(serving_.options.once));
  preparation_.run(serving_, [this, begun](const Preparation::Outcome& outcome) {
    begins_ = false;
    if (outcome.problem.empty()) cluster_.keep(count_);
    begun(outcome.problem, outcome.permanent);
  });
}

void Operator::await_signal() {
  signals_.async_wait([this](boost::system::error_code error, int signal) {
    if (error) return;
    obey(signal);
    await_signal();
  });
}

void Operator::obey(int signal) {
  switch (signal) {
    case SIGQUIT:
      return cluster_.stop();
    case SIGTTIN:
      (void)scale(count_ + 1);
      return;
    case SIGTTOU:
      if (count_ == 1) return say_(narrator_.last_worker());
      (void)scale(count_ - 1);
      return;
    case SIGUSR1:
    case SIGUSR2:
      return say_(narrator_.means_nothing(signal));
    default:
      break;
  }
  switch (hangup_.means()) {
    case Hangup::Means::Reload:
      (void)reload();
      return;
    case Hangup::Means::TheEnd:
      return cluster_.stop();
    case Hangup::Means::Nothing:
      break;
  }
}

Result<void> Operator::scale(unsigned count) {
  if (count < 1 || count > kWorkersMax)
    return make_error(Errc::InvalidArgument, "scale",
                      "there can be 1 to " + std::to_string(kWorkersMax) + " workers");
  is_auto_ = false;
  have({count, "as asked"});
  watch_count();
  return {};
}

void Operator::have(const WorkerCount& wanted) {
  count_ = wanted.count;
  why_so_many_ = wanted.why;
  say_(narrator_.scaled(count_));
  if (!begins_) cluster_.scale(count_);
}

Result<unsigned> Operator::scale_auto() {
  is_auto_ = true;
  have(count_now({.max_memory = serving_.options.max_memory}));
  watch_count();
  return count_;
}

// Whoever changes the limits of a container need not tell.
void Operator::watch_count() {
  if (count_timer_) count_timer_->cancel();
  if (!is_auto_) return;
  count_timer_ = cluster_.set_interval(kLimitsLook, [this] {
    const WorkerCount now = count_now({.max_memory = serving_.options.max_memory});
    if (now.count == count_) return;
    say_(narrator_.limits_changed(now.why));
    have(now);
  });
}

Result<unsigned> Operator::scale_by(int change) {
  const auto count = static_cast<std::int64_t>(count_) + change;
  if (count < 1)
    return make_error(Errc::InvalidArgument, "scale",
                      "one worker has to stay; to end it: cohort stop");
  const auto done = scale(static_cast<unsigned>(std::min<std::int64_t>(count, kWorkersMax + 1)));
  if (!done) return done.error();
  return count_;
}

Result<int> Operator::reload(const manager::ReloadWish& wish,
                             std::function<void(const RolloutResult&)> done) {
  systemd_.reloading();
  const auto over = [this](const Report& verdict) {
    say_(verdict);
    systemd_.reloaded(verdict.text);
  };
  const auto refuse = [this, over](const std::string& why) {
    over(narrator_.cannot_reload(why));
    return make_error(Errc::InvalidArgument, "reload", why);
  };
  if (begins_) return refuse(kStillBegins);
  auto found = found_now();
  if (const auto* problem = std::get_if<CannotRun>(&found)) return refuse(problem->text);
  auto& now = std::get<ProgramNow>(found);
  process::give_back_identity(serving_.settings.spawn, now.settings.spawn);
  if (const auto why = memory_groups_.limit(now.options, now.settings.spawn))
    say_(narrator_.memory_not_limited(*why));
  ReloadOptions plan = plan_of(now, wish);
  plan.before = [this, now](Callback<void(Result<void>)> ready) {
    preparation_.run(now, [ready = std::function<void(Result<void>)>{std::move(ready)}](
                              const Preparation::Outcome& outcome) {
      if (outcome.problem.empty()) return ready({});
      ready(make_error(Errc::InvalidArgument, "--once", outcome.problem));
    });
  };
  const int generation =
      cluster_.reload(std::move(plan), [this, now, over, done](const RolloutResult& result) {
        if (result.outcome == RolloutResult::Outcome::Reached) reached(now);
        over(narrator_.reloaded(result, parked_for()));
        if (result.outcome == RolloutResult::Outcome::Reached)
          say_which_ports_are_left(result.generation);
        if (done) done(result);
      });
  say_(narrator_.reloading(generation, differences(serving_, now)));
  if (!now.options.once.empty()) say_(narrator_.prepares(now.options.once));
  return generation;
}

// As a reload would run it.
std::variant<ProgramNow, CannotRun> Operator::found_now() const {
  const auto options = options_now(serving_.options);
  if (const auto* problem = std::get_if<CannotRun>(&options)) return *problem;
  return program_now(std::get<RunOptions>(options));
}

Result<std::vector<std::string>> Operator::changes_now() const {
  if (begins_) return make_error(Errc::InvalidArgument, "reload", kStillBegins);
  const auto found = found_now();
  if (const auto* problem = std::get_if<CannotRun>(&found))
    return make_error(Errc::InvalidArgument, "reload", problem->text);
  return differences(serving_, std::get<ProgramNow>(found));
}

// What is not of a worker's start counts from now on.
void Operator::reached(const ProgramNow& now) {
  before_ = std::exchange(serving_, now);
  counts_from_now_on(before_->options);
}

// A new version may listen elsewhere. That may be a mistake, which only clients would notice.
void Operator::say_which_ports_are_left(int generation) const {
  const ClusterStatus status = cluster_.status();
  std::set<int> serve;
  for (const WorkerStatus& worker : status.workers)
    if (worker.generation == generation) serve.insert(worker.id);
  for (const PortStatus& port : status.ports)
    if (std::none_of(port.workers.begin(), port.workers.end(),
                     [&](int id) { return serve.contains(id); }))
      say_(narrator_.port_left(port.address, generation));
}

Result<int> Operator::rollback() {
  const ClusterStatus status = cluster_.status();
  const bool is_parked = status.parked && !status.rollout;
  const auto generation = cluster_.rollback();
  if (!generation) return generation;
  goes_back_ = is_parked;
  say_(narrator_.rolls_back(*generation));
  return generation;
}

// The old workers stay beside as many new ones, as far as there is memory for both. Those that are
// parked now end first.
ReloadOptions Operator::plan_of(const ProgramNow& now, const manager::ReloadWish& wish) const {
  ReloadOptions plan{.settings = now.settings,
                     .ready_within = now.options.ready_within,
                     .prove = now.options.prove,
                     .park = now.options.park};
  const MemoryNow memory = memory_now(cluster_.status());
  if (wish.canary) plan.canaries = wish.canary->of(count_);
  if (wish.batch) plan.batch = wish.batch->of(count_);
  if (wish.max_surge)
    plan.max_surge = wish.max_surge->of(count_);
  else if (!memory.is_enough())
    plan.max_surge = memory.workers_more();
  const bool makes_room = plan.max_surge > 0 && plan.max_surge < count_;
  if (!memory.is_enough())
    say_(narrator_.little_memory(memory, plan.max_surge));
  else if (makes_room && plan.park.count() > 0)
    say_(narrator_.parks_nobody(plan.max_surge));
  if (makes_room || !memory.is_enough()) plan.park = std::chrono::milliseconds{0};
  return plan;
}

std::chrono::milliseconds Operator::parked_for() const {
  const auto parked = cluster_.status().parked;
  return parked ? parked->left : std::chrono::milliseconds{0};
}

// Its own reload has told that it was reached: this comes after.
void Operator::went_back() {
  if (!std::exchange(goes_back_, false) || !before_) return;
  const RunOptions newer = std::exchange(serving_, *std::exchange(before_, {})).options;
  say_(narrator_.rolled_back(cluster_.status().generation));
  counts_from_now_on(newer);
}

void Operator::counts_from_now_on(const RunOptions& before) {
  const ProgramNow& now = serving_;
  if (now.options.grace != before.grace)
    cluster_.set_drain_timeout(now.options.grace.value_or(kGraceDefault));
  cluster_.set_lame_duck(now.options.lame_duck);
  cluster_.set_when_empty(now.options.when_empty);
  watch();
  if (now.options.workers == before.workers) return;
  if (now.options.workers)
    (void)scale(*now.options.workers);
  else
    (void)scale_auto();
}

void Operator::watch() {
  watch_count();
  watch_limits();
  watch_hangs();
  watch_files();
}

void Operator::watch_files() {
  if (!serving_.options.watch) files_.reset();
  if (!serving_.options.watch || (files_ && files_->folder() == serving_.directory)) return;
  files_ = std::make_unique<manager::FileWatch>(
      Loop{cluster_.io_context(), cluster_.io_context().get_executor()}, serving_.directory,
      [this](const std::filesystem::path& file) {
        say_(narrator_.changed(file.lexically_relative(serving_.directory).string()));
        (void)reload();
      });
  const auto started = files_->start();
  if (started) return;
  const bool too_many = started.error().code == boost::system::errc::no_space_on_device;
  say_(narrator_.cannot_watch(started.error().message() +
                              (too_many ? " (raise fs.inotify.max_user_watches)" : "")));
}

void Operator::watch_limits() {
  if (limits_timer_) limits_timer_->cancel();
  const std::uint64_t killed_by_kernel = serving_.settings.spawn.memory_max.value_or(0);
  narrator_.limits_memory(killed_by_kernel > 0 ? std::optional{killed_by_kernel} : std::nullopt);
  const RecycleLimits limits{serving_.options.max_memory, serving_.options.kill_memory,
                             serving_.options.max_age, serving_.options.max_requests};
  if (!limits.any()) return;
  limits_timer_ = cluster_.set_interval(
      kLimitsLook, [this, limits, rule = std::make_shared<manager::RecycleRule>(limits)] {
        const auto memory = [&](const WorkerStatus& worker) {
          return memory_of(worker.pid, limits.memory.value_or(0));
        };
        const ClusterStatus status = cluster_.status();
        say_who_hides_requests(*rule, status);
        const auto too_large = rule->too_large(status, memory);
        for (const auto& each : too_large) kill_large(status, each);
        if (!too_large.empty()) return;  // not all serve any more
        const auto choice = rule->choose(status, std::chrono::steady_clock::now(), memory);
        if (!choice) return;
        say_(narrator_.recycles(choice->worker, choice->why));
        (void)recycle(choice->slot);
      });
}

// Once: those of a program are alike.
void Operator::say_who_hides_requests(const manager::RecycleRule& rule,
                                      const ClusterStatus& status) {
  if (told_who_hides_requests_) return;
  const auto found = std::ranges::find_if(status.workers, [&](const WorkerStatus& worker) {
    return rule.hides_requests(worker, status);
  });
  if (found == status.workers.end()) return;
  told_who_hides_requests_ = true;
  say_(narrator_.hides_requests(found->id));
}

// Also one that was told to end, or left: nobody can be asked for that one.
void Operator::kill_large(const ClusterStatus& status,
                          const manager::RecycleRule::Choice& choice) const {
  say_(narrator_.kills_large(choice.worker, choice.why));
  if (const auto worker = worker_called(choice.worker)) return void(worker->kill(SIGKILL));
  for (const WorkerStatus& each : status.workers)
    if (each.id == choice.worker && each.pid > 0) sys::kill(each.pid, SIGKILL);
}

void Operator::watch_hangs() {
  if (hangs_timer_) hangs_timer_->cancel();
  if (!serving_.options.kill_hung) return;
  const auto rule = std::make_shared<manager::HangRule>(*serving_.options.kill_hung);
  hangs_timer_ = cluster_.set_interval(rule->period(), [this, rule] { look_for_hangs(rule); });
}

// Only those that have listened: one that starts may take its time. Nobody who was told to end, or
// gave up its channel.
void Operator::look_for_hangs(const std::shared_ptr<manager::HangRule>& rule) {
  std::map<int, Worker> all;
  for (const WorkerStatus& each : cluster_.status().workers)
    if (each.ready || each.state == WorkerStatus::State::Checking)
      if (auto worker = worker_called(each.id)) all.emplace(each.id, *std::move(worker));
  const auto evidence = [&all](int id) {
    const auto found = all.find(id);
    return found == all.end() ? std::nullopt
                              : manager::loop_evidence_of(found->second.process().pid());
  };
  for (const auto& verdict : rule->look(std::chrono::steady_clock::now(), evidence)) {
    if (verdict.is_to_blame())
      end_hung(rule, verdict);
    else
      say_(narrator_.hangs(verdict, {}));
  }
  for (const auto& [id, worker] : all) {
    if (rule->is_asked(id)) continue;
    const auto asked = worker.ping([weak = std::weak_ptr{rule}, id = id] {
      if (const auto alive = weak.lock()) alive->forget(id);
    });
    if (asked)
      rule->asked(id, std::chrono::steady_clock::now());
    else if (!std::exchange(told_who_cannot_be_asked_, true))
      say_(narrator_.cannot_be_asked(id, asked.error().detail));
  }
}

void Operator::end_hung(const std::shared_ptr<manager::HangRule>& rule,
                        const manager::HangRule::Verdict& verdict) {
  const ClusterStatus status = cluster_.status();
  const auto worker = std::ranges::find(status.workers, verdict.worker, &WorkerStatus::id);
  if (worker == status.workers.end()) return;
  const auto kill = [this, rule, verdict, pid = worker->pid](const std::string& no_js) {
    dump_stack(cluster_, pid, [=, this](const std::vector<std::string>& stack) {
      kill_hung(rule, verdict, stack, no_js);
    });
  };
  if (!serving_.options.js_stack) return kill({});
  find_js_stack(cluster_.io_context(), *worker, [=, this](const JsStackFound& found) {
    if (!found.lines.empty()) return kill_hung(rule, verdict, found.lines);
    if (!found.is_debugged) return kill(found.why_not);
    // It is judged anew: the debugger may be gone by then.
    rule->forget(verdict.worker);
    if (debugged_.insert(verdict.worker).second) say_(narrator_.is_debugged(verdict.worker));
  });
}

// It may have answered, or been told to end, while its stack was read.
void Operator::kill_hung(const std::shared_ptr<manager::HangRule>& rule,
                         const manager::HangRule::Verdict& verdict,
                         const std::vector<std::string>& stack, const std::string& no_js) const {
  const auto hangs = worker_called(verdict.worker);
  if (!hangs || !rule->is_asked(verdict.worker)) return;
  say_(narrator_.hangs(verdict, stack, no_js));
  hangs->kill(SIGKILL);
}

// Of those that were not told to end, and can be asked.
std::optional<Worker> Operator::worker_called(int id) const {
  for (Worker& worker : cluster_.workers())
    if (worker.id() == id) return std::move(worker);
  return std::nullopt;
}

Result<Worker> Operator::serving_in(std::size_t slot, const char* what) const {
  const ClusterStatus status = cluster_.status();
  for (const WorkerStatus& each : status.workers) {
    if (each.slot != slot || !each.kept) continue;
    for (Worker& worker : cluster_.workers())
      if (worker.id() == each.id) return std::move(worker);
  }
  return make_error(Errc::InvalidArgument, what,
                    "no worker serves in slot " + std::to_string(slot));
}

Result<void> Operator::kill(std::size_t slot, const std::string& signal) {
  const auto number = process::signal_number(signal);
  if (!number)
    return make_error(Errc::InvalidArgument, "kill", '`' + signal + "` is no signal, as TERM is");
  const auto worker = serving_in(slot, "kill");
  if (!worker) return worker.error();
  const pid_t pid = worker->process().pid();
  if (pid <= 0) return make_error(Errc::InvalidArgument, "kill", "it could not be started");
  if (sys::kill(pid, *number) != 0)
    return errno_error("kill", std::generic_category().message(errno));
  say_(narrator_.signals(worker->id(), *number));
  return {};
}

// A successor that hangs would be in the way of the next one.
void Operator::end_if_not_ready(int worker) {
  const ClusterStatus status = cluster_.status();
  for (const WorkerStatus& each : status.workers) {
    if (each.id != worker || each.kept || each.ready || each.pid <= 0) continue;
    say_(narrator_.recycles_in_vain(worker, serving_.options.ready_within));
    sys::kill(each.pid, SIGKILL);
  }
}

Result<int> Operator::recycle(std::size_t slot) {
  const auto worker = serving_in(slot, "recycle");
  if (!worker) return worker.error();
  if (const auto successor = cluster_.replace(*worker)) {
    const int id = successor->id();
    cluster_.set_timeout(serving_.options.ready_within, [this, id] { end_if_not_ready(id); });
    return id;
  }
  return make_error(Errc::InvalidArgument, "recycle",
                    "the worker in slot " + std::to_string(slot) + " is being replaced already");
}

}  // namespace cohort::cli
