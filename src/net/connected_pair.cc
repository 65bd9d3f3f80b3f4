#include "net/connected_pair.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <utility>

#include "base/sys.h"
#include "net/bind.h"
#include "net/sockaddr.h"

namespace cohort::net {
namespace {

constexpr const char* kPair = "connect to this process";
// Over the loopback interface a handshake is over when `connect` returns, or a little later.
constexpr std::chrono::milliseconds kSoon{20};

Result<ConnectedPair> unix_pair() {
  OwnFd ends[2];
  if (sys::socketpair(AF_UNIX, SOCK_STREAM, true, ends) == -1) return errno_error(kPair);
  return ConnectedPair{std::move(ends[0]), std::move(ends[1])};
}

bool same_address(const Result<Address>& a, const Result<Address>& b) { return a && b && *a == *b; }

}  // namespace

Result<ConnectedPair> connected_pair(bool unix_sockets) {
  if (unix_sockets) return unix_pair();
  const auto listener = bind_socket({.address = {"127.0.0.1", 0}});
  if (!listener) return listener.error();
  if (const auto listening = listen_on(listener->get(), 0); !listening) return listening.error();
  const auto local = local_address(listener->get());
  if (!local) return local.error();
  const auto target = to_sockaddr(*local);
  if (!target) return target.error();
  ConnectedPair pair{.client = sys::socket(AF_INET, SOCK_STREAM, 0), .server = {}};
  if (!pair.client) return errno_error(kPair);
  if (sys::connect(pair.client.get(), target->get(), target->size) == -1 && errno != EINPROGRESS)
    return errno_error(kPair);
  // Anybody on this machine may connect there.
  const auto deadline = std::chrono::steady_clock::now() + kSoon;
  do {
    sys::wait_for(listener->get(), POLLIN, deadline);
    pair.server = sys::accept(listener->get());
    if (!pair.server) return errno_error(kPair);
  } while (!same_address(peer_address(pair.server.get()), local_address(pair.client.get())));
  return pair;
}

}  // namespace cohort::net
