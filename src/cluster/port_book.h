// What a port knows: who uses it, what is held for them, when that is tried again, and when the
// port may be closed. Pure.
//
// A value in each Port, which has the sockets and the timer.
#pragma once

#include <functional>
#include <optional>

#include "cluster/held_book.h"
#include "cluster/port_users.h"

namespace cohort::cluster {

class PortBook {
 public:
  using TimePoint = HeldBook::TimePoint;

  const PortUsers& users() const { return users_; }
  HeldBook& held() { return held_; }
  const HeldBook& held() const { return held_; }
  /// It is to be closed, and nobody has anything of it any more.
  bool may_close() const { return users_.may_close() && !held_.dispatcher().any_unanswered(); }

  /// The worker is a user; it is offered nothing until it is in the dispatcher.
  void join(int worker, PortUsers::User user) { users_.join(worker, user); }
  /// It is offered nothing for now, and stays a user; or may be again. False: it is none.
  bool hold(int worker, bool held);
  /// It closed its server. False: it was no user.
  bool close(int worker, bool for_good);
  /// It ends: it gets no more connections, but still answers what it was offered. `accepts`: by
  /// itself, until it closes the port.
  void retire(int worker, bool for_good, bool accepts);
  /// It is dead. Whether what it held may go to others: as HeldBook::lose.
  bool lose(int worker);
  void expect_no_successor(int worker) { users_.expect_no_successor(worker); }
  bool close_if_unused() { return users_.close_if_unused(); }

  /// Somebody can be handed a connection, or may come.
  bool any_may_take() const { return !users_.none_takes(); }
  /// At the end of the service: whether somebody still takes what has arrived.
  bool is_awaited(const std::function<bool()>& any_arrived) const;
  /// Whatever could be handed off was: when to try again, if only time helps.
  std::optional<TimePoint> retry_at(TimePoint now) const;

 private:
  PortUsers users_;
  HeldBook held_;
};

}  // namespace cohort::cluster
