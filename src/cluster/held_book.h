// Which connections the primary holds for a port, by number: each waits for a worker, or was
// offered to one that has not answered. Pure.
//
// A value in the PortBook. HeldConnections has what is held.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <span>
#include <vector>

#include "cluster/dispatcher.h"

namespace cohort::cluster {

class HeldBook {
 public:
  using TimePoint = Dispatcher::TimePoint;

  /// One more waits from now on, as Dispatcher::offer. Its number.
  ConnectionId hold(int wanted = 0);
  /// What may be offered now, by worker. It is unanswered from here on.
  std::map<int, std::vector<ConnectionId>> offers(TimePoint now);
  struct Answered {
    std::vector<ConnectionId> taken;  ///< They are held no more.
    bool any_refused = false;         ///< They wait again.
  };
  /// The worker took the first `accepted` of these, and refused the others.
  Answered answer(int worker, std::span<const ConnectionId> connections, std::size_t accepted,
                  TimePoint now);
  /// The worker is dead. What it had not answered and nobody has touched waits again, if `again`;
  /// all else is held no more, and returned.
  std::vector<ConnectionId> lose(int worker, bool again,
                                 const std::function<bool(ConnectionId)>& is_untouched);

  /// Who may be offered connections, and how many.
  Dispatcher& dispatcher() { return dispatcher_; }
  const Dispatcher& dispatcher() const { return dispatcher_; }

 private:
  Dispatcher dispatcher_;
  ConnectionId last_ = 0;
};

}  // namespace cohort::cluster
