// Sockets that whoever started this process bound for it: systemd's socket activation,
// sd_listen_fds(3).
#pragma once

#include "cohort/address.h"
#include "cohort/fd.h"

namespace cohort::net {

/// A duplicate, non-blocking and close-on-exec, of the inherited socket of this type (SOCK_STREAM
/// listens, SOCK_DGRAM is bound) and address; none if there is none. An empty host is any address.
///
/// The first call finds them: LISTEN_FDS says how many, from descriptor 3 on, if LISTEN_PID is this
/// process. The variables go, so that no child takes them for its own: make it before other threads
/// read the environment. The sockets stay open as long as the process: a server that closes leaves
/// its port to the next.
OwnFd inherited_socket(const Address& address, int type);

}  // namespace cohort::net
