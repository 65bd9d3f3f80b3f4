#include "cluster/held_book.h"

namespace cohort::cluster {

ConnectionId HeldBook::hold(int wanted) {
  dispatcher_.offer(++last_, wanted);
  return last_;
}

std::map<int, std::vector<ConnectionId>> HeldBook::offers(TimePoint now) {
  std::map<int, std::vector<ConnectionId>> offers;
  while (const auto assignment = dispatcher_.next(now))
    offers[assignment->worker].push_back(assignment->connection);
  return offers;
}

HeldBook::Answered HeldBook::answer(int worker, std::span<const ConnectionId> connections,
                                    std::size_t accepted, TimePoint now) {
  Answered answered;
  for (const ConnectionId connection : connections.first(accepted))
    if (dispatcher_.accepted(worker, connection)) answered.taken.push_back(connection);
  for (const ConnectionId connection : connections.subspan(accepted)) {
    if (!dispatcher_.refused(worker, connection, now)) continue;
    dispatcher_.offer(connection);
    answered.any_refused = true;
  }
  return answered;
}

std::vector<ConnectionId> HeldBook::lose(int worker, bool again,
                                         const std::function<bool(ConnectionId)>& is_untouched) {
  std::vector<ConnectionId> lost;
  for (const ConnectionId connection : dispatcher_.lose(worker)) {
    if (again && is_untouched(connection))
      dispatcher_.offer(connection);
    else
      lost.push_back(connection);
  }
  return lost;
}

}  // namespace cohort::cluster
