// The channel that a child speaks Node's protocol on, and the environment that tells it so.
//
// Free functions; the process that spawns calls them. Pure but for `make_child_channel`.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "cohort/error.h"
#include "cohort/fd.h"
#include "cohort/serialization.h"

namespace cohort::process {

struct ChildChannel {
  OwnFd ours;    ///< Non-blocking.
  OwnFd childs;  ///< Its send buffer is large: Node writes to it without waiting.
};

/// A connected pair. Fails with the errno of what failed; `whose` (`a worker's`) is in the text.
Result<ChildChannel> make_child_channel(std::string_view whose);

/// `name=value`, in the place of what there was by that name.
void set_variable(std::vector<std::string>& env, std::string_view name, std::string_view value);

/// `inherited`, usually `environ`, without what a child must not take for its own: the variables of
/// this process's channel, of its place, and of the sockets that it was started with (LISTEN_FDS).
std::vector<std::string> inherited_variables(char** inherited);

/// The child finds its end of the channel at `fd`.
void name_channel(std::vector<std::string>& env, std::size_t fd, Serialization serialization);

}  // namespace cohort::process
