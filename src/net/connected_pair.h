// Two ends of a connection, both of this process: one to be given to a server.
#pragma once

#include "cohort/error.h"
#include "cohort/fd.h"

namespace cohort::net {

struct ConnectedPair {
  OwnFd client;
  OwnFd server;
};

/// Neither blocks. TCP over the loopback interface, or a pair of Unix sockets. Errors: what the
/// system says, as when there are no descriptors.
Result<ConnectedPair> connected_pair(bool unix_sockets);

}  // namespace cohort::net
