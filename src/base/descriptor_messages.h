// Descriptors in a message of a Unix socket (SCM_RIGHTS, unix(7)).
//
// Pure, but that taking them makes them this process's.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <span>
#include <vector>

#include "cohort/fd.h"

namespace cohort {

/// Room for so many in one message.
template <std::size_t Count>
struct DescriptorSpace {
  alignas(cmsghdr) char bytes[CMSG_SPACE(Count * sizeof(int))];
};

/// Adds `fds` to a message that is to be sent; `space` has to live until then. None: nothing.
void lend_descriptors(msghdr& message, std::span<char> space, std::span<const int> fds);
/// Those of a message that was received.
std::vector<OwnFd> take_descriptors(msghdr& message);

}  // namespace cohort
