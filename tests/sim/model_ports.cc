#include "sim/model_ports.h"

#include <algorithm>
#include <utility>

namespace cohort::cluster::sim {

using namespace std::chrono_literals;

namespace {
constexpr std::size_t kBacklog = 20;
// What waits for a worker that does not come is looked at for ever; but then all is at rest.
constexpr int kInVain = 60;
}  // namespace

ModelPorts::ModelPorts(Random& random, const Climate& climate, Coverage& coverage,
                       ConnectionReferee& connections, const TimePoint& now, Hands hands)
    : random_{random},
      climate_{climate},
      coverage_{coverage},
      connections_{connections},
      now_{now},
      hands_{std::move(hands)} {}

// The world.

std::optional<int> ModelPorts::connect(int listener) {
  Port& mine = port(listener);
  if (!mine.book || stopped_) return std::nullopt;  // the client is refused, or times out
  if (!mine.slots) {
    if (connections_.in_kernel(listener) >= kBacklog) return std::nullopt;
    connections_.arrived(listener, std::nullopt, now_);
    pump(listener);
    return std::nullopt;
  }
  const std::size_t slot = steer(listener);
  const auto worker = connections_.whose(listener, slot);
  if (weather(listener).rules.steer_around && mine.referee.anybody_serves())
    require(worker && mine.referee.serves(*worker), "what arrives goes to one who serves");
  if (connections_.in_queue(listener, slot) >= kBacklog) return worker;
  connections_.arrived(listener, slot, now_);
  mine.looks_in_vain = 0;
  if (!mine.look_at) look_again(listener, true, true);
  return worker;
}

// As the kernel would.
std::size_t ModelPorts::steer(int listener) {
  const net::Shares& shares = port(listener).steered_to;
  std::size_t all = 0;
  std::size_t shortest = shares.size();
  for (std::size_t slot = 0; slot < shares.size(); ++slot) {
    all += shares[slot];
    if (shares[slot] > 0 &&
        (shortest == shares.size() ||
         connections_.in_queue(listener, slot) < connections_.in_queue(listener, shortest)))
      shortest = slot;
  }
  require(all > 0, "some slot gets connections");
  if (weather(listener).to_shortest) return shortest;
  std::size_t die = random_.below(all);
  std::size_t slot = 0;
  while (die >= shares[slot]) die -= shares[slot++];
  return slot;
}

std::optional<ConnectionId> ModelPorts::accept(int worker, int listener) {
  Port& mine = port(listener);
  const auto slot = mine.slots ? mine.slots->queue_of(worker) : std::nullopt;
  if (!slot || connections_.in_queue(listener, *slot) == 0) return std::nullopt;
  const ConnectionId connection = connections_.first_in_kernel(listener, slot);
  connections_.accepted(listener, worker, connection);
  if (const auto taken = mine.taken.find(worker); taken != mine.taken.end()) ++taken->second;
  ++coverage_.counts["accepted by its worker"];
  mine.looks_in_vain = 0;
  return connection;
}

std::optional<ModelPorts::TimePoint> ModelPorts::next_timer() const {
  std::optional<TimePoint> next;
  for (const Port& port : ports_)
    for (const auto& at : {port.retry, port.looks_in_vain < kInVain ? port.look_at : std::nullopt})
      if (at && (!next || *at < *next)) next = at;
  return next;
}

bool ModelPorts::fire_due_timers() {
  bool any = false;
  for (int listener = 0; listener < kListeners; ++listener) {
    Port& mine = port(listener);
    if (mine.retry && *mine.retry <= now_) {
      any = true;
      pump(listener);
      require(!mine.retry || *mine.retry > now_, "a retry makes something happen");
    }
    if (mine.look_at && *mine.look_at <= now_) any = look(listener) || any;
  }
  return any;
}

// What workers say.

bool ModelPorts::join(const Asking& asking, int listener) {
  Port& mine = port(listener);
  if (!mine.book) {
    mine.book.emplace();
    if (weather(listener).has_slots) mine.slots.emplace(weather(listener).rules);
  }
  if (mine.slots) {
    const std::size_t slot =
        mine.slots->fill(asking.slot, asking.worker, now_, asking.only_accepts);
    connections_.has_slot(listener, asking.worker, slot);
    workers_changed(listener);
  }
  mine.book->join(asking.worker, {nullptr, asking.only_accepts});
  mine.referee.joined(asking.worker);
  if (mine.slots && weather(listener).publishes && asking.of_cohort && !asking.only_accepts)
    mine.taken[asking.worker] = 0;
  return mine.slots.has_value();
}

void ModelPorts::welcome(const Asking& asking, int listener) {
  Port& mine = port(listener);
  if (mine.slots) return;
  mine.book->held().dispatcher().join(asking.worker, asking.credits);
  connections_.joined(listener, asking.worker, asking.credits);
  pump(listener);
}

void ModelPorts::close(int worker, int listener, bool for_good) {
  Port& mine = port(listener);
  if (!mine.book) return;
  vacate(listener, worker, !for_good);
  mine.referee.left(worker, for_good);
  mine.referee.accepts_no_more(worker);
  const bool was_user = mine.book->close(worker, for_good);
  connections_.retired(listener, worker);
  if (was_user) pump(listener);
  visited(listener);
}

void ModelPorts::answer(int worker, int listener, std::span<const ConnectionId> held,
                        std::size_t accepted) {
  Port& mine = port(listener);
  require(mine.book.has_value(), "a port is open while a worker holds anything of it");
  const auto answered = mine.book->held().answer(worker, held, accepted, now_);
  for (std::size_t i = 0; i < held.size(); ++i) {
    const ConnectionId connection = mine.held.at(held[i]);
    connections_.answered(listener, worker, connection, i < accepted, now_);
    if (i < accepted) continue;
    ++coverage_.counts["refused"];
    connections_.offered_again(connection);
  }
  require(answered.taken.size() == accepted, "a worker answers what it was handed");
  for (const ConnectionId number : answered.taken) mine.held.erase(number);
  if (mine.slots) {
    if (answered.any_refused) look_again(listener, true, true);
    rescue(listener);
  } else {
    pump(listener);
  }
  visited(listener);
}

void ModelPorts::has_room(int worker, int listener) {
  if (!is_open(listener)) return;
  port(listener).book->held().dispatcher().has_room(worker);
  connections_.has_room(listener, worker);
  pump(listener);
}

void ModelPorts::turns(int worker) {
  for (int listener = 0; listener < kListeners; ++listener) {
    Port& mine = port(listener);
    if (!mine.slots) continue;
    mine.slots->turns(worker);
    follow(listener);
    const PortUsers& users = mine.book->users();
    if (!mine.targets.contains(worker) || !users.contains(worker) || !users.takes(worker)) continue;
    mine.book->held().dispatcher().join(worker, 1);
    connections_.joined(listener, worker, 1);
    rescue(listener);
  }
}

// What happens to them.

void ModelPorts::hold(int worker) {
  for (int listener = 0; listener < kListeners; ++listener) {
    Port& mine = port(listener);
    if (!mine.book || !mine.book->hold(worker, true)) continue;
    mine.referee.held(worker, true);
    connections_.retired(listener, worker);
    if (mine.slots) {
      mine.slots->hold(worker, true);
      workers_changed(listener);
    }
    pump(listener);
  }
}

void ModelPorts::resume(int worker, unsigned credits) {
  for (int listener = 0; listener < kListeners; ++listener) {
    Port& mine = port(listener);
    if (!mine.book || !mine.book->hold(worker, false)) continue;
    mine.referee.held(worker, false);
    if (mine.slots) {
      mine.slots->hold(worker, false);
      workers_changed(listener);
    } else {
      mine.book->held().dispatcher().join(worker, credits);
      connections_.joined(listener, worker, credits);
    }
    pump(listener);
  }
}

void ModelPorts::retire(int worker, bool for_good) {
  for (int listener = 0; listener < kListeners; ++listener) {
    Port& mine = port(listener);
    if (!mine.book || !mine.book->users().contains(worker)) continue;
    mine.book->retire(worker, for_good, mine.slots.has_value());
    mine.referee.left(worker, for_good);
    connections_.retired(listener, worker);
    if (mine.slots) {
      mine.referee.still_accepts(worker);
      mine.slots->retire(worker, !for_good);
      workers_changed(listener);
    }
    visited(listener);
  }
}

void ModelPorts::lose(int worker) {
  for (int listener = 0; listener < kListeners; ++listener) {
    Port& mine = port(listener);
    if (!mine.book) continue;
    vacate(listener, worker, true);
    mine.referee.left(worker, false);
    mine.referee.accepts_no_more(worker);
    std::vector<ConnectionId> held;
    const bool again = mine.book->lose(worker);
    const auto lost = mine.book->held().lose(worker, again, [&](ConnectionId number) {
      held.push_back(mine.held.at(number));
      return !connections_.is_touched(held.back());
    });
    if (!again)
      for (const ConnectionId number : lost) held.push_back(mine.held.at(number));
    connections_.left(listener, worker, held);
    for (const ConnectionId number : lost)
      require(!again || connections_.is_touched(mine.held.at(number)),
              "only what a dead worker touched is lost");
    for (const ConnectionId connection : held)
      if (again && !connections_.is_touched(connection)) {
        ++coverage_.counts["rescued"];
        connections_.offered_again(connection);
      }
    for (const ConnectionId number : lost) {
      ++coverage_.counts["lost with its worker"];
      connections_.given_up(mine.held.at(number));
      mine.held.erase(number);
    }
    pump(listener);
    visited(listener);
  }
}

void ModelPorts::release_closed(int worker) {
  for (int listener = 0; listener < kListeners; ++listener) {
    Port& mine = port(listener);
    if (!mine.book) continue;
    if (mine.slots) {
      mine.slots->expect_no_successor(worker);
      workers_changed(listener);
    }
    mine.book->expect_no_successor(worker);
    mine.referee.nobody_comes_after(worker);
    visited(listener);
  }
}

// Who has nothing of a port any more may have it closed.
void ModelPorts::visited(int listener) {
  Port& mine = port(listener);
  const bool closes = mine.book->may_close();
  mine.referee.check(!closes, connections_.any_unanswered(listener));
  if (!closes) return;
  mine = {};
  connections_.closed(listener);
}

bool ModelPorts::uses_any(int worker) const {
  bool any = false;
  for (const Port& port : ports_) {
    const bool uses = port.book && port.book->users().may_accept(worker);
    require(uses == port.referee.uses(worker), "it is known who uses a port");
    any = any || uses;
  }
  return any;
}

bool ModelPorts::serves_any(int worker) const {
  return std::any_of(ports_.begin(), ports_.end(),
                     [worker](const Port& port) { return port.referee.serves(worker); });
}

bool ModelPorts::has_queue(int worker, int listener) const {
  const auto& slots = port(listener).slots;
  const auto slot = slots ? slots->queue_of(worker) : std::nullopt;
  return slot && connections_.in_queue(listener, *slot) > 0;
}

bool ModelPorts::any_waiting(int worker) const {
  for (int listener = 0; listener < kListeners; ++listener)
    if (has_queue(worker, listener)) return true;
  return false;
}

// The end of the service.

bool ModelPorts::stop_arrivals() {
  stopped_ = true;
  return std::any_of(ports_.begin(), ports_.end(), [](const Port& port) { return port.book; });
}

bool ModelPorts::any_waiting() const {
  for (int listener = 0; listener < kListeners; ++listener)
    if (port(listener).book &&
        port(listener).book->is_awaited([&] { return connections_.in_kernel(listener) > 0; }))
      return true;
  return false;
}

void ModelPorts::close_all() {
  for (int listener = 0; listener < kListeners; ++listener) {
    port(listener) = {};
    connections_.closed(listener);
  }
}

std::vector<int> ModelPorts::takers(int listener) const {
  std::vector<int> ids;
  if (const auto& book = port(listener).book)
    for (const auto& [id, user] : book->users().all())
      if (!user.only_accepts && !user.held) ids.push_back(id);
  return ids;
}

// Handing off.

void ModelPorts::hold_first(int listener, std::optional<std::size_t> slot) {
  const ConnectionId connection = connections_.first_in_kernel(listener, slot);
  connections_.taken(connection);
  port(listener).held[port(listener).book->held().hold()] = connection;
}

void ModelPorts::pump(int listener) {
  Port& mine = port(listener);
  if (!mine.book) return;
  HeldBook& held = mine.book->held();
  if (!mine.slots)
    for (auto room = held.dispatcher().room(now_); room > 0 && connections_.in_kernel(listener) > 0;
         --room)
      hold_first(listener, std::nullopt);
  const auto offers = held.offers(now_);
  std::map<ConnectionId, int> in_order;
  for (const auto& [worker, numbers] : offers)
    for (const ConnectionId number : numbers) in_order[number] = worker;
  for (const auto& [number, worker] : in_order)
    connections_.assigned(listener, {worker, mine.held.at(number)}, now_);
  for (const auto& [worker, numbers] : offers) {
    std::vector<ConnectionId> connections;
    for (const ConnectionId number : numbers) connections.push_back(mine.held.at(number));
    hands_.hand_off(worker, listener, numbers, std::move(connections));
  }
  connections_.pumped(listener, !mine.slots, held.dispatcher(), now_);
  mine.retry = mine.book->retry_at(now_);
  const auto again = connections_.tried_again_at(listener, !mine.slots, now_);
  require(!again || mine.retry == again, "who was full is tried again in time");
}

}  // namespace cohort::cluster::sim
