// Memory that two processes have, as a descriptor that one sends to the other: a memfd whose size
// neither can change, so that nobody's access fails under him.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "cohort/error.h"
#include "cohort/fd.h"

namespace cohort {

/// Zeros. Nothing is allocated before `sys::fallocate`, and whoever writes before may be killed.
Result<OwnFd> create_sealed_memory(std::size_t size);

enum class MemoryAccess { Read, ReadWrite };
/// Unmapped with the last copy of the pointer. MalformedMessage: not such a memfd, or not of that
/// size.
Result<std::shared_ptr<std::byte>> map_sealed_memory(int fd, std::size_t size, MemoryAccess access);
/// The same of what another process names by its descriptor, /proc/PID/fd/N, whatever that may be.
/// No descriptor stays open.
Result<std::shared_ptr<std::byte>> open_sealed_memory(const std::string& path, std::size_t size,
                                                      MemoryAccess access);

}  // namespace cohort
