// A cluster as it is at one moment: plain values, for people, for metrics and for tests.
//
//   for (const cohort::PortStatus& port : cluster.status().ports)
//     std::cout << port.address << ": " << port.waiting << " wait\n";
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cohort/address.h"
#include "cohort/policy.h"
#include "cohort/worker.h"

namespace cohort {

struct WorkerStatus {
  enum class State : std::uint8_t {
    Spawned,       ///< Nothing was heard of it yet.
    Online,        ///< It said so.
    Checking,      ///< One of its servers does; it is not ready, or not found well, yet.
    Listening,     ///< At least one of its servers does.
    Ending,        ///< It ends on purpose: it finishes what it serves.
    Disconnected,  ///< Its channel is closed; the process lives.
  };

  int id = 0;
  pid_t pid = 0;  ///< 0 if it could not be started.
  std::size_t slot = 0;
  int generation = 1;   ///< As which it was started: Cluster::reload.
  bool kept = false;    ///< It fills a place of `Cluster::keep`.
  bool held = false;    ///< Its successor has its place, until the reload has worked.
  bool leaves = false;  ///< It left its place by itself, and serves who it has.
  State state = State::Spawned;
  bool leader = false;  ///< As `Worker::is_leader`.
  /// As `Settings::ready` has it, and it has passed its check. One that was given its sockets
  /// listens when it has lived for 1 s.
  bool ready = false;
  std::chrono::milliseconds age{0};  ///< Since it was started.
  std::vector<Address> addresses{};  ///< Where it said that it listens.
  std::string check{};  ///< Until it is ready and well: what it has not done, or why it was not.
  std::optional<WorkerLoad> load{};  ///< As `Worker::load`.
  /// Requests that it has answered: of its HTTP servers (`load`), of Node's, which tell it once a
  /// second, or as its program says (docs/ipc.md). Not known of others.
  std::optional<std::uint64_t> requests{};
  /// Signals that its program handles, of a Node worker with the preload. Not known of others.
  std::optional<std::set<int>> handled_signals{};
};

struct PortStatus {
  Address address;  ///< As it was asked for; with the real port where that was 0.
  Policy policy = Policy::Shared;
  std::vector<int> workers{};  ///< Those who use it, by id.
  /// Connections that have arrived and no worker has taken. Of a Unix socket, and of datagrams, 1
  /// says that there are some.
  std::size_t waiting = 0;
};

/// A place of `Cluster::keep` whose worker has exited with 100: none is started for it, until the
/// next reload.
struct ClosedPlace {
  std::size_t slot = 0;  ///< That the next one would have.
  int worker = 0;        ///< Who exited so, by id.
};

/// A place whose workers die again and again, soon after their start. The next one is started later
/// each time, up to 12.5 s.
struct FailingPlace {
  std::size_t slot = 0;               ///< That the next one has, or would have.
  int deaths = 0;                     ///< In a row, from 2 on.
  std::chrono::milliseconds next{0};  ///< Until it is started; 0: it was.
};

struct ClusterStatus {
  enum class Phase : std::uint8_t {
    Running,
    LameDuck,   ///< Serves as before, but will end soon: Cluster::set_lame_duck.
    LettingIn,  ///< The end has begun: nothing more arrives, workers take what has.
    Draining,   ///< Workers finish what they serve.
    Killing,    ///< The grace time is over, or somebody asked twice.
    Over,
  };

  /// A reload that is under way.
  struct Rollout {
    enum class Phase : std::uint8_t {
      Replacing,
      Proving,  ///< All are replaced, and have to serve for a while.
      Undoing,
      Preparing,  ///< `ReloadOptions::before` is not ready; nobody is replaced yet.
    };
    int generation = 0;
    Phase phase = Phase::Replacing;
    std::size_t replaced = 0;  ///< Places that have a worker of it.
  };

  Phase phase = Phase::Running;
  Policy policy = Policy::Auto;  ///< As it was chosen.
  std::size_t places = 0;        ///< As `Cluster::keep` was told.
  int generation = 1;            ///< That serves, or did before the reload.
  std::optional<Rollout> rollout{};
  /// The generation before, whose workers stay for a while: `ReloadOptions::park`. They are `held`.
  struct Parked {
    int generation = 0;
    std::chrono::milliseconds left{0};  ///< So long.
  };
  std::optional<Parked> parked{};
  std::vector<WorkerStatus> workers{};  ///< Every process that lives, by id.
  std::vector<PortStatus> ports{};      ///< By address.
  std::vector<ClosedPlace> closed{};    ///< Of the places; by slot.
  std::vector<FailingPlace> failing{};  ///< The same; until one of their workers has lived 10 s.
  std::uint64_t forks = 0;              ///< Workers that were started, or could not be, ever.
  std::uint64_t exits = 0;              ///< Of these, those that have ended...
  std::uint64_t deaths = 0;             ///< ...but not on purpose.
};

const char* to_string(WorkerStatus::State state);
const char* to_string(ClusterStatus::Phase phase);
const char* to_string(ClusterStatus::Rollout::Phase phase);

}  // namespace cohort
