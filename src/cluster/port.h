// One port of the primary's: an address that workers asked for, and how connections to it come to
// them. Of three kinds: the primary accepts (HandedOffPort), the workers accept from one socket
// (SharedPort), or each from one of its own (SlotPort).
//
// Every kind can hold connections and hand them off: those that the primary accepted, those that a
// worker gave back. Here is what that has in common: who uses the port, what is held, and when it
// is tried again.
//
// Owned by the Listeners, which close it when `may_close`; loop's executor only.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/callback_scope.h"
#include "base/loop.h"
#include "cluster/handoff_peer.h"
#include "cluster/held_connections.h"
#include "cluster/port_book.h"
#include "cluster/slot_book.h"
#include "cohort/address.h"
#include "cohort/error.h"
#include "cohort/fd.h"
#include "cohort/status.h"
#include "cohort/value.h"
#include "net/load.h"
#include "net/socket_file.h"

namespace cohort::cluster {

class Port {
 public:
  /// What the first worker asked for.
  struct Asked {
    std::string key;
    Address address;
    Value data;          ///< Of the first worker, for all: Node's TLS servers need it.
    bool given = false;  ///< The socket is of whoever may have it longer than this service.
    bool lent = false;   ///< To workers that start with it, and may know nothing of O_NONBLOCK.
  };

  /// `file` is removed by the kinds that have one, before they close what is bound to it.
  Port(const Loop& loop, Asked asked, net::SocketFile file = {});
  virtual ~Port() = default;
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;

  const Asked& asked() const { return asked_; }
  const PortUsers& users() const { return book_.users(); }
  /// It is to be closed, and nobody has anything of it any more.
  bool may_close() const { return book_.may_close(); }

  /// The worker is a user. What it accepts from, which the port keeps; -1 if the primary does.
  /// `only_accepts`: it is handed nothing. `held`: it gets no connections, until it is resumed.
  Result<int> join(HandoffPeer& worker, bool only_accepts, bool held);
  /// The same of a worker that joined.
  virtual int socket_of(int worker) const = 0;
  virtual Policy policy() const = 0;
  /// What only this kind has to say in the reply to a user's query.
  virtual void complete(Value& /*reply*/, int /*worker*/) const {}
  /// The reply is on its way: what is handed off now comes after it.
  virtual void welcome(HandoffPeer& /*worker*/) {}

  /// It closed its server. `for_good`: the port is closed if nobody else uses it.
  virtual void close(int worker, bool for_good);
  /// It gets no more connections, until it is resumed.
  virtual void hold(int worker);
  virtual void resume(HandoffPeer& worker);
  /// It ends: it gets no more connections, but still answers what it was offered.
  virtual void retire(int worker, bool for_good);
  /// It is dead: what it had not answered goes to others.
  virtual void lose(int worker);
  /// No successor of it will ask for the port.
  virtual void expect_no_successor(int worker) { book_.expect_no_successor(worker); }
  /// The port is in another's way. False: somebody uses it.
  bool close_if_unused() { return book_.close_if_unused(); }
  /// Since when it has been kept open for nobody but a successor. Nothing: it is not, or closing it
  /// would not have the same port refuse connections and open again.
  std::optional<HeldConnections::TimePoint> abandoned_since(HeldConnections::TimePoint now);
  /// Whether the address cannot be bound because of this port.
  bool is_in_the_way_of(const Address& address) const;

  /// Whether this is where a server of connections says that it listens: the same port, or path.
  bool listens_at(const Address& address) const;
  /// A connection to this user alone: the client's end. As Worker::open_connection.
  Result<OwnFd> connect(HandoffPeer& worker);

  /// As Listeners::answer, has_room and take_back.
  virtual void answer(int worker, std::span<const ConnectionId> connections, std::size_t accepted);
  void has_room(int worker);
  virtual void take_back(OwnFd connection);

  /// What only workers with queues of their own have: as Listeners'.
  virtual void turns(int /*worker*/) {}
  virtual void publishes(int /*worker*/, const std::shared_ptr<const net::Load>& /*load*/) {}
  virtual void set_weights(const SlotBook::Weights& /*weights*/) {}
  virtual bool any_waiting(int /*worker*/) const { return false; }

  /// The service ends, and with it this port, unless the socket was given: nothing more arrives.
  bool stop_arrivals();
  /// Whether connections wait that arrived before that, and somebody may take them.
  bool any_waiting() const;

  PortStatus status() const;

 protected:
  const Loop& loop() const { return loop_; }
  HeldConnections& held() { return held_; }
  const CallbackScope& callbacks() const { return callbacks_; }
  void remove_file() { file_.remove(); }
  /// Hands off what can be, then waits for whatever has to happen next: a connection if a worker is
  /// free, a worker's answer (nothing to do), or the end of a full worker's delay.
  void pump();
  void pump_at(HeldConnections::TimePoint time);

 private:
  /// A worker is about to be a user.
  virtual Result<void> enter(HandoffPeer& /*worker*/, bool /*only_accepts*/, bool /*held*/) {
    return {};
  }
  /// All that are bound to the address, one at least.
  virtual std::vector<int> sockets() const = 0;
  virtual bool any_arrived() const;
  /// To one that accepts by itself.
  virtual Result<OwnFd> connect_to_queue_of(int worker);
  /// `room`: more connections could be handed off at once.
  virtual void await_arrivals(bool /*room*/) {}

  Loop loop_;  // before what refers to it
  Asked asked_;
  net::SocketFile file_;
  PortBook book_;  // before what refers to it
  HeldConnections held_;
  boost::asio::steady_timer retry_;
  bool arrivals_stopped_ = false;
  std::optional<HeldConnections::TimePoint> abandoned_since_;
  CallbackScope callbacks_;
};

/// Where the socket is bound, in the words in which it was asked for.
Address bound_to(int fd, const Address& asked);

}  // namespace cohort::cluster
