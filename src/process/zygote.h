// A process that loads something once (cohort/preload.h) and forks others that have it: started,
// told what to fork, and ended, from outside.
//
// It is this program again, or another with cohort in it, as a worker of it would be started. What
// it forks are children of *this* process: they are reaped, signalled and limited as any other.
//
// Owned by whoever has the workers; the loop's executor only.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/loop.h"
#include "cohort/child_process.h"
#include "cohort/error.h"
#include "cohort/exit.h"
#include "process/child_watch.h"
#include "process/fork_order.h"
#include "process/spawn.h"

namespace cohort::process {

/// In the environment of such a process: the name of what it loads.
inline constexpr const char* kZygoteVariable = "COHORT_ZYGOTE";

/// Those of its workers, but for what each has of its own.
SpawnOptions options_of_loader(SpawnOptions options);

class Zygote {
 public:
  /// Ending: killed, or found to have ended; `changed` is about to be called.
  enum class State : std::uint8_t { Loading, Ready, Ending, Gone };

  /// `worker`: as one that loads for itself would be started; its identity is theirs. `changed`:
  /// called in a turn of its own when it is ready, or gone. Keeps the loop running while it loads.
  static Result<std::unique_ptr<Zygote>> start(const Loop& loop, const SpawnRequest& worker,
                                               const std::string& preload,
                                               std::function<void()> changed);
  /// Kills it, if it lives, and waits until it is gone.
  ~Zygote();
  Zygote(const Zygote&) = delete;
  Zygote& operator=(const Zygote&) = delete;

  State state() const { return state_; }
  /// It was ready, at some time.
  bool has_loaded() const { return has_loaded_; }
  /// Of one that is gone.
  const Error& why() const { return *why_; }
  pid_t pid() const { return watch_ ? watch_->pid() : 0; }

  /// A fork of it, once it is ready. As process::spawn: `file`, `argv` and the identity are those
  /// that it has. Blocks for as long as a fork takes. Errors besides: InvalidArgument, too many
  /// descriptors, or threads run in it; PreloadFailed, and the state is Ending, if it has died.
  Result<Child> spawn(const SpawnRequest& request);

 private:
  Zygote(const Loop& loop, std::string preload, std::function<void()> changed);

  void kill();
  Error lost(const char* how);
  void listen();
  void heard();
  void ended(const Exit& exit);
  void become(State state, std::optional<Error> why = {});
  Result<void> send(const SpawnRequest& request, const PreparedSpawn& prepared);
  Result<Child> answered(const SpawnRequest& request, PreparedSpawn& prepared);
  std::optional<ForkReply> read();

  const Loop loop_;
  const std::string preload_;
  const std::function<void()> changed_;
  State state_ = State::Loading;
  bool greeted_ = false;
  bool has_loaded_ = false;
  std::optional<Error> why_;
  std::optional<Watch> orders_;
  std::optional<ChildWatch> watch_;
  boost::asio::steady_timer greets_within_;
};

}  // namespace cohort::process
