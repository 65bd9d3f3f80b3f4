// The channel that this process was started with, if it was.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "cohort/fd.h"
#include "cohort/serialization.h"

namespace cohort::cluster {

struct ParentChannel {
  OwnFd socket;                     ///< None: no channel.
  std::optional<int> worker_id;     ///< A worker of a cluster.
  std::optional<std::size_t> slot;  ///< Its slot, in a cluster of ours.
  Serialization serialization = Serialization::Json;
  bool of_cohort = false;  ///< The parent is one of ours.
  std::string problem;     ///< Why there is none, though the environment names one.
};

/// What the parent says in the environment. Reading it takes it out, so that children of this
/// process do not take it for theirs. Exits with 100 and a message if the parent asks for a
/// serialization that nobody knows.
ParentChannel take_parent_channel();

}  // namespace cohort::cluster
