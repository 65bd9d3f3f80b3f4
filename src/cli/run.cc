#include "cli/run.h"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <map>
#include <memory>
#include <sstream>
#include <utility>

#include "base/cgroups.h"
#include "base/command_line.h"
#include "base/line_output.h"
#include "base/read_file.h"
#include "base/stop_wishes.h"
#include "base/sys.h"
#include "cli/colour.h"
#include "cli/descendants.h"
#include "cli/memory_groups.h"
#include "cli/names.h"
#include "cli/operator.h"
#include "cli/plan.h"
#include "cli/preparation.h"
#include "cli/program_now.h"
#include "cli/report.h"
#include "cli/restart.h"
#include "cli/run_all.h"
#include "cli/unused_memory.h"
#include "cli/worker_count.h"
#include "cli/wrapper_check.h"
#include "cluster/private_socket.h"
#include "manager/admin.h"
#include "manager/control.h"
#include "manager/runtime_directory.h"
#include "manager/service_manager.h"
#include "net/holder.h"

namespace cohort::cli {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// While no worker listens, the process trees are looked at now and then, ever more rarely.
constexpr auto kFirstLook = 1s;
constexpr auto kSilentFor = 5s;
constexpr auto kLastLook = 2min;
// A worker that dies younger than this without having listened may have found its port taken.
constexpr auto kEarly = 10s;
// After a start, and a reload, memory is given back.
constexpr auto kAtRest = 10s;

std::string now_text() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto millis =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char date[32], text[48];
  std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text, sizeof text, "%s.%03dZ", date, static_cast<int>(millis));
  return text;
}

/// Failures to start a program that the next try would meet again.
bool is_permanent(const Error& error) {
  if (error.code.category() != boost::system::system_category()) return true;
  switch (error.code.value()) {
    case EAGAIN:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case ETXTBSY:
    case EIO:
      return false;
    default:
      return true;
  }
}

class Runner {
 public:
  explicit Runner(const RunOptions& options);
  int run();

 private:
  struct Life {
    Worker worker;
    Clock::time_point since;
    int generation = 1;
    bool online = false;
    bool listens = false;
    Value hung = {};  // how it was found before it was killed for that
  };

  bool listen_for_verbs(Operator& by);
  void stop();
  Result<void> restart();
  bool listen_for_probes();
  void say(const Report& report);
  void say(const Narrator::Reports& reports);
  void say_end(const Report& report, const Worker& worker, const Exit& exit, const Life* life);
  std::string line_of(const Report& report) const;
  void on_fork(const Worker& worker);
  void on_begun(const std::string& problem, bool permanent);
  void on_error(const Worker& worker, const Error& error);
  void on_exit(const Worker& worker, const Exit& how);
  bool was_out_of_memory(const Exit& exit);
  void on_stopping(const Stopping& stopping);
  void look_after(Clock::duration delay);
  void look();
  bool explain_silence(const std::vector<WrapperJudge::Seen>& seen);
  void refuse(const PortHolder& holder);
  void give_up(int verdict);
  bool is_worker(pid_t pid) const;

  const RunOptions& options_;
  const std::string program_;  ///< With its arguments, for people.
  const unsigned count_;
  const bool colour_ = wants_colour(STDERR_FILENO);
  const Clock::time_point start_ = Clock::now();
  MemoryGroups memory_groups_;  ///< Outlives the workers.
  Cluster cluster_;
  manager::ServiceManager systemd_{cluster_, manager::take_service_wishes()};
  Narrator narrator_;
  Preparation preparation_{cluster_};
  Descendants descendants_;
  LineOutput stderr_{Loop{cluster_.io_context(), cluster_.io_context().get_executor()},
                     STDERR_FILENO,
                     [this](std::uint64_t lines) { return line_of(narrator_.gap(lines)); }};
  WrapperJudge judge_;
  std::map<int, Life> lives_;
  std::optional<Timer> next_look_;
  bool explained_silence_ = false, explained_wrapper_ = false;
  StopWishes stop_wishes_;
  bool hurries_ = false;
  Clock::time_point stop_by_ = Clock::now();
  std::uint64_t oom_kills_ = oom_kills(read_file).value_or(0);  ///< That are accounted for.
  std::string not_started_;  ///< Why the last try to start a worker failed.
  std::unique_ptr<manager::Control> control_;
  std::string name_;                       ///< As which it ran.
  bool restarts_ = false;                  ///< Once it has ended.
  std::unique_ptr<manager::Admin> admin_;  ///< Asks control_.
  std::optional<int> verdict_;             ///< The exit code, once we know that it cannot work.
};

