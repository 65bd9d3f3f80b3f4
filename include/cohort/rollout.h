// A reload: every worker is replaced by one of a new generation, and if they are no good, the old
// ones serve again.
//
//   cluster.reload({}, [](const cohort::RolloutResult& result) {
//     std::cout << "generation " << result.generation << ": " << result.text << '\n';
//   });
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "cohort/callback.h"
#include "cohort/error.h"
#include "cohort/settings.h"

namespace cohort {

struct ReloadOptions {
  /// How workers of the new generation start. Members that are not given are as before; without
  /// any, only the program itself is new. `listen` is as it was.
  Settings settings{};
  unsigned canaries = 1;  ///< So many places first; 0 counts as 1.
  unsigned batch = 0;     ///< Then so many at a time. 0: as many as there are CPUs to run on.
  /// So many more workers than places may there be: successors that start, and those that they have
  /// replaced, until these are gone. 0: any number, at most one more for each place. Otherwise
  /// those that are replaced end earlier than when all have proven themselves, to make room; if the
  /// new ones fail, such places get another worker of the old generation.
  unsigned max_surge = 0;
  /// A worker that listens later than that after its start has failed.
  std::chrono::milliseconds ready_within = std::chrono::seconds{60};
  /// How long all of them have to serve without a failure, before the old ones are ended.
  std::chrono::milliseconds prove = std::chrono::seconds{5};
  /// How long whom they replaced stays then, for `Cluster::rollback`: alive, but without new
  /// connections. HTTP connections that it has end with the next answer; others it goes on serving.
  /// Takes the memory of both. A reload meanwhile ends them. Not where they would go on working: on
  /// Unix sockets, under Shared, and in programs without a port.
  std::chrono::milliseconds park{0};
  /// What has to be done before the first worker of the new generation starts, such as a migration:
  ///
  ///   .before = [&](cohort::Callback<void(cohort::Result<void>)> ready) { migrate(ready); }
  ///
  /// Called once, by `reload`. The workers go on when `ready` is called, then or later, on the
  /// loop's executor; with an error they are not replaced, and it is RolledBack, with
  /// the error's detail as the text. Another reload supersedes this one meanwhile: its `ready` does
  /// nothing any more, but two may run at a time.
  std::function<void(Callback<void(Result<void>)> ready)> before{};
};

struct RolloutResult {
  enum class Outcome : std::uint8_t {
    Reached,  ///< Every place has a worker of the new generation; the old ones are being ended.
    /// A new worker failed, or `before` did, or `Cluster::rollback` was called: the old generation
    /// serves. In the last case also after it was Reached.
    RolledBack,
    Superseded,  ///< Another reload was wanted meanwhile. What this one had replaced is undone.
    Stopped,     ///< The service ended meanwhile.
  };
  Outcome outcome = Outcome::Reached;
  int generation = 0;           ///< That was to be reached.
  std::optional<int> worker{};  ///< The one that failed, by id.
  std::string text{};           ///< Half a sentence for people: why, or how it went.
};

const char* to_string(RolloutResult::Outcome outcome);

}  // namespace cohort
