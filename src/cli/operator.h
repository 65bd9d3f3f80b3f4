// What an operator asks of `cohort run`, by a verb or by a signal: HUP reloads, TTIN and TTOU
// change the number of workers, QUIT stops as TERM does. USR1 and USR2 do nothing, and it says so.
//
// Owned by the Runner; the loop's thread.
#pragma once

#include <boost/asio/signal_set.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "cli/hangup.h"
#include "cli/memory_groups.h"
#include "cli/options.h"
#include "cli/program_of.h"
#include "cli/report.h"
#include "cli/worker_count.h"
#include "manager/file_watch.h"
#include "manager/hang_rule.h"
#include "manager/recycle_rule.h"
#include "manager/service_manager.h"
#include "manager/share.h"

namespace cohort::cli {

/// How workers start: what `cohort run` was told, as it is now. `setup_primary`, and each reload.
struct ProgramNow {
  Settings settings;
  std::string directory;  ///< Where they run: through links as they are now.
  /// What `npm start` would start, if the program is such a runner: it is started without it.
  std::vector<std::string> direct;
  RunOptions options;  ///< That this is from.
};

class Preparation;

class Operator {
 public:
  using Say = std::function<void(const Report&)>;

  /// `serving`: as the workers are started.
  Operator(Cluster& cluster, unsigned count, ProgramNow serving, Preparation& preparation,
           MemoryGroups& memory_groups, Narrator& narrator, manager::ServiceManager& systemd,
           Say say);
  /// From now on signals are heard.
  void listen();
  /// The first workers, once what has to be done before them is done. `begun` is called once, now
  /// or later: why there are none, and whether trying again would be in vain; or nothing.
  void begin(std::function<void(const std::string& problem, bool permanent)> begun);
  /// With the program, its interpreter and its directory as they are now. The number of the
  /// generation; `done` is called once, later. An error: there is no such program any more.
  Result<int> reload(const manager::ReloadWish& wish = {},
                     std::function<void(const RolloutResult&)> done = {});
  /// What a reload would find changed. Blocks as `program_now` does.
  Result<std::vector<std::string>> changes_now() const;
  /// To the generation before, while its workers are there. Its number.
  Result<int> rollback();
  /// Where the workers run that serve.
  const std::string& directory() const { return serving_.directory; }
  /// InvalidArgument: there cannot be so many.
  Result<void> scale(unsigned count);
  /// So many more, or less; how many there are then.
  Result<unsigned> scale_by(int change);
  /// As many as make sense, now and when that changes: which is looked at every 2 s.
  Result<unsigned> scale_auto();
  /// `one for each CPU`; `as asked`.
  const std::string& why_so_many() const { return why_so_many_; }
  /// Sends a signal to the worker that serves in a slot. InvalidArgument: nobody does.
  Result<void> kill(std::size_t slot, const std::string& signal);
  /// Replaces the worker in a slot, make-before-break. The id of its successor.
  Result<int> recycle(std::size_t slot);

  /// From now on workers that are too large, too old, or have answered enough, are replaced, and
  /// files that change are a reload, as the options say.
  void watch();

 private:
  Result<Worker> serving_in(std::size_t slot, const char* what) const;
  void reached(const ProgramNow& now);
  void say_which_ports_are_left(int generation) const;
  void counts_from_now_on(const RunOptions& before);
  void went_back();
  std::variant<ProgramNow, CannotRun> found_now() const;
  ReloadOptions plan_of(const ProgramNow& now, const manager::ReloadWish& wish) const;
  std::chrono::milliseconds parked_for() const;
  void end_if_not_ready(int worker);
  void have(const WorkerCount& wanted);
  void watch_count();
  void watch_limits();
  void say_who_hides_requests(const manager::RecycleRule& rule, const ClusterStatus& status);
  void kill_large(const ClusterStatus& status, const manager::RecycleRule::Choice& choice) const;
  void watch_hangs();
  void look_for_hangs(const std::shared_ptr<manager::HangRule>& rule);
  void end_hung(const std::shared_ptr<manager::HangRule>& rule,
                const manager::HangRule::Verdict& verdict);
  void kill_hung(const std::shared_ptr<manager::HangRule>& rule,
                 const manager::HangRule::Verdict& verdict, const std::vector<std::string>& stack,
                 const std::string& no_js = {}) const;
  std::optional<Worker> worker_called(int id) const;
  void watch_files();
  void await_signal();
  void obey(int signal);

  Cluster& cluster_;
  unsigned count_;
  bool is_auto_;
  std::string why_so_many_;
  bool begins_ = false;
  ProgramNow serving_;
  std::optional<ProgramNow> before_{};  ///< Who may be wanted back.
  bool goes_back_ = false;
  Preparation& preparation_;
  MemoryGroups& memory_groups_;
  Narrator& narrator_;
  manager::ServiceManager& systemd_;
  const Say say_;
  const Hangup hangup_;
  std::optional<Timer> count_timer_;
  std::optional<Timer> limits_timer_;
  bool told_who_hides_requests_ = false;
  std::optional<Timer> hangs_timer_;
  bool told_who_cannot_be_asked_ = false;
  std::set<int> debugged_;  ///< Workers that were left alone because of that, by id.
  std::unique_ptr<manager::FileWatch> files_;
  boost::asio::signal_set signals_;
};

}  // namespace cohort::cli
