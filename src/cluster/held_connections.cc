#include "cluster/held_connections.h"

#include <map>
#include <utility>
#include <vector>

#include "cluster/handoff_peer.h"
#include "cluster/untouched.h"

namespace cohort::cluster {

void HeldConnections::hold(OwnFd connection, int wanted) {
  const ConnectionId id = ++last_;
  connections_.emplace(id, std::move(connection));
  dispatcher_.offer(id, wanted);
}

void HeldConnections::hand_off(const std::string& key, const PortUsers& users) {
  const TimePoint at = now();
  std::map<int, std::vector<HandoffPeer::Offer>> offers;  // by worker
  while (const auto assignment = dispatcher_.next(at))
    offers[assignment->worker].push_back(
        {assignment->connection, connections_.at(assignment->connection).get()});
  for (const auto& [worker, connections] : offers) users.peer(worker).hand_off(key, connections);
}

bool HeldConnections::answer(int worker, std::span<const ConnectionId> connections,
                             std::size_t accepted) {
  for (const ConnectionId connection : connections.first(accepted))
    if (dispatcher_.accepted(worker, connection)) connections_.erase(connection);
  const TimePoint at = now();
  bool any_refused = false;
  for (const ConnectionId connection : connections.subspan(accepted)) {
    if (!dispatcher_.refused(worker, connection, at)) continue;
    dispatcher_.offer(connection);
    any_refused = true;
  }
  return any_refused;
}

void HeldConnections::lose(int worker, bool again) {
  for (const ConnectionId connection : dispatcher_.lose(worker)) {
    if (again && is_untouched(connections_.at(connection).get()))
      dispatcher_.offer(connection);
    else
      connections_.erase(connection);
  }
}

}  // namespace cohort::cluster
