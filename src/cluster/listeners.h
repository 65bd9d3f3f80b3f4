// The primary's ports, one for each address that workers asked for, by its key: opened for the
// first worker that asks, closed when nobody has anything of them any more. All that a worker says
// of a port comes here and goes to that port.
//
// Owned by the Primary; loop's executor only. A port is closed when its last user closed it or
// disconnected on purpose, unless a successor is expected; when the last user died it stays open,
// and connections wait in the kernel's queue for a successor: for ever, or as long as `set_hold`
// says.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/callback_scope.h"
#include "base/loop.h"
#include "cluster/handoff_peer.h"
#include "cluster/port.h"
#include "cluster/port_opener.h"
#include "cluster/wire.h"
#include "cohort/fd.h"

namespace cohort::cluster {

class Listeners {
 public:
  using Decided = PortOpener::Decided;

  Listeners(const Loop& loop, ChosenPolicy policy, Decided decided);

  /// `held`: it gets no connections until it is resumed.
  void query(HandoffPeer& worker, const QueryServer& query, bool held = false);
  /// A listening descriptor that the worker is started with, its `index`-th: no message brings it,
  /// and nothing is handed to the worker. The listeners keep it.
  struct Lent {
    int fd;
    Address address;  ///< Where it listens.
    bool is_shared;   ///< All workers accept from it.
  };
  Result<Lent> lend(HandoffPeer& worker, std::size_t index, const Address& address,
                    bool held = false);
  /// As Worker::open_connection: to the first of these addresses that is a port of the worker's.
  Result<OwnFd> connect(HandoffPeer& worker, std::span<const Address> addresses);
  /// Of every port's slots, from now on.
  void set_weights(SlotBook::Weights weights);
  /// How long a port that nobody uses stays open for a successor. Nothing: for ever.
  void set_hold(std::optional<std::chrono::milliseconds> hold);
  /// The worker closed its server. `release`: the port is closed if nobody else uses it; else it
  /// stays open, and connections wait, until `release_closed`.
  void close(int worker, const std::string& key, bool release);
  /// No successor of the worker will ask for its ports: those that nobody uses, and no other's
  /// successor may ask for, are closed.
  void release_closed(int worker);
  /// Whether the worker has a port, or still accepts what waits at one that it gave up.
  bool uses_any(int worker) const;
  /// The worker's answer to a hand-off: how many of the connections, the first ones, it took. It
  /// refused the others, or never got them.
  void answer(int worker, const std::string& key, std::span<const ConnectionId> connections,
              std::size_t accepted);
  /// The worker, which had refused, has room again (a cohort worker says so).
  void has_room(int worker, const std::string& key);
  /// The worker, which was probed, answered.
  void turns(int worker);
  /// What the worker has under way on the port is to be seen there. False: it does not use it.
  bool publishes(int worker, const std::string& key, const std::shared_ptr<const net::Load>& load);
  /// Whether connections wait that the worker would accept, other than from the primary.
  bool any_waiting(int worker) const;
  /// The service ends: as net::stop_arrivals for every port that ends with it, and no port is
  /// opened any more. What has arrived still comes to the workers. False: there is no such port.
  bool stop_arrivals();
  /// Whether connections wait at those ports.
  bool any_waiting() const;
  /// The worker gets no more connections, until it is resumed.
  void hold(int worker);
  void resume(HandoffPeer& worker);
  /// The worker gets no more connections; what it holds unanswered it still answers. `release`: its
  /// ports are closed if nobody else uses them.
  void retire(int worker, bool release);
  /// The worker is dead: what it held unanswered and had not touched is handed to others.
  void lose(int worker);
  /// A connection that a worker had accepted and gives back, with nothing under way on it.
  void take_back(const std::string& key, OwnFd connection);
  /// Whether any worker uses any port.
  bool have_users() const;
  /// Closes every port.
  void release_all() { ports_.clear(); }
  bool empty() const { return ports_.empty(); }
  /// Every port, by key.
  std::vector<PortStatus> status() const;

 private:
  Port* find(const std::string& key) const;
  Port* find_lent(int worker, int fd) const;
  Result<Port*> open(const QueryServer& query, const std::string& key);
  Port& add(std::unique_ptr<Port> opened);
  bool make_way(const Address& wanted);
  void refuse(HandoffPeer& worker, const QueryServer& query, const Error& error);
  void say_why(const QueryServer& query, const Error& error);
  void watch_abandoned();
  template <class Visit>
  void visit_all(Visit visit);
  template <class Visit>
  void visit_one(const std::string& key, Visit visit);

  Loop loop_;
  PortOpener opener_;
  SlotBook::Weights weights_;
  std::map<std::string, std::unique_ptr<Port>> ports_;
  std::map<std::string, int> refused_;  // errno by key: those of whom it was said
  bool ends_ = false;
  std::optional<std::chrono::milliseconds> hold_;
  boost::asio::steady_timer abandoned_;  // of them, the next to be closed
  CallbackScope callbacks_;
};

}  // namespace cohort::cluster
