// Where every connection is, kept count of independently of the dispatcher: in exactly one place,
// from its arrival in the kernel's queue to the worker that takes it, never lost and never served
// twice.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "cluster/dispatcher.h"
#include "sim/climate.h"

namespace cohort::cluster::sim {

class ConnectionReferee {
 public:
  using TimePoint = Dispatcher::TimePoint;

  /// `slot`: where it waits; none: at the socket that all have.
  ConnectionId arrived(int listener, std::optional<std::size_t> slot, TimePoint now);
  /// The primary took it from the kernel's queue.
  void taken(ConnectionId connection);
  void offered_again(ConnectionId connection);
  void assigned(int listener, Dispatcher::Assignment assignment, TimePoint now);
  /// The worker accepted it itself, or the kernel moved it to another slot.
  void accepted(int listener, int worker, ConnectionId connection);
  void moved(ConnectionId connection, std::size_t slot);
  /// A worker started to serve it.
  void touched(ConnectionId connection);
  void answered(int listener, int worker, ConnectionId connection, bool accepted, TimePoint now);
  void has_room(int listener, int worker);
  void given_up(ConnectionId connection);

  void joined(int listener, int worker, unsigned credits);
  void retired(int listener, int worker);
  void left(int listener, int worker, const std::vector<ConnectionId>& unanswered);
  /// Its port was closed; whatever it had is reset.
  void closed(int listener);
  /// Of a port with slots: whose it is.
  void has_slot(int listener, int worker, std::size_t slot);
  void gave_up_slot(int listener, int worker);
  std::optional<int> whose(int listener, std::size_t slot) const;
  /// When somebody who refused may be handed what waits, if nothing else can be done with it.
  std::optional<TimePoint> tried_again_at(int listener, bool accepts, TimePoint now) const;
  /// Every hand-off that can be made was made.
  /// `accepts`: the primary takes what arrives.
  void pumped(int listener, bool accepts, const Dispatcher& dispatcher, TimePoint now) const;

  bool is_touched(ConnectionId connection) const { return connections_.at(connection).touched; }
  std::size_t in_kernel(int listener) const { return count(listener, Where::Kernel); }
  std::size_t in_queue(int listener, std::size_t slot) const;
  ConnectionId first_in_kernel(int listener, std::optional<std::size_t> slot) const;
  /// Every connection was served or reset.
  bool all_settled() const { return connections_.empty(); }
  /// Connections of a listener that no worker has.
  bool any_waits(int listener) const;
  bool any_unanswered(int listener) const { return count(listener, Where::Unanswered) > 0; }
  /// Since when the first of them waits.
  std::optional<TimePoint> waits_since(int listener) const;
  TimePoint arrived_at(ConnectionId connection) const {
    return connections_.at(connection).arrived;
  }
  /// How many were reset with their port.
  std::size_t resets(int listener) const {
    const auto found = resets_.find(listener);
    return found == resets_.end() ? 0 : found->second;
  }

 private:
  enum class Where { Kernel, Waiting, Unanswered };
  struct Connection {
    int listener;
    std::optional<std::size_t> slot;
    TimePoint arrived;
    std::uint64_t turn = 0;  // of those that the primary took
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
    std::map<std::size_t, int> slots{};
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
  std::map<int, std::size_t> resets_;
};

}  // namespace cohort::cluster::sim