Runner::Runner(const RunOptions& options)
    : options_{options},
      program_{command_text(words_of(options))},
      count_{count_now(options).count},
      narrator_{program_, count_, options.stop_signal.value_or(SIGTERM)},
      descendants_{cluster_.io_context(),
                   {.is_worker = [this](pid_t pid) { return is_worker(pid); },
                    .stopped =
                        [this](pid_t pid, std::optional<int> signal_number) {
                          say(narrator_.stopped(pid, signal_number.value_or(0)));
                        }}} {
  cluster_.on_fork([this](const Worker& worker) { on_fork(worker); });
  cluster_.on_online([this](const Worker& worker) {
    if (const auto life = lives_.find(worker.id()); life != lives_.end())
      life->second.online = true;
  });
  cluster_.on_listening([this](const Worker& worker, const Address& address) {
    if (cluster::is_private(address, worker.process().pid())) return;
    if (const auto life = lives_.find(worker.id()); life != lives_.end())
      life->second.listens = true;
    say(narrator_.listening(worker.id(), address));
    if (next_look_) next_look_->cancel();
  });
  cluster_.on_policy([this](const Address& address, Policy policy, std::string_view why) {
    const bool one_workers_own = std::any_of(lives_.begin(), lives_.end(), [&](const auto& life) {
      return cluster::is_private(address, life.second.worker.process().pid());
    });
    if (!one_workers_own) say(narrator_.policy(address, policy, why));
  });
  cluster_.on_exit([this](const Worker& worker, const Exit& exit) { on_exit(worker, exit); });
  cluster_.on_stopping([this](const Stopping& stopping) { on_stopping(stopping); });
  cluster_.on_notice([this](const Notice& notice) {
    if (notice.code == "cannot_listen") explained_silence_ = true;
    // Of one that lives: it broke the protocol.
    const auto worker = static_cast<int>(notice.fields["worker"].int64_or(0));
    if (notice.code == "worker_error" && !lives_.contains(worker)) not_started_ = notice.text;
    say(narrator_.notice(notice));
  });
}

int Runner::run() {
  auto found = program_now(options_);
  if (const auto* problem = std::get_if<CannotRun>(&found)) {
    say(narrator_.cannot_run(problem->text));
    return kExitPermanent;
  }
  auto& program = std::get<ProgramNow>(found);
  descendants_.start();
  // In this order: setup_primary decides the policy.
  if (options_.policy) cluster_.set_policy(*options_.policy);
  if (options_.grace) cluster_.set_drain_timeout(*options_.grace);
  cluster_.set_lame_duck(options_.lame_duck);
  cluster_.set_when_empty(options_.when_empty);
  const auto not_limited = memory_groups_.limit(options_, program.settings.spawn);
  cluster_.setup_primary(program.settings);
  Operator by_signals{
      cluster_,       count_,    program,  preparation_,
      memory_groups_, narrator_, systemd_, [this](const Report& report) { say(report); }};
  by_signals.listen();
  if (!listen_for_verbs(by_signals) || !listen_for_probes()) return *verdict_;
  by_signals.watch();
  say(narrator_.started(cluster_.policy(), ::getpid()));
  if (not_limited) say(narrator_.memory_not_limited(*not_limited));
  if (!program.direct.empty()) say(narrator_.starts_directly(program.direct));
  // When the loop hears signals: a command that dies of one leaves behind what workers have
  // started.
  cluster_.set_timeout(std::chrono::milliseconds{0}, [this, &by_signals] {
    by_signals.begin(
        [this](const std::string& problem, bool permanent) { on_begun(problem, permanent); });
  });
  const auto rest_soon = [this] { cluster_.set_timeout(kAtRest, give_back_unused_memory); };
  rest_soon();
  cluster_.on_rollout([rest_soon](const RolloutResult&) { rest_soon(); });
  const int code = cluster_.run();
  name_ = control_->name();
  admin_.reset();  // Nobody serves them any more.
  control_.reset();
  descendants_.end(code == 0 ? stop_by_ : Clock::now(), stop_wishes_,
                   [this](const auto& processes) { say(narrator_.left_behind(processes)); });
  memory_groups_.end();
  if (verdict_) return *verdict_;
  if (code >= 128) return code;  // A second signal.
  // The library has said why.
  if (code == kExitPermanent) return code;  // As every worker did.
  if (code != 0) return kExitTemporary;
  say(narrator_.stopped());
  if (restarts_) {
    stderr_.finish();
    return start_again(options_, name_);
  }
  return 0;
}

