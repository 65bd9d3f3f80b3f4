// Descriptors 0, 1 and 2 of this process, and what a child may get of them.
#pragma once

#include "cohort/fd.h"

namespace cohort::sys {

/// Opens /dev/null as those of 0, 1 and 2 that are closed, so that nothing that is opened later
/// gets their number, and with it what is printed. Not close-on-exec. errno is kept.
void open_standard_descriptors();

/// It is open, and not close-on-exec: a program that this one became would have it.
bool is_inheritable(int fd);
/// It is open, with O_NONBLOCK.
bool is_nonblocking(int fd);

/// The same pipe or terminal opened once more, with flags of its own (O_NONBLOCK is off). None, and
/// errno, of anything else (ENOTSUP), and where /proc or the owner's permission is missing.
OwnFd reopen(int fd);

}  // namespace cohort::sys
