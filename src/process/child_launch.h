// From options to a process that can be started: program, arguments, environment, descriptors.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cohort/child_process.h"
#include "ipc/channel.h"
#include "process/cgroup.h"
#include "process/spawn.h"
#include "process/stdio_stream.h"
#include "process/stdio_tail.h"

namespace cohort::process {

/// How it was asked for; decides the default of stdio, and what the file means.
enum class LaunchKind { Spawn, Fork, Sync };

struct ChildLaunch {
  /// Descriptors that it names are owned by `child_ends`, by the caller, or by `given`.
  SpawnRequest request;
  /// By descriptor of the child: null where it is no pipe.
  std::vector<std::shared_ptr<StdioStream>> streams;
  std::vector<OwnFd> child_ends;
  std::vector<std::shared_ptr<StdioStream>> given;  ///< Streams of other children.
  OwnFd channel;                                    ///< This process's end.
  OwnFd childs_channel;                   ///< The child's end, where the channel was there before.
  std::optional<StderrPlan> stderr_plan;  ///< Of one whose last lines are wanted.
  std::unique_ptr<ChildCgroup> cgroup;
};

/// `environ` without the variables of this process's own channel, or `options.env`; then
/// `options.add_env`. Pure but for `inherited`.
std::vector<std::string> child_environment(char** inherited, const SpawnOptions& options);

/// Fills `launch`; what it says of file, argv and streams is good also when this fails. `wish`: of
/// `options.stderr_lines`.
Result<void> prepare(const Loop& loop, LaunchKind kind, const std::string& file,
                     const std::vector<std::string>& args, const SpawnOptions& options,
                     ChildLaunch& launch, StderrWish wish = StderrWish::LastLines);

/// Of a child's channel.
ipc::ChannelLimits channel_limits(const SpawnOptions& options);

}  // namespace cohort::process