// False, and it is said: somebody else has the name that was asked for.
bool Runner::listen_for_verbs(Operator& by) {
  const std::string name = name_of(options_);
  control_ = std::make_unique<manager::Control>(
      cluster_,
      manager::Application{.name = name,
                           .program = program_,
                           .version = COHORT_VERSION,
                           .pid = ::getpid(),
                           .since = std::chrono::system_clock::now()},
      manager::Actions{
          .reload = [&by](const auto& wish, auto done) { return by.reload(wish, std::move(done)); },
          .changes = [&by] { return by.changes_now(); },
          .rollback = [&by] { return by.rollback(); },
          .scale = [&by](unsigned workers) { return by.scale(workers); },
          .scale_by = [&by](int change) { return by.scale_by(change); },
          .scale_auto = [&by] { return by.scale_auto(); },
          .stop =
              [this] {
                restarts_ = false;
                stop();
              },
          .restart = [this] { return restart(); },
          .kill = [&by](std::size_t slot,
                        const std::string& signal) { return by.kill(slot, signal); },
          .recycle = [&by](std::size_t slot) { return by.recycle(slot); },
          .directory = [&by] { return by.directory(); },
          .why_so_many = [&by] { return by.why_so_many(); },
          .why_not_started = [this] { return not_started_; }});
  const auto failed = [this, name](const Error& error) {
    std::ostringstream text;
    text << error;
    if (error.code != boost::system::errc::operation_would_block)
      return say(narrator_.no_control(text.str()));
    verdict_ = kExitPermanent;
    say(narrator_.cannot_run("an application called " + name +
                             " runs already; see it: cohort status " + name));
  };
  control_->listen(manager::runtime_directory(manager::surroundings()), options_.name.empty(),
                   failed);
  return !verdict_;
}

void Runner::stop() {
  // A second one would not wait for what is being served.
  if (!stop_wishes_.any()) cluster_.stop();
}

Result<void> Runner::restart() {
  if (stop_wishes_.any())
    return make_error(Errc::InvalidArgument, "restart", "it is being stopped");
  if (const auto possible = can_restart(); !possible) return possible.error();
  // As it would be found then: else it would end for good.
  auto options = options_now(options_);
  const auto* problem = std::get_if<CannotRun>(&options);
  auto program = problem == nullptr ? program_now(std::get<RunOptions>(options)) : CannotRun{};
  if (problem == nullptr) problem = std::get_if<CannotRun>(&program);
  if (problem != nullptr) return make_error(Errc::InvalidArgument, "restart", problem->text);
  restarts_ = true;
  stop();
  return {};
}

// False, and it is said: nobody could ask.
bool Runner::listen_for_probes() {
  if (!options_.admin) return true;
  std::string problem;
  const unsigned wanted = options_.min_ready.value_or(1);
  if (wanted > count_) {
    problem = "--min-ready is " + std::to_string(wanted) + ", and there are " +
              std::to_string(count_) + " workers: it would never be ready";
    verdict_ = kExitPermanent;
  } else {
    admin_ =
        std::make_unique<manager::Admin>(cluster_, wanted, [this] { return control_->status(); });
    const auto done = admin_->listen(*options_.admin);
    if (done) return true;
    problem = "--admin: " + net::cannot_listen(*options_.admin, done.error()).text;
    const bool busy = done.error().code == boost::system::errc::address_in_use;
    verdict_ = busy || !is_permanent(done.error()) ? kExitTemporary : kExitPermanent;
  }
  say(narrator_.cannot_run(problem));
  return false;
}

void Runner::say(const Report& report) {
  stderr_.write(line_of(report));
  if (report.event == "hangs") {
    const auto life = lives_.find(static_cast<int>(report.fields["worker"].int64_or(0)));
    if (life != lives_.end()) life->second.hung = to_value(report, now_text());
  }
  if (control_) control_->tell(to_value(report, now_text()));
}

