// UDP sockets that a primary binds for its workers.
#pragma once

#include "cohort/address.h"
#include "cohort/error.h"
#include "cohort/fd.h"

namespace cohort::net {

/// A bound UDP socket, non-blocking and close-on-exec; an empty host is any address of the family.
/// Errors as `bind_socket`.
Result<OwnFd> bind_datagram(Address address, bool v6, bool ipv6_only, bool reuse_address);

}  // namespace cohort::net
