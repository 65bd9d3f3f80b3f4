// From settings to a process: program, arguments, environment, descriptors.
#pragma once

#include <utility>
#include <vector>

#include "cohort/cluster.h"
#include "cohort/error.h"
#include "cohort/fd.h"
#include "ipc/channel.h"
#include "process/spawn.h"
#include "process/stdio_tail.h"

namespace cohort::cluster {

/// What is given in `changes` replaces what is in `settings`. Pure.
Settings merged(Settings settings, const Settings& changes);

/// Of a worker's channel.
ipc::ChannelLimits channel_limits(const Settings& settings);

/// A spawn that is ready to be made. `request.fds` name descriptors that `child_ends` owns.
struct Launch {
  process::SpawnRequest request;
  OwnFd channel;                                   ///< The primary's end.
  std::optional<process::StderrPlan> stderr_plan;  ///< If the primary wants its last lines.
  std::vector<std::pair<int, OwnFd>> outputs;      ///< stdio index and read end.
  std::vector<OwnFd> child_ends;
};

/// `keep_stderr`: the last lines of an inherited stderr are wanted.
/// `listening`: descriptors that become 3, 4... of the worker.
Result<Launch> prepare_launch(const Settings& settings, const Environment& env, int worker_id,
                              bool keep_stderr, const std::vector<int>& listening = {});

/// `environ` without the channel's variables and those of descriptors that are not passed on, then
/// `settings.env`, then `env`, then the channel's. Pure but for `inherited`, usually `environ`.
std::vector<std::string> worker_environment(char** inherited, const Environment& settings_env,
                                            const Environment& fork_env, int worker_id,
                                            int channel_fd, Serialization serialization);

}  // namespace cohort::cluster