// For people a line; for `cohort why` all that is known.
void Runner::say_end(const Report& report, const Worker& worker, const Exit& exit,
                     const Life* life) {
  stderr_.write(line_of(report));
  Value event = to_value(report, now_text());
  // Where stderr is a file, our own lines are in it, and stacks below them.
  auto lines = worker.last_stderr_lines();
  std::erase_if(lines, [](const std::string& line) {
    return line.starts_with("cohort: ") || line.starts_with("  #");
  });
  event["exit"] = exit.with_stderr(std::move(lines)).to_value();
  event["slot"] = worker.slot().value_or(0);
  if (life) {
    event["generation"] = life->generation;
    event["uptime"] = std::chrono::duration<double>(Clock::now() - life->since).count();
    if (life->hung["killed"].bool_or(false)) event["hung"] = life->hung;
  }
  if (control_) control_->tell(std::move(event));
}

std::string Runner::line_of(const Report& report) const {
  return options_.json ? to_json_line(report, now_text()) : to_line(report, colour_);
}

void Runner::say(const Narrator::Reports& reports) {
  for (const Report& report : reports) say(report);
}

void Runner::on_begun(const std::string& problem, bool permanent) {
  if (!problem.empty()) {
    say(narrator_.cannot_run(problem + "; no worker is started"));
    return give_up(permanent ? kExitPermanent : kExitTemporary);
  }
  look_after(kFirstLook);
  for (const Worker& worker : cluster_.workers())
    worker.on_error([this, worker](const Error& error) { on_error(worker, error); });
}

void Runner::on_fork(const Worker& worker) {
  if (worker.process().pid() == 0) return;  // Its error has been reported.
  std::optional<int> beside;
  for (const auto& [id, life] : lives_)
    if (life.worker.slot() == worker.slot() && !life.worker.is_dead()) beside = id;
  const auto status = cluster_.status();
  const auto kept = std::count_if(status.workers.begin(), status.workers.end(),
                                  [](const WorkerStatus& each) { return each.kept; });
  if (static_cast<std::size_t>(kept) >= status.places) not_started_.clear();
  const auto seen = std::find_if(status.workers.begin(), status.workers.end(),
                                 [&](const WorkerStatus& each) { return each.id == worker.id(); });
  lives_.emplace(worker.id(),
                 Life{.worker = worker,
                      .since = Clock::now(),
                      .generation = seen == status.workers.end() ? 1 : seen->generation});
  say(narrator_.forked(worker.id(), worker.process().pid(), beside));
}

void Runner::on_error(const Worker& worker, const Error& error) {
  if (verdict_) return;  // Of the first worker; the others have the same to say.
  std::ostringstream text;
  text << error;
  say(narrator_.failed(worker.id(), text.str()));
  if (worker.process().pid() != 0) return;  // It broke the protocol; its exit follows.
  not_started_ = text.str();
  const bool busy = error.code == boost::system::errc::address_in_use;
  if (narrator_.ever_listened() || (!busy && !is_permanent(error))) return;
  give_up(busy ? kExitTemporary : kExitPermanent);
}

// Nobody waits for what cannot work.
void Runner::give_up(int verdict) {
  verdict_ = verdict;
  cluster_.set_lame_duck(std::chrono::milliseconds{0});
  cluster_.stop();
}

// A SIGKILL that nobody here has sent. The kernel says how many it has killed, not whom.
bool Runner::was_out_of_memory(const Exit& exit) {
  if (exit.signal() != SIGKILL || exit.cause() != ExitCause::Unknown) return false;
  const auto kills = oom_kills(read_file).value_or(0);
  return kills > oom_kills_ && ++oom_kills_ != 0;
}

void Runner::on_exit(const Worker& worker, const Exit& how) {
  const Exit exit = was_out_of_memory(how) ? how.with_cause(ExitCause::OutOfMemory) : how;
  const auto died = lives_.extract(worker.id());
  const Life* const life = died ? &died.mapped() : nullptr;
  const bool early = life != nullptr && !life->listens && Clock::now() - life->since < kEarly;
  descendants_.look();
  memory_groups_.sweep();
  const auto reports =
      narrator_.exited(worker.id(), exit, worker.exited_after_disconnect(), worker.load());
  if (!verdict_)
    for (const Report& report : reports) say_end(report, worker, exit, life);
  const bool was_asked = worker.exited_after_disconnect() || stop_wishes_.any();
  if (!early || exit.success() || was_asked || narrator_.ever_listened()) return;
  judge_.died_early();
  look();
}

