// What a process that has loaded something (zygote.h) is told to fork: a ChildPlan without a
// program to run, and an environment. Descriptors go beside it.
//
// Pure.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cohort/error.h"
#include "process/spawn_plan.h"

namespace cohort::process {

/// Descriptors of a worker that are open from the start: so many at most.
inline constexpr int kForkedDescriptorsMax = 19;
/// The other end of what the orders come through, in the process that forks, and its lifeline.
inline constexpr int kOrderDescriptor = kForkedDescriptorsMax;
inline constexpr int kDescriptorsOfZygote = kOrderDescriptor + 2;

/// For the process that forks: its identity (user, groups) is its workers'.
struct ForkOrder {
  ChildPlan plan;
  std::vector<std::string> env;

  // What the plan points to.
  std::vector<int> sources;
  std::vector<LimitPlan> limits;
  std::vector<unsigned long> cpus;
  std::string directory;
  mode_t umask = 0;
  int priority = 0;
};

/// `fds` gets the descriptors that go beside it.
std::string encode_order(const PreparedSpawn& prepared, std::vector<int>& fds);
/// `fds`: as they arrived. MalformedMessage.
Result<std::unique_ptr<ForkOrder>> decode_order(std::string_view text, const std::vector<int>& fds);

/// What comes back. In one message each; both are this program, so there is no version.
struct ForkReply {
  enum class Kind : std::uint32_t {
    Hello,    ///< The process has a Preload of that name.
    Ready,    ///< It has loaded.
    Failed,   ///< It has not, or cannot fork: `text`, or `number` (an errno).
    Forked,   ///< There is a process: `pid`.
    Settled,  ///< It runs: `pid`. It says so itself.
    Unfit,    ///< It could not: `step`, `number` (an errno), `detail` (of ChildPlan's failure).
  };
  Kind kind{};
  std::int32_t pid = 0;
  std::int32_t step = 0;
  std::int32_t number = 0;
  std::int32_t detail = 0;
  char text[1000] = {};
};

}  // namespace cohort::process
