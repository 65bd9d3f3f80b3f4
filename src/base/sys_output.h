// The OS seam, continued (sys.h has its contract): pipes and files that output goes to.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>

#include "base/sys.h"

namespace cohort::sys {

/// At `offset`, and the file's own position stays.
ssize_t pread(int fd, void* data, std::size_t size, off_t offset);
/// Moves up to `size` bytes between two pipes; never waits, whatever their flags: EAGAIN. Raises
/// SIGPIPE if nobody reads the second.
ssize_t splice_now(int from_pipe, int to_pipe, std::size_t size);
/// F_SETPIPE_SZ.
int set_pipe_size(int fd, int size);
/// F_GETFL: O_APPEND and others.
int status_flags(int fd);
/// Where the next byte goes in a file.
off_t position(int fd);
int fstat(int fd, struct ::stat& info);

}  // namespace cohort::sys
