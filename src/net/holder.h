// Who has the address that could not be bound.
//
// The kernel lists its sockets (sock_diag(7)), and /proc/PID/fd says whose they are. A Unix socket
// is connected to instead, and says who listens. Best effort, as far as this user and this
// namespace of processes may see. Blocks: 10 ms where there are 1 000 processes. Any thread.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/notices.h"
#include "base/socket_table.h"
#include "cohort/address.h"
#include "cohort/error.h"

namespace cohort::net {

/// One of both at least.
struct Holder {
  std::optional<pid_t> pid{};  ///< The first, where several share the socket.
  std::optional<uid_t> uid{};
  std::string command{};  ///< `node app.ts`; empty if it cannot be seen.

  friend bool operator==(const Holder&, const Holder&) = default;
};

/// Nothing if nobody is found.
std::optional<Holder> holder_of(const Address& address,
                                const std::filesystem::path& processes = "/proc");

/// `pid 25818 (node app.ts)`, `a process of uid 0`.
std::string to_string(const Holder& holder);

/// `error`, with who has the address in place of how to find out, if it is EADDRINUSE and somebody
/// is found.
Error with_holder(Error error, const Address& address);

/// The notice `cannot_listen`: `port 9307 is taken by pid 25818 (node app.ts)`, or the error.
Remark cannot_listen(const Address& address, const Error& error);

/// Whom a socket that wants `host` would collide with, the likeliest first: who listens.
std::vector<ListedSocket> in_the_way(std::vector<ListedSocket> sockets, const HostBytes& host);

}  // namespace cohort::net
