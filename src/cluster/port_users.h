// Who uses a port, and when it may be closed. Pure: it calls no worker.
//
// A worker *uses* the port from its query until it closes its server, ends or dies. One that was
// told to end is *retired*: it gets nothing more, but may accept from the port until it closes it.
// Who left without being the last that will ever ask for the port is a *predecessor*: while a
// successor of his may come, the port stays open, and connections wait.
//
// A value in each port.
#pragma once

#include <map>
#include <set>

#include "base/assert.h"

namespace cohort::cluster {

class HandoffPeer;

class PortUsers {
 public:
  struct User {
    HandoffPeer* peer;
    bool only_accepts;  ///< It cannot be handed a connection.
    bool held = false;  ///< Nor can this one for now.
  };

  /// The worker uses the port from now on, which is not to be closed any more.
  void join(int worker, User user);
  /// It gets no connections for now, and stays a user; or gets some again. False: it is none.
  bool hold(int worker, bool held);
  /// It closed its server. `for_good`: nobody is expected to ask for the port in its stead.
  /// False: it was no user.
  bool close(int worker, bool for_good);
  /// It ends. `may_accept`: until it closes the port.
  bool retire(int worker, bool for_good, bool may_accept);
  /// It is dead; a successor may come.
  void lose(int worker);
  /// No successor of this worker will ask for the port: if he was the last that had one to come,
  /// and nobody uses it, it is to be closed.
  void expect_no_successor(int worker);
  /// If nobody uses the port: it is to be closed, whoever may come. False: somebody does.
  bool close_if_unused();

  /// It is to be closed, and nobody accepts from it any more.
  bool may_close() const { return to_be_closed_ && users_.empty() && retired_.empty(); }
  bool empty() const { return users_.empty(); }
  /// Nobody uses it or accepts from it, and it stays open for a successor.
  bool abandoned() const { return users_.empty() && retired_.empty() && !to_be_closed_; }
  const std::map<int, User>& all() const { return users_; }
  bool contains(int worker) const { return users_.contains(worker); }
  HandoffPeer& peer(int worker) const { return *known(users_, worker).peer; }
  /// Whether the worker uses it, or may still accept from it.
  bool may_accept(int worker) const { return contains(worker) || retired_.contains(worker); }
  /// Of a user: whether he can be handed connections.
  bool takes(int worker) const {
    const User& user = known(users_, worker);
    return !user.only_accepts && !user.held;
  }
  /// There are users, and none can be handed a connection.
  bool none_takes() const;

 private:
  bool remove(int worker, bool for_good);

  std::map<int, User> users_;
  std::set<int> retired_;
  std::set<int> predecessors_;
  bool to_be_closed_ = false;
};

}  // namespace cohort::cluster
