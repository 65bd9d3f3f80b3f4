// The primary's ports in the simulation, as its Listeners: what PortBook and SlotBook decide, on
// virtual sockets. How connections of a slot that is stuck are moved is SlotPort's way.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "cluster/port_book.h"
#include "cluster/slot_book.h"
#include "sim/climate.h"
#include "sim/connection_referee.h"
#include "sim/coverage.h"
#include "sim/port_referee.h"
#include "sim/random.h"

namespace cohort::cluster::sim {

class ModelPorts {
 public:
  using TimePoint = PortBook::TimePoint;
  struct Hands {
    std::function<void(int worker, int listener, std::vector<ConnectionId> held,
                       std::vector<ConnectionId> connections)>
        hand_off;
    std::function<void(int worker)> probe;
  };
  struct Asking {
    int worker;
    std::size_t slot;
    unsigned credits;
    bool only_accepts;
    bool of_cohort;
  };

  ModelPorts(Random& random, const Climate& climate, Coverage& coverage,
             ConnectionReferee& connections, const TimePoint& now, Hands hands);

  // The world.
  /// Who has the slot that it came to.
  std::optional<int> connect(int listener);
  std::optional<ConnectionId> accept(int worker, int listener);
  /// False: none was due, or it only looked.
  bool fire_due_timers();
  std::optional<TimePoint> next_timer() const;

  // What workers say.
  /// Its answer: whether there is a socket for the worker.
  bool join(const Asking& asking, int listener);
  void welcome(const Asking& asking, int listener);
  void close(int worker, int listener, bool for_good);
  void answer(int worker, int listener, std::span<const ConnectionId> held, std::size_t accepted);
  void has_room(int worker, int listener);
  void turns(int worker);

  // What happens to them.
  void hold(int worker);
  void resume(int worker, unsigned credits);
  void retire(int worker, bool for_good);
  void lose(int worker);
  void release_closed(int worker);
  bool uses_any(int worker) const;
  bool any_waiting(int worker) const;

  // The end of the service.
  bool stop_arrivals();
  bool arrivals_stopped() const { return stopped_; }
  bool any_waiting() const;
  void close_all();

  // For whoever watches.
  bool is_open(int listener) const { return port(listener).book.has_value(); }
  /// Who uses it, and may be handed connections.
  std::vector<int> takers(int listener) const;
  bool has_users(int listener) const { return port(listener).referee.has_users(); }
  /// It gets connections, or what waits at a slot while nobody else can.
  bool serves_any(int worker) const;
  bool has_queue(int worker, int listener) const;

 private:
  struct Port {
    std::optional<PortBook> book{};  // none: closed
    std::optional<SlotBook> slots{};
    net::Shares steered_to{};
    std::map<ConnectionId, ConnectionId> held{};  // connections, by their numbers in the book
    std::optional<TimePoint> retry{};
    std::map<int, std::uint64_t> taken{};  // by those who say so
    std::optional<TimePoint> look_at{};
    int idle_looks = 0;
    int looks_in_vain = 0;
    std::vector<std::size_t> stuck{};
    std::set<int> targets{};
    std::size_t next_target = 0;
    PortReferee referee{};
  };

  Port& port(int listener) { return ports_[static_cast<std::size_t>(listener)]; }
  const Port& port(int listener) const { return ports_[static_cast<std::size_t>(listener)]; }
  const PortClimate& weather(int listener) const {
    return climate_.ports[static_cast<std::size_t>(listener)];
  }
  void visited(int listener);
  void pump(int listener);
  void hold_first(int listener, std::optional<std::size_t> slot);
  std::size_t steer(int listener);
  void workers_changed(int listener);
  void follow(int listener);
  void vacate(int listener, int worker, bool successor_expected);
  bool look(int listener);
  void look_again(int listener, bool anything_happened, bool anything_left);
  void migrate(int listener, std::vector<std::size_t>& slots);
  void look_for_targets(int listener, const SlotBook::Findings& findings);
  void rescue(int listener);

  Random& random_;
  const Climate& climate_;
  Coverage& coverage_;
  ConnectionReferee& connections_;
  const TimePoint& now_;
  const Hands hands_;
  bool stopped_ = false;
  std::array<Port, kListeners> ports_;
};

}  // namespace cohort::cluster::sim
