// How workers are started.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cohort/address.h"
#include "cohort/callback.h"
#include "cohort/child_process.h"
#include "cohort/error.h"

namespace cohort {

class Worker;

/// Asks a worker whether it is well; `done` is called once, now or later: with nothing, or with
/// why it is not. `http_check` (cohort/check.h) is one.
using Check = std::function<void(const Worker& worker, Callback<void(Result<void>)> done)>;

/// When a worker counts as ready, for a reload, `Cluster::replace` and probes.
struct Readiness {
  enum class By : std::uint8_t {
    Listening,  ///< It listens. One that never does has lived for 10 s.
    Message,    ///< It has sent the message `"ready"`: programs written for pm2 do.
    Notify,     ///< It has sent READY=1 to the socket in its NOTIFY_SOCKET (sd_notify(3)).
    Time,       ///< It has lived for `after`.
  };
  By by = By::Listening;
  std::chrono::milliseconds after{0};  ///< Of Time.

  friend bool operator==(const Readiness&, const Readiness&) = default;
};

/// The arguments of a program: none given, or a list, which may be empty.
class Arguments {
 public:
  Arguments() = default;  ///< None given.
  Arguments(std::initializer_list<std::string> list) : given_{true}, list_{list} {}
  Arguments(std::vector<std::string> list) : given_{true}, list_{std::move(list)} {}

  bool given() const { return given_; }
  const std::vector<std::string>& list() const { return list_; }

 private:
  bool given_ = false;
  std::vector<std::string> list_;
};

/// How workers are started (Node's `cluster.settings`). An empty member is "not given";
/// the braces keep `{.exec = "worker"}` free of warnings about the others.
struct Settings {
  /// The program; this one by default. Looked up beside the running program, then in the working
  /// directory, then in PATH. Names ending in .js, .mjs or .cjs run under `node`.
  std::string exec{};
  Arguments args{};  ///< Default: this process's own arguments.
  /// What every child has, as for `cohort::fork`: `{.spawn = {.cwd = "/srv", .memory_max = 1 <<
  /// 30}}`. Different for workers:
  /// - `env`, `add_env`: for every worker; `Cluster::fork(env)` adds to them.
  /// - `stdio`: 0 to 2 that it does not name are inherited. But where stdin is a terminal, a worker
  ///   has /dev/null in its place unless `stdio` names it. The channel comes behind the last,
  ///   unless there is an `Ipc`.
  /// - `silent`: pipes for 1 and 2 only.
  /// - A worker leads a session of its own, and ends with its primary: `detached`, `process_group`
  ///   and a `parent_death_signal` of 0 are errors.
  SpawnOptions spawn{};
  /// For programs that take their listening sockets from whoever starts them, as systemd's: what
  /// every worker listens on from its start, as descriptors 3, 4... with LISTEN_FDS and LISTEN_PID
  /// in its environment (sd_listen_fds(3)). They block until the program says otherwise. TCP
  /// addresses have slots under `adaptive` (and `auto`), `hash` and `sticky`; Unix sockets are
  /// shared, with one O_NONBLOCK for all workers. An address that cannot be had is the worker's
  /// `error` event, and so is `round-robin` or a policy of one's own: what the primary accepts
  /// needs a channel to go through. One that does not say `online` by itself counts as listening
  /// once it has lived for a second, and is asked to end by SIGTERM. `stdio` has at most three
  /// entries then.
  std::vector<Address> listen{};
  /// How a program is asked to end when the service ends (docs/signals.md): SIGINT for programs
  /// written for pm2. A program that handles INT or TERM, but not this one, gets the one that it
  /// handles. Default: SIGTERM.
  std::optional<int> stop_signal{};
  /// The name of a Preload of the program (cohort/preload.h): what all workers need is loaded once,
  /// and they are forks of the process that has. A worker is started when it is loaded: until then
  /// its `process().pid()` is 0, and what is sent to it waits. If the loading fails, so does its
  /// start. Empty: none.
  std::string preload{};
  /// Whether workers that run under Node load a file of this library first (NODE_OPTIONS), which
  /// tells what they handle, and answers `Connection: close` at the end. Default: true.
  std::optional<bool> node_preload{};
  /// Whether the debugger of a Node worker, which SIGUSR1 opens, is to listen at a port of
  /// 127.0.0.1 that the system chooses, and to say nothing of that on stderr: for a program that
  /// looks at a worker which hangs. Workers with a debugger option of their own keep to that.
  /// Default: false.
  std::optional<bool> quiet_debugger{};
  /// How it is known that a worker is ready. Default: it listens. Until it is, it gets no
  /// connections, as before it has passed its `check`.
  ///
  ///   cluster.setup_primary({.ready = cohort::Readiness{cohort::Readiness::By::Notify}});
  ///
  /// For Notify each worker has a datagram socket of its own, with an abstract name: unix(7). What
  /// processes of another user say there, but root's and the worker's, is dropped.
  std::optional<Readiness> ready{};
  /// Asked of each worker when it first listens, or is `ready` otherwise. Until it is well it does
  /// not count as ready: a worker that it replaces serves on, and a reload fails if it takes longer
  /// than `ready_within`.
  ///
  ///   cluster.setup_primary({.check = cohort::http_check("/healthz")});
  ///
  /// Until then it gets no connections either, while others can take them; under Shared it takes
  /// some all the same. Of a worker that is not well, it is asked again half a second later, and a
  /// notice says why. No answer within 5 s is one, too. Called on the loop's executor. An empty
  /// function: there is none any more.
  std::optional<Check> check{};
  /// For programs without a channel (`listen`), which can then be asked for a sign of life
  /// (`Worker::ping`): each has WATCHDOG_USEC, this long, and sends WATCHDOG=1 to its NOTIFY_SOCKET
  /// more often than that, as services of systemd do (sd_watchdog_enabled(3)). 0: there is none.
  /// Nobody is ended because of it: that is the user's.
  std::optional<std::chrono::milliseconds> watchdog{};
};

}  // namespace cohort
