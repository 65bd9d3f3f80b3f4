// How connections come to the workers: the policies, and what one of the user's own is shown.
// docs/policies.md compares them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "cohort/address.h"

namespace cohort {

/// How connections come to the workers (docs/policies.md). Decided at the first `setup_primary` or
/// `fork`, as in Node.
enum class Policy : std::uint8_t {
  Auto,        ///< Adaptive for TCP, RoundRobin for Unix sockets. The default.
  RoundRobin,  ///< The primary accepts and hands each connection to a free worker (Node's
               ///< SCHED_RR).
  Shared,      ///< The workers accept from one socket (Node's SCHED_NONE).
  Adaptive,    ///< Each worker accepts from a queue of its own; the kernel chooses among those that
               ///< are not blocked, and what waits behind one that is blocked moves to others.
  Hash,        ///< As Adaptive, but chosen by the client's address: the same client comes to the
               ///< same worker, until that one takes no connection for a second. For caches.
  Sticky,      ///< As Hash, but a client never moves: it waits for its worker, or for its worker's
               ///< successor. For sessions that live in a worker (Socket.IO's long polling).
  Own,         ///< As RoundRobin, but a function of the user's picks the worker.
};
/// `round-robin`, `shared`, ...: as the command, the environment and the docs have it.
const char* to_string(Policy policy);
/// The inverse; also Node's `rr` and `none`. Nothing for other names.
std::optional<Policy> policy_from(std::string_view name);

/// A connection that has arrived, as a policy of the user's own sees it.
struct Arrival {
  /// Nothing for a Unix socket. IPv4 clients of a port of `::` (`listen(8000)`) are
  /// `::ffff:192.0.2.1`. Behind a proxy this is the proxy.
  Address client;
  Address local;  ///< Where it arrived.
  /// Its first bytes, as many as were asked for and have come: what a client sends in two packets
  /// may be here in part. They stay in the connection.
  std::string_view head;
};

}  // namespace cohort
