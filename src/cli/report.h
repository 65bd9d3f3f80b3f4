// What `cohort run` says: a line for a person, or a JSON object, for each event that matters.
//
// `Narrator` decides what is worth a line. Pure: what happened goes in, reports come out; it knows
// no clock and prints nothing. docs/cohort-run.md lists every event with its JSON fields; their
// names are stable.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/memory_room.h"
#include "cli/wrapper_check.h"
#include "cohort/address.h"
#include "cohort/cluster.h"
#include "cohort/exit.h"
#include "cohort/rollout.h"
#include "cohort/value.h"
#include "cohort/worker.h"
#include "manager/hang_rule.h"

namespace cohort::cli {

/// How a line is coloured.
enum class Tone { Plain, Good, Bad };

struct Report {
  std::string event;      ///< `listening`, `died`...
  std::string text = {};  ///< One line, without `cohort: ` and without the line's end.
  Tone tone = Tone::Plain;
  Value fields = Value::object();
  /// What another program wrote: for people, below the text.
  std::vector<std::string> lines = {};
};

/// `cohort: TEXT\n`; with escape sequences if `colour`. Control characters in the text are
/// replaced.
std::string to_line(const Report& report, bool colour);
/// `{"time":TIME,"event":EVENT,...fields,"message":TEXT}`
Value to_value(const Report& report, std::string_view time);
/// `{"time":TIME,"event":EVENT,...fields,"message":TEXT}\n`
std::string to_json_line(const Report& report, std::string_view time);

/// What to open in a browser: `http://localhost:3000`; of a Unix socket the path, `@` for the NUL
/// of an abstract one.
std::string url(const Address& address);

class Narrator {
 public:
  /// `program`: as the user named it. An end by `stop_signal` is one that was asked for.
  Narrator(std::string program, unsigned count, int stop_signal = SIGTERM);

  /// How many bytes the kernel gives a worker, if it was told.
  void limits_memory(std::optional<std::uint64_t> bytes) { memory_limit_ = bytes; }

