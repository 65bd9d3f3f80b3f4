// Addresses between our form and the kernel's.
//
// Values and free functions; any thread. Only `resolve` may block, and only for names.
#pragma once

#include <sys/socket.h>

#include <vector>

#include "cohort/address.h"
#include "cohort/error.h"

namespace cohort::net {

/// A `sockaddr` of any family, with its length.
struct SockAddr {
  sockaddr_storage storage{};
  socklen_t size = 0;

  int family() const { return storage.ss_family; }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

/// An IP literal (IPv6 with an optional `%zone`) or a Unix path. Errors: AddressMismatch for a host
/// that is no literal, ENAMETOOLONG for a path over 107 bytes, ENODEV for an unknown zone.
Result<SockAddr> to_sockaddr(const Address& address);

/// All that the address can mean, in the order to try: an empty host is `::`, then `0.0.0.0`; a
/// name is what getaddrinfo(3) says, in its order. Blocks for a name, for as long as the resolver
/// takes. Errors: as to_sockaddr, with AddressMismatch for a name that does not resolve.
Result<std::vector<SockAddr>> resolve(const Address& address);

/// An unnamed Unix socket (a client's, usually) becomes `Address{}`.
Address from_sockaddr(const SockAddr& address);

/// The address a socket is bound to, and its peer's. Errors: those of getsockname and getpeername.
Result<Address> local_address(int fd);
Result<Address> peer_address(int fd);

}  // namespace cohort::net
