// The primary's ports, one for each address that workers asked for: a socket that all share, one
// that the primary accepts from, or slots. And the hand-off of connections: of all under
// round-robin, of those that a slot's worker does not take otherwise.
//
// Owned by the Primary; loop's executor only. A listener is closed when its last user closed it or
// disconnected on purpose, unless a successor is expected; when the last user died it stays open,
// and connections wait in the kernel's queue for a successor.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "base/loop.h"
#include "cluster/dispatcher.h"
#include "cluster/slot_port.h"
#include "cluster/wire.h"
#include "cohort/cluster.h"
#include "cohort/fd.h"

namespace cohort::cluster {

/// What `Cluster::set_policy` was given.
struct ChosenPolicy {
  Policy policy = Policy::Auto;
  std::optional<std::chrono::milliseconds> rescue_after{};
  std::function<std::optional<std::size_t>(const Arrival&)> pick{};  // Policy::Own
  std::size_t peek_size = 0;
};

/// A worker as the listeners see it.
class HandoffPeer {
 public:
  virtual int id() const = 0;
  /// Of those that live, no other has it.
  virtual std::size_t slot() const = 0;
  /// How many connections it may hold unanswered.
  virtual unsigned credits() const = 0;
  /// Answers a query; `fd` goes with the reply if it is not -1 (the caller keeps it).
  virtual void reply(const QueryServer& query, Value reply, int fd) = 0;
  struct Offer {
    ConnectionId connection;
    int fd;
  };
  /// Offers connections, no more than it has credits. `Listeners::answer` follows once for all of
  /// them, or the worker's end. The caller keeps their descriptors.
  virtual void hand_off(const std::string& key, std::span<const Offer> connections) = 0;
  /// Asks for a sign of life: `Listeners::turns` follows, when its loop turns.
  virtual void probe() = 0;

 protected:
  ~HandoffPeer() = default;
};

class Listeners {
 public:
  /// How connections to an address come to the workers, and why so.
  using Decided = std::function<void(const Address&, Policy, const std::string& why)>;

  Listeners(const Loop& loop, ChosenPolicy policy, Decided decided);
  ~Listeners();

  void query(HandoffPeer& worker, const QueryServer& query);
  /// A listening descriptor that the worker is started with, its `index`-th: no message brings it,
  /// and nothing is handed to the worker. The listeners keep it.
  struct Lent {
    int fd;
    Address address;  ///< Where it listens.
  };
  Result<Lent> lend(HandoffPeer& worker, std::size_t index, const Address& address);
  /// Of every port's slots, from now on.
  void set_weights(SlotBook::Weights weights);
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
  bool publishes(int worker, const std::string& key, std::shared_ptr<const net::Load> load);
  /// Whether connections wait that the worker would accept, other than from the primary.
  bool any_waiting(int worker) const;
  /// The service ends: as net::stop_arrivals for every port that ends with it, and no port is
  /// opened any more. What has arrived still comes to the workers. False: there is no such port.
  bool stop_arrivals();
  /// Whether connections wait at those ports.
  bool any_waiting() const;
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
  void release_all();
  bool empty() const { return entries_.empty(); }

 private:
  struct Entry;
  Entry* find(const std::string& key);
  Entry* find_lent(int worker, int fd);
  Result<std::unique_ptr<Entry>> open(const QueryServer& query, std::string key, bool lent = false);
  Result<std::unique_ptr<Entry>> open_anew(const QueryServer& query, const std::string& key);
  Result<int> join(HandoffPeer& worker, Entry& entry, bool only_accepts);
  void refuse(HandoffPeer& worker, const QueryServer& query, const Error& error);
  void say_why(const QueryServer& query, const Error& error);
  Result<void> open_slots(Entry& entry, const QueryServer& query);
  Result<void> open_padded(Entry& entry, const QueryServer& query);
  Policy policy_for(const QueryServer& query, bool given) const;
  bool is_limited(const QueryServer& query) const;
  std::string why(const QueryServer& query, Policy policy, bool given) const;
  void reply(HandoffPeer& worker, Entry& entry, const QueryServer& query, Value message, int fd);
  void slots_found(Entry& entry, const SlotBook::Findings& findings);
  void accept_ready(Entry& entry);
  int pick(const Entry& entry, int fd);
  void pump(Entry& entry);
  void release_if_unused(const std::string& key);
  bool release_closed(const std::function<bool(Entry&)>& is_meant);

  Loop loop_;
  ChosenPolicy policy_;
  Decided decided_;
  SlotBook::Weights weights_;
  std::map<std::string, std::unique_ptr<Entry>> entries_;
  bool complained_ = false;             // of a kernel that does not steer
  std::map<std::string, int> refused_;  // errno by key: those of whom it was said
  bool ends_ = false;
};

}  // namespace cohort::cluster
