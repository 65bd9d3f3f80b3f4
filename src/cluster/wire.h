// The cluster messages of Node's channel (node: lib/internal/cluster): builders, and a parser that
// trusts nothing. Pure. `docs/ipc.md` specifies the bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cohort/address.h"
#include "cohort/error.h"
#include "cohort/value.h"

namespace cohort::cluster {

enum class SocketType : std::uint8_t { Tcp, Unix, Udp4, Udp6 };

/// What a listening socket is to be like.
struct SocketWishes {
  int backlog = 0;  ///< 0: default.
  bool ipv6_only = false;
  bool reuse_address = false;  ///< UDP.
  bool readable_all = false;
  bool writable_all = false;
  bool defer_accept = false;  ///< Ours only: connections are to come with their first data.
};

/// A worker asks for a listening socket (`{act: "queryServer"}`).
struct QueryServer {
  std::int64_t seq = 0;
  std::int64_t index = 0;              ///< Counts equal queries of one worker.
  Value data;                          ///< Opaque to the primary: TLS ticket keys, for instance.
  std::optional<std::string> address;  ///< None: any address.
  std::int64_t port = 0;               ///< -1 for a Unix socket.
  SocketType type = SocketType::Tcp;
  bool v6 = false;        ///< addressType 6.
  std::optional<int> fd;  ///< A descriptor of the primary, instead of an address.
  SocketWishes wishes;
  bool padded_too = false;    ///< An abstract name of a Node worker: some of its clients pad it.
  bool accepts_only = false;  ///< Ours only: it cannot be handed a connection.
  /// Of a Node server whose worker has the preload: more than so many it closes. 0: no limit.
  std::int64_t connections_max = 0;

  /// Workers with the same key share one socket. The form of Node 26: only where several sockets
  /// may have one address (port 0, UDP) does the index tell them apart. A worker of Node 20 raises
  /// the index with every try on a busy port, so that two of them would never again agree on a key.
  std::string key() const;
  bool is_datagram() const { return type == SocketType::Udp4 || type == SocketType::Udp6; }
  Address listen_address() const;
};

/// Fails on anything that Node's worker could not have sent.
Result<QueryServer> parse_query_server(const Value& message);
Value make_query_server(const QueryServer& query);

/// The address in a `{act: "listening"}` message, for the `listening` event.
Address parse_listening(const Value& message);

/// Node's `sockname` of a reply: `{address, family, port}`; undefined for a Unix socket.
Value make_sockname(const Address& bound);
Address parse_sockname(const Value& sockname);

/// A cluster message under construction: `{cmd: "NODE_CLUSTER", ...}`; `seq` is set by the sender,
/// last.
Value cluster_message(std::string_view act = {});

}  // namespace cohort::cluster
