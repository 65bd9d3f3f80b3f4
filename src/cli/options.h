// The command line of `cohort`, as a value. Pure: nothing is printed and nothing is started here.
//
// `cohort run` stops reading its own options at PROGRAM: all that follows belongs to the program,
// whatever it looks like.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cluster/rules.h"
#include "cohort/cluster.h"
#include "map/map_options.h"

namespace cohort::cli {

// The exit codes of the command; docs/cohort-run.md explains them.
inline constexpr int kExitPermanent = 100;    ///< Trying again will not help: usage, configuration.
inline constexpr int kExitTemporary = 111;    ///< Trying again may help.
inline constexpr int kExitInterrupted = 130;  ///< By Ctrl-C, before it was over.

inline constexpr unsigned kWorkersMax = 1024;
inline constexpr std::chrono::seconds kGraceDefault{25};  ///< The library's.

/// What `cohort run` was asked to do.
struct RunOptions {
  std::optional<unsigned> workers = {};  ///< Nothing: one per CPU that this process may use.
  std::optional<Policy> policy = {};     ///< Nothing: the library's default.
  std::vector<Address> listen = {};      ///< For programs that take LISTEN_FDS.
  bool json = false;                     ///< Events as JSON objects.
  std::optional<std::chrono::milliseconds> grace = {};  ///< Nothing: the library's default.
  std::optional<int> stop_signal = {};
  std::optional<std::uint64_t> max_memory = {};           ///< Of a worker, in bytes.
  std::optional<std::uint64_t> kill_memory = {};          ///< The same; with more it is killed.
  std::optional<std::chrono::milliseconds> max_age = {};  ///< Of a worker.
  std::optional<std::uint64_t> max_requests = {};         ///< That a worker answers.
  /// A worker that gives no sign of life for so long is killed.
  std::optional<std::chrono::milliseconds> kill_hung = {};
  bool js_stack = false;  ///< Of such a worker of Node: where its JavaScript is.
  std::chrono::milliseconds ready_within = ReloadOptions{}.ready_within;
  Readiness ready = {};
  std::string check = {};  ///< A path of HTTP; empty: none.
  std::chrono::milliseconds prove = ReloadOptions{}.prove;
  std::chrono::milliseconds park{0};  ///< Of whom a reload has replaced.
  std::string once = {};  ///< A shell's command, before workers of a new generation start.
  std::optional<Address> admin = {};       ///< For probes.
  std::optional<unsigned> min_ready = {};  ///< So many workers have to serve. Nothing: 1.
  std::chrono::milliseconds lame_duck{0};  ///< Less than the grace time.
  /// How long connections wait at a port that nobody serves. Nothing: for ever.
  std::optional<std::chrono::milliseconds> when_empty = {};
  bool preload = true;    ///< Of Node workers.
  bool watch = false;     ///< Files that change are a reload.
  bool dry_run = false;   ///< Print the plan, as JSON if `json`, and do nothing.
  std::string name = {};  ///< Of the application, for the other verbs; empty: that of the program.
  std::string cwd = {};   ///< Of the workers; empty: this one.
  std::map<std::string, std::string> env = {};  ///< Added to what the workers inherit.
  /// What the workers inherit of this process's variables; nothing: all of them.
  std::optional<std::vector<std::string>> env_only = {};
  std::string user = {};      ///< Of the workers, name or number; empty: this process's.
  std::string group = {};     ///< Of the workers; empty: the user's.
  bool no_new_privs = false;  ///< Of the workers.
  std::string config = {};    ///< Where the application comes from, if it was not given as words.
  std::string only = {};      ///< Of the applications in there, this one.
  std::string program = {};   ///< Empty: those of `config`.
  std::vector<std::string> args = {};
  std::string interpreter = {};  ///< That runs the program; empty: as its name and first line say.
  std::vector<std::string> interpreter_args = {};
};

/// What one of the other verbs was asked to do.
struct VerbOptions {
  enum class Verb : std::uint8_t {
    Ls,
    Status,
    Events,
    Why,
    Doctor,
    Reload,
    Rollback,
    Scale,
    Restart,
    Recycle,
    Kill,
    Stop
  };
  Verb verb = Verb::Ls;
  std::string name = {};        ///< Of the application; empty: the only one that runs.
  std::string workers = {};     ///< Of `scale`: 4, +1 or -1.
  std::optional<int> slot{};    ///< Of `why`, `kill` and `recycle`.
  std::string signal = "TERM";  ///< Of `kill`.
  unsigned last = 0;            ///< Of `events`, and of `why`: so many.
  bool follow = false;
  bool json = false;
  bool wait = true;      ///< Until it has happened.
  bool dry_run = false;  ///< Of `reload`: only say what has changed.
  /// Of `reload`: how many workers, `2` or `25%`; empty: as a signal does it.
  std::string canary = {}, batch = {}, max_surge = {};
};

/// What `cohort start` was asked to do.
struct StartOptions {
  RunOptions run;                    ///< Without a program: applications of `run.config`.
  std::vector<std::string> words{};  ///< The same, for `cohort run`; without what comes here:
  std::vector<std::string> rest{};   ///< The program and its arguments, or names of applications.
  bool of_run = false;               ///< Options that cohort.toml has for each application.
  std::string log{};                 ///< Where what they write goes; empty: its own place.
  bool wait = true;                  ///< Until they serve.
};

/// What `cohort systemd` was asked for: the unit of this `cohort run`.
struct UnitOptions {
  RunOptions run;
  std::vector<std::string> words{};  ///< As they were typed: options, PROGRAM and its arguments.
  bool for_user = false;             ///< Of `systemctl --user`.
};

/// What `cohort verify-reload` was asked to do.
struct VerifyOptions {
  std::string name = {};              ///< Of the application; empty: the only one that runs.
  std::vector<std::string> run = {};  ///< Words of `cohort run`, to start one of its own; or none.
  int reloads = 20;
  int connections = 16;
  std::optional<Address> address = {};  ///< Nothing: where the application says that it serves.
  std::string path = "/";
  std::optional<int> expect = {};  ///< The status of every answer. Nothing: any 2xx or 3xx.
  bool json = false;
};

/// What `cohort import` was asked to do.
struct ImportOptions {
  std::string file = {};    ///< Empty: the one that this folder has.
  std::string env = {};     ///< `production`, of env_production.
  std::string output = {};  ///< Empty: stdout.
  bool force = false;       ///< Replaces a file that is there.
};

/// How made-up workers of a version behave.
struct SimVersion {
  std::chrono::milliseconds ready_after{500};                 ///< Of its start.
  std::optional<std::chrono::milliseconds> crash_every = {};  ///< It lives for so long.
};

/// What `cohort sim` was asked for.
struct SimOptions {
  unsigned workers = 2;
  SimVersion version = {};
  int exit_code = 1;                                        ///< Of a crash. 100: not again.
  std::optional<std::chrono::milliseconds> reload_at = {};  ///< To `next`.
  SimVersion next = {};
  cluster::Rules rules = {};
  ReloadOptions reload = {};
  std::chrono::milliseconds ends_after{200};  ///< It was asked to.
  std::chrono::milliseconds length{60'000};
  bool json = false;
};

/// What `cohort map` was asked to do.
using map::MapOptions;

/// Something to say instead of running: on stdout if `code` is 0 (help, version), else on stderr.
struct Answer {
  int code = 0;
  std::string text;
};

/// `arguments` without the name of the command.
std::variant<RunOptions, StartOptions, VerbOptions, UnitOptions, VerifyOptions, ImportOptions,
             SimOptions, MapOptions, Answer>
parse_command_line(const std::vector<std::string>& arguments);

}  // namespace cohort::cli
