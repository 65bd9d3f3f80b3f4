// Who listens in the process tree of a worker that has not said `listening`?
//
// A wrapper (`npm start`) starts the real server as a process of its own. That one is no worker: it
// binds the port by itself, and the second of its kind finds the port taken. And a program that
// does not speak the channel at all binds its port itself. Both show in /proc: a listening TCP
// socket in the worker or in a descendant. Unix sockets are not looked at.
//
// The parsing functions and the judge are pure; `find_listeners` reads files under `root` (/proc).
// Reading is best effort: processes that vanish meanwhile, or that may not be looked at, are left
// out.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace cohort::cli {

/// `/proc/PID/task/TID/children`: `12 34 `
std::vector<pid_t> parse_children(std::string_view text);

/// The target of `/proc/PID/fd/N`, if it is a socket: `socket:[4711]`
std::optional<std::uint64_t> parse_socket_link(std::string_view target);

/// `/proc/PID/net/tcp` and `tcp6`: ports by inode, of sockets that listen (state 0A).
std::map<std::uint64_t, std::uint16_t> parse_listening(std::string_view table);

/// A process that listens.
struct PortHolder {
  pid_t pid = 0;
  std::uint16_t port = 0;
  bool is_worker = false;                ///< The worker's own process, not a descendant.
  std::vector<std::string> words = {};   ///< Its command line.
  std::filesystem::path directory = {};  ///< Where it runs.
};

/// The listeners in the tree of `worker`, nearest first; one for each process and port.
std::vector<PortHolder> find_listeners(pid_t worker, const std::filesystem::path& root = "/proc");

/// What to type instead, when `here` is the working directory: `cohort run server.js`, or
/// `cd app && cohort run server.js`.
std::optional<std::string> suggestion(const PortHolder& holder, const std::filesystem::path& here);

/// Decides, from what is seen from time to time, whether the program can work at all.
class WrapperJudge {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  struct Seen {
    int worker = 0;  ///< One that lives and has not said `listening`.
    std::vector<PortHolder> holders;
  };
  /// A worker died young, without having listened.
  void died_early() { ++early_deaths_; }
  /// The process that keeps the others from working, once it is certain enough: a program may start
  /// helpers that listen (a database for its tests, a debugger) before it listens itself.
  std::optional<PortHolder> judge(const std::vector<Seen>& seen, TimePoint now);

 private:
  bool is_certain(const PortHolder& holder, TimePoint now) const;

  int early_deaths_ = 0;
  std::map<std::pair<pid_t, std::uint16_t>, TimePoint> since_;  ///< When a holder was first seen.
  std::set<std::uint16_t> shared_;  ///< Ports that two workers had at once, ever.
};

}  // namespace cohort::cli
