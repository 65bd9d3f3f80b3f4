#include "cluster/untouched.h"

// The kernel's own header: libc's <netinet/tcp.h> has a shorter tcp_info, and the two exclude each
// other.
#include <linux/tcp.h>
#include <netinet/in.h>

#include <cstdint>

#include "base/sys.h"

namespace cohort::cluster {

bool is_untouched(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (sys::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, size) == -1) return false;
  int waiting = 0;
  if (sys::bytes_readable(fd, waiting) == -1) return false;
  // A FIN takes one sequence number and counts as received.
  const std::uint64_t received = info.tcpi_bytes_received;
  const auto unread = static_cast<std::uint64_t>(waiting);
  return info.tcpi_bytes_sent == 0 && (received == unread || received == unread + 1);
}

}  // namespace cohort::cluster
