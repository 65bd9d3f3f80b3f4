// Where every connection is, kept count of independently of the dispatcher: in exactly one place,
// from its arrival in the kernel's queue to the worker that takes it, never lost and never served
// twice.
#pragma once

#include <deque>
#include <map>
#include <vector>

#include "cluster/dispatcher.h"
#include "sim/climate.h"

namespace cohort::cluster::sim {

class ConnectionReferee {
 public:
  using TimePoint = Dispatcher::TimePoint;

  ConnectionId arrived(int listener);
  /// The primary took it from the kernel's queue.
  void taken(ConnectionId connection);
  void offered_again(ConnectionId connection);
  void assigned(int listener, Dispatcher::Assignment assignment, TimePoint now);
  /// A worker started to serve it.
  void touched(ConnectionId connection);
  void answered(int listener, int worker, ConnectionId connection, bool accepted, TimePoint now);
  void given_up(ConnectionId connection);

  void joined(int listener, int worker, unsigned credits);
  void retired(int listener, int worker);
  void left(int listener, int worker, const std::vector<ConnectionId>& unanswered);
  /// Its port was closed; whatever it had is reset.
  void closed(int listener);
  /// Every hand-off that can be made was made.
  void pumped(int listener, const Dispatcher& dispatcher, TimePoint now) const;

  bool is_touched(ConnectionId connection) const { return connections_.at(connection).touched; }
  std::size_t in_kernel(int listener) const { return count(listener, Where::Kernel); }
  ConnectionId first_in_kernel(int listener) const;
  /// Every connection was served or reset.
  bool all_settled() const { return connections_.empty(); }
  /// Connections of a listener that has workers, but that no worker has.
  bool any_stuck(int listener) const;

 private:
  enum class Where { Kernel, Waiting, Unanswered };
  struct Connection {
    int listener;
    Where where = Where::Kernel;
    int worker = 0;
    bool touched = false;
  };
  struct Member {
    unsigned credits = 0;  // 0: retired
    std::deque<ConnectionId> unanswered{};
    int refusals = 0;  // in a row
    std::uint64_t last_turn = 0;
    TimePoint alone_until{};
  };
  struct Listener {
    std::deque<ConnectionId> waiting{};
    std::map<int, Member> members{};
  };

  std::size_t count(int listener, Where where) const;
  static bool is_free(const Member& member, TimePoint now) {
    return member.unanswered.size() < member.credits && member.alone_until <= now;
  }

  Connection& find(ConnectionId connection);

  std::map<ConnectionId, Connection> connections_;  // those that are neither served nor reset
  std::map<int, Listener> listeners_;
  ConnectionId last_ = 0;
  std::uint64_t turn_ = 0;
};

}  // namespace cohort::cluster::sim
