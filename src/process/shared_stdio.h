// A descriptor of this process as stdin, stdout or stderr of a child.
#pragma once

#include "cohort/error.h"
#include "cohort/fd.h"

namespace cohort::process {

enum class Sharing {
  Inherited,  ///< This process's own 0, 1 or 2 under the same number.
  Given,      ///< The caller names a descriptor, perhaps a connection that he is done with.
  OfOurs,     ///< A StdioStream, which never blocks whatever the flag says.
};

/// What a child gets in the place of `fd`, so that its reads and writes wait: a program that finds
/// its stdout O_NONBLOCK loses what does not fit. That flag belongs to the open file, which both
/// share, and whoever waits for it in a loop here needs it. So a pipe and a terminal are opened
/// once more, for the child. Nothing else can be (nor they, if they are another user's): then the
/// result is empty and `fd` itself is made blocking, unless it is inherited and a loop of this
/// process waits for it: an error.
Result<OwnFd> blocking_for_child(int fd, Sharing sharing);

}  // namespace cohort::process