void Runner::on_stopping(const Stopping& stopping) {
  stop_wishes_.is_one(Clock::now());
  preparation_.end();
  if (stopping.signal || stopping.at_once) restarts_ = false;
  if (next_look_) next_look_->cancel();
  if (stopping.at_once) {
    if (!verdict_ && !std::exchange(hurries_, true))
      say(narrator_.stopping_at_once("stopping at once: requests that are being served are lost"));
    return;
  }
  stop_by_ = stopping.deadline;
  const bool first_waits = stopping.lame_duck > std::chrono::milliseconds{0};
  const Report report = first_waits
                            ? narrator_.stopping_in(stopping.lame_duck, options_.admin.has_value())
                            : narrator_.stopping();
  if (!verdict_) say(report);
}

// That lives, or whose end the library has yet to tell.
bool Runner::is_worker(pid_t pid) const {
  const auto workers = cluster_.workers();
  return preparation_.runs(pid) ||
         std::any_of(
             lives_.begin(), lives_.end(),
             [pid](const auto& life) { return life.second.worker.process().pid() == pid; }) ||
         std::any_of(workers.begin(), workers.end(),
                     [pid](const Worker& worker) { return worker.process().pid() == pid; });
}

void Runner::look_after(Clock::duration delay) {
  next_look_ =
      cluster_.set_timeout(std::chrono::duration_cast<std::chrono::milliseconds>(delay), [this] {
        look();
        const auto passed = Clock::now() - start_;
        if (!stop_wishes_.any() && !narrator_.ever_listened() && passed < kLastLook)
          look_after(std::max<Clock::duration>(kFirstLook, passed / 2));
      });
}

void Runner::look() {
  if (verdict_ || narrator_.ever_listened() || !options_.listen.empty()) return;
  std::vector<WrapperJudge::Seen> seen;
  for (const auto& [id, life] : lives_)
    seen.push_back({id, find_listeners(life.worker.process().pid())});
  if (const auto holder = judge_.judge(seen, Clock::now())) {
    // One worker has nobody to share with.
    if (count_ > 1) return refuse(*holder);
    std::error_code error;
    if (!holder->is_worker && !std::exchange(explained_wrapper_, true))
      say(narrator_.wraps(*holder, std::filesystem::current_path(error)));
    explained_silence_ = true;
  }
  const bool any_stays = std::any_of(lives_.begin(), lives_.end(), [](const auto& life) {
    return Clock::now() - life.second.since >= kSilentFor;
  });
  if (any_stays && !explained_silence_) explained_silence_ = explain_silence(seen);
}

// False while there is nothing to say yet.
bool Runner::explain_silence(const std::vector<WrapperJudge::Seen>& seen) {
  for (const auto& worker : seen) {
    for (const PortHolder& holder : worker.holders) {
      if (!holder.is_worker) return false;  // Soon the judge is certain, or the program listens.
      say(narrator_.binds_by_itself(holder));
      return true;
    }
  }
  const bool any_online = std::any_of(lives_.begin(), lives_.end(),
                                      [](const auto& life) { return life.second.online; });
  say(narrator_.silent(any_online));
  return true;
}

void Runner::refuse(const PortHolder& holder) {
  std::error_code error;
  say(narrator_.refused(holder, std::filesystem::current_path(error)));
  // A wrapper that is asked through its channel does not pass that on.
  if (!holder.is_worker) sys::kill(holder.pid, SIGTERM);
  for (const auto& [id, life] : lives_) sys::kill(-life.worker.process().pid(), SIGTERM);
  give_up(kExitPermanent);
}

}  // namespace

int run(const RunOptions& options) {
  if (options.dry_run) return dry_run(options);
  if (options.program.empty()) return run_all(options);
  remember_start();
  // This is a primary, also when a Node program started it with a channel.
  for (const char* name : {"NODE_CHANNEL_FD", "NODE_UNIQUE_ID", "COHORT_WORKERS", "COHORT_SLOT"})
    ::unsetenv(name);
  return Runner{options}.run();
}

}  // namespace cohort::cli
