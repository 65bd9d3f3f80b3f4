#include "net/datagram.h"

#include <netinet/in.h>

#include <cerrno>

#include "base/sys.h"
#include "net/bind.h"
#include "net/sockaddr.h"

namespace cohort::net {

Result<OwnFd> bind_datagram(Address address, bool v6, bool ipv6_only, bool reuse_address) {
  if (address.host().empty()) address = Address{v6 ? "::" : "0.0.0.0", address.port()};
  const auto bound_to = to_sockaddr(address);
  if (!bound_to) return bound_to.error();
  OwnFd fd = sys::socket(bound_to->family(), SOCK_DGRAM, 0);
  if (!fd) return error_for(address, errno);
  if (reuse_address && sys::set_int_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1) == -1)
    return error_for(address, errno);
  if (v6 && sys::set_int_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, ipv6_only ? 1 : 0) == -1)
    return error_for(address, errno);
  if (sys::bind(fd.get(), bound_to->get(), bound_to->size) == -1) return error_for(address, errno);
  return fd;
}

}  // namespace cohort::net
