// Who has the address that could not be bound.
//
// The kernel lists its sockets (sock_diag(7)), and /proc/PID/fd says whose they are. A Unix socket
// is connected to instead, and says who listens. Best effort, as far as this user and this
// namespace of processes may see. Blocks: 10 ms where there are 1 000 processes. Any thread.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/notices.h"
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

/// An IPv6 address, or an IPv4 one mapped to it; all zero: any.
using HostBytes = std::array<std::uint8_t, 16>;

/// A socket in the kernel's answer.
struct BoundSocket {
  std::uint64_t inode = 0;
  uid_t uid = 0;
  bool listens = false;
  HostBytes host{};
};

/// Appends the sockets of a piece of the answer. False: it was the last, or an error.
bool parse_sockets(std::span<const std::byte> piece, std::vector<BoundSocket>& sockets);

/// Whom a socket that wants `host` would collide with, the likeliest first: who listens.
std::vector<BoundSocket> in_the_way(std::vector<BoundSocket> sockets, const HostBytes& host);

}  // namespace cohort::net