  using Reports = std::vector<Report>;
  /// Nothing was started.
  Report cannot_run(const std::string& why) const;
  Report started(Policy policy, pid_t pid) const;
  /// The program is a runner, as `npm start` is, and this is what it would start.
  Report starts_directly(const std::vector<std::string>& command) const;
  /// `beside`: the worker in whose slot it is, which goes on until this one listens.
  Reports forked(int worker, pid_t pid, std::optional<int> beside = {});
  Reports listening(int worker, const Address& address);
  /// How connections come to the workers: once for each address; why so, once for all.
  Reports policy(const Address& address, Policy policy, std::string_view why);
  /// `asked`: the worker was told to end, or told us that it would. `load`: what it published, if
  /// it did.
  Reports exited(int worker, const Exit& exit, bool asked,
                 const std::optional<WorkerLoad>& load = {});
  /// It could not be started (`pid` is 0), or it broke the protocol.
  /// A worker was stopped (not ended) by a signal; 0: it was continued.
  Reports stopped(pid_t worker, int signal_number) const;
  /// Processes that are no workers, and outlived them: `pid 4711 (sleep 600)` each.
  Report left_behind(const std::vector<std::string>& processes) const;
  Report failed(int worker, const std::string& error) const;
  /// The program's port is bound by `holder`, so that its workers cannot share it.
  Report refused(const PortHolder& holder, const std::filesystem::path& here) const;
  /// The same of the only worker, which is in nobody's way.
  Report wraps(const PortHolder& holder, const std::filesystem::path& here) const;
  /// A worker binds its port without the channel, and nobody is in its way so far.
  Report binds_by_itself(const PortHolder& holder) const;
  /// Nothing listens, though workers live. `online`: some worker speaks the channel.
  Report silent(bool online) const;
  /// Every worker is to be replaced. `changed`: what is different from before, in words.
  /// A command runs first, which is told here.
  Report prepares(const std::string& command) const;
  Report reloading(int generation, const std::vector<std::string>& changed);
  Report cannot_reload(const std::string& why) const;
  /// `parked`: those before it stay for so long.
  Report reloaded(const RolloutResult& result, std::chrono::milliseconds parked = {});
  /// The workers that serve from now on do not listen where those before them did.
  Report port_left(const Address& address, int generation) const;
  Report rolls_back(int generation) const;
  Report rolled_back(int generation) const;
  Report scaled(unsigned count);
  /// Of this process; so `auto` is another number.
  Report limits_changed(const std::string& why) const;
  /// A file has changed; a reload follows.
  Report changed(const std::string& file) const;
  /// Not all files can be watched, and why.
  Report cannot_watch(const std::string& why) const;
  /// Those that this reload replaces make room for others, and none stays for a rollback.
  Report little_memory(const MemoryNow& memory, unsigned max_surge) const;
  /// With so few more workers at a time none stays for a rollback.
  Report parks_nobody(unsigned max_surge) const;
  /// A worker gets a successor, and why.
  Report recycles(int worker, const std::string& why) const;
  /// One that serves says nothing of its requests, so their number replaces nobody.
  Report hides_requests(int worker) const;
  /// The kernel limits no worker's memory, and why not.
  Report memory_not_limited(const std::string& why) const;
  /// A worker has so much memory that it is killed, and why.
  Report kills_large(int worker, const std::string& why) const;
  /// A worker gives no sign of life; if that is its fault, it is killed. `stack`: where it is.
  /// `no_js`: why that is not its JavaScript, if that was asked for.
  Report hangs(const manager::HangRule::Verdict& verdict, const std::vector<std::string>& stack,
               const std::string& no_js = {}) const;
  /// The same, but somebody has attached a debugger to it.
  Report is_debugged(int worker) const;
  /// Whether it hangs, and why not.
  Report cannot_be_asked(int worker, const std::string& why) const;
  /// The successor did not listen, and is ended.
  Report recycles_in_vain(int worker, std::chrono::milliseconds within) const;
  /// Somebody sends a worker a signal through us.
  Report signals(int worker, int signal_number) const;
  /// A signal that others use for something that there is not here.
  Report means_nothing(int signal_number) const;
  /// One less was wanted, and there is only one.
  Report last_worker() const;
  /// The service goes on for so long first. `probed`: somebody may ask whether it is ready.
  Report stopping_in(std::chrono::milliseconds time, bool probed) const;
  Report stopping();
  /// A second signal, or a stop that nobody has to wait for.
  Report stopping_at_once(std::string_view why) const;
  Report stopped() const;
  /// What the library had to say.
  Report notice(const Notice& notice);
  /// There is no control socket, and why.
  Report no_control(const std::string& why) const;
  /// In the place of so many lines that stderr did not take.
  Report gap(std::uint64_t lines) const;

  /// Whether any worker ever listened.
  bool ever_listened() const { return !announced_.empty(); }

 private:
  Report behind_a_wrapper(std::string event, Tone tone, const char* what_follows,
                          const PortHolder& holder, const std::filesystem::path& here) const;
  struct Life {
    pid_t pid = 0;
    bool listens = false;
    std::optional<int> replaces;
    bool replaced = false;  ///< It leaves, and its successor was started.
  };
  std::string workers_of_program() const;
  /// Every place has a worker that listens, for the first time.
  bool became_complete();

  std::string program_;
  unsigned count_;
  int stop_signal_;
  std::optional<std::uint64_t> memory_limit_;
  std::map<int, Life> lives_;        ///< Workers that have not exited.
  std::vector<int> unreplaced_;      ///< The dead whose places are empty.
  bool ambiguous_ = false;           ///< Who replaces whom of them.
  std::set<std::string> announced_;  ///< Addresses.
  std::set<std::string> decided_;    ///< Those whose policy was told.
  std::set<std::pair<Policy, std::string>> explained_;
  bool complete_ = false;
  bool stopping_ = false;
};

}  // namespace cohort::cli
