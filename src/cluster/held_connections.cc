#include "cluster/held_connections.h"

#include <utility>
#include <vector>

#include "base/assert.h"
#include "cluster/handoff_peer.h"
#include "cluster/untouched.h"

namespace cohort::cluster {

void HeldConnections::hold(OwnFd connection, int wanted) {
  connections_.emplace(book_.hold(wanted), std::move(connection));
}

void HeldConnections::hand_off(const std::string& key, const PortUsers& users) {
  for (const auto& [worker, connections] : book_.offers(now())) {
    std::vector<HandoffPeer::Offer> offers;
    for (const ConnectionId connection : connections)
      offers.push_back({connection, known(connections_, connection).get()});
    users.peer(worker).hand_off(key, offers);
  }
}

bool HeldConnections::answer(int worker, std::span<const ConnectionId> connections,
                             std::size_t accepted) {
  const auto answered = book_.answer(worker, connections, accepted, now());
  for (const ConnectionId connection : answered.taken) connections_.erase(connection);
  return answered.any_refused;
}

void HeldConnections::lose(int worker, bool again) {
  const auto untouched = [this](ConnectionId connection) {
    return is_untouched(known(connections_, connection).get());
  };
  for (const ConnectionId connection : book_.lose(worker, again, untouched))
    connections_.erase(connection);
}

}  // namespace cohort::cluster
