#include "sim/connection_referee.h"

#include <algorithm>

namespace cohort::cluster::sim {

using namespace std::chrono_literals;

ConnectionReferee::Connection& ConnectionReferee::find(ConnectionId connection) {
  const auto found = connections_.find(connection);
  require(found != connections_.end(), "a connection that was served or reset is gone");
  return found->second;
}

ConnectionId ConnectionReferee::arrived(int listener, std::optional<std::size_t> slot,
                                        TimePoint now) {
  connections_.emplace(++last_, Connection{listener, slot, now});
  return last_;
}

ConnectionId ConnectionReferee::first_in_kernel(int listener,
                                                std::optional<std::size_t> slot) const {
  const auto found = std::find_if(connections_.begin(), connections_.end(), [&](const auto& entry) {
    const Connection& connection = entry.second;
    return connection.listener == listener && connection.where == Where::Kernel &&
           connection.slot == slot;
  });
  require(found != connections_.end(), "there is one to accept");
  return found->first;
}

std::size_t ConnectionReferee::in_queue(int listener, std::size_t slot) const {
  return static_cast<std::size_t>(
      std::count_if(connections_.begin(), connections_.end(), [&](const auto& entry) {
        const Connection& connection = entry.second;
        return connection.listener == listener && connection.where == Where::Kernel &&
               connection.slot == slot;
      }));
}

void ConnectionReferee::taken(ConnectionId connection) {
  Connection& taken = find(connection);
  require(taken.where == Where::Kernel, "it is accepted once");
  taken.where = Where::Waiting;
  taken.turn = ++turn_;
  listeners_[taken.listener].waiting.push_back(connection);
}

void ConnectionReferee::offered_again(ConnectionId connection) {
  Connection& again = find(connection);
  require(again.where == Where::Unanswered, "only what was handed off comes back");
  require(!again.touched, "what a worker has touched is not handed to another");
  again.where = Where::Waiting;
  auto& waiting = listeners_[again.listener].waiting;
  const auto later = std::find_if(waiting.begin(), waiting.end(), [&](ConnectionId other) {
    return connections_.at(other).turn > again.turn;
  });
  waiting.insert(later, connection);
}

void ConnectionReferee::accepted(int listener, int worker, ConnectionId connection) {
  const Connection& accepted = find(connection);
  require(accepted.where == Where::Kernel && accepted.listener == listener, "it is accepted once");
  const auto& slots = listeners_[listener].slots;
  const auto slot = slots.find(accepted.slot.value());
  require(slot != slots.end() && slot->second == worker, "a worker accepts from its own slot");
}

void ConnectionReferee::moved(ConnectionId connection, std::size_t slot) {
  Connection& moved = find(connection);
  require(moved.where == Where::Kernel && moved.slot != slot, "what is moved waits elsewhere");
  const auto& slots = listeners_[moved.listener].slots;
  require(slots.empty() || slots.contains(slot), "what is moved goes to a worker");
  moved.slot = slot;
}

void ConnectionReferee::assigned(int listener, Dispatcher::Assignment assignment, TimePoint now) {
  Connection& connection = find(assignment.connection);
  require(connection.listener == listener, "it stays with its listener");
  require(connection.where == Where::Waiting, "it is in one place");
  auto& waiting = listeners_[listener].waiting;
  require(waiting.front() == assignment.connection, "first come, first served");
  waiting.pop_front();
  const auto member = listeners_[listener].members.find(assignment.worker);
  require(member != listeners_[listener].members.end(), "it goes to a worker that listens");
  require(member->second.unanswered.size() < member->second.credits,
          "a worker holds no more than its credits");
  require(member->second.alone_until <= now, "a worker that refused is left alone");
  for (const auto& [id, other] : listeners_[listener].members) {
    if (!is_free(other, now)) continue;
    const auto fewer = member->second.unanswered.size() <=> other.unanswered.size();
    require(fewer <= 0, "it goes to a worker with the fewest");
    require(fewer != 0 || member->second.last_turn <= other.last_turn, "workers take turns");
  }
  member->second.last_turn = ++turn_;
  member->second.unanswered.push_back(assignment.connection);
  connection.where = Where::Unanswered;
  connection.worker = assignment.worker;
}

void ConnectionReferee::touched(ConnectionId connection) {
  Connection& touched = find(connection);
  require(!touched.touched, "no connection is served twice");
  require(touched.where != Where::Waiting, "only what was handed off, or accepted, is served");
  touched.touched = true;
  if (touched.where == Where::Kernel) connections_.erase(connection);
}

void ConnectionReferee::answered(int listener, int worker, ConnectionId connection, bool accepted,
                                 TimePoint now) {
  const Connection& answered = find(connection);
  require(answered.where == Where::Unanswered && answered.worker == worker, "it was handed to it");
  Member& member = listeners_[listener].members.at(worker);
  std::erase(member.unanswered, connection);
  if (accepted) {
    require(answered.touched, "accepted means served");
    connections_.erase(connection);
    member.refusals = 0;
    member.alone_until = {};
  } else if (member.alone_until <= now) {  // else it refuses several at once
    const auto delay = std::min(5ms * (1 << std::min(member.refusals, 6)), 320ms);
    ++member.refusals;
    member.alone_until = now + delay;
  }
}

void ConnectionReferee::has_room(int listener, int worker) {
  const auto member = listeners_[listener].members.find(worker);
  if (member == listeners_[listener].members.end()) return;
  member->second.refusals = 0;
  member->second.alone_until = {};
}

void ConnectionReferee::given_up(ConnectionId connection) {
  const Connection& lost = find(connection);
  require(lost.where == Where::Unanswered, "only what a worker holds is lost with it");
  connections_.erase(connection);
}

void ConnectionReferee::joined(int listener, int worker, unsigned credits) {
  listeners_[listener].members[worker].credits = credits;
}

void ConnectionReferee::retired(int listener, int worker) {
  const auto member = listeners_[listener].members.find(worker);
  if (member != listeners_[listener].members.end()) member->second.credits = 0;
}

void ConnectionReferee::left(int listener, int worker,
                             const std::vector<ConnectionId>& unanswered) {
  const auto member = listeners_[listener].members.find(worker);
  if (member == listeners_[listener].members.end()) {
    require(unanswered.empty(), "a stranger holds nothing");
    return;
  }
  require(std::equal(unanswered.begin(), unanswered.end(), member->second.unanswered.begin(),
                     member->second.unanswered.end()),
          "whoever leaves gives back what it held, oldest first");
  listeners_[listener].members.erase(member);
}

void ConnectionReferee::has_slot(int listener, int worker, std::size_t slot) {
  const bool is_new = listeners_[listener].slots.emplace(slot, worker).second;
  require(is_new, "a slot has one worker");
}

void ConnectionReferee::gave_up_slot(int listener, int worker) {
  std::erase_if(listeners_[listener].slots,
                [&](const auto& slot) { return slot.second == worker; });
}

std::optional<int> ConnectionReferee::whose(int listener, std::size_t slot) const {
  const auto found = listeners_.find(listener);
  if (found == listeners_.end()) return std::nullopt;
  const auto owner = found->second.slots.find(slot);
  return owner == found->second.slots.end() ? std::nullopt : std::optional{owner->second};
}

void ConnectionReferee::closed(int listener) {
  resets_[listener] += std::erase_if(
      connections_, [&](const auto& entry) { return entry.second.listener == listener; });
  listeners_.erase(listener);
}

void ConnectionReferee::pumped(int listener, bool accepts, const Dispatcher& dispatcher,
                               TimePoint now) const {
  const auto found = listeners_.find(listener);
  static const Listener none;
  const Listener& mine = found == listeners_.end() ? none : found->second;
  require(dispatcher.waiting() == mine.waiting.size(), "every connection that waits is known");
  std::size_t room = 0;
  std::optional<TimePoint> alone;
  for (const auto& [id, member] : mine.members) {
    if (is_free(member, now)) {
      require(mine.waiting.empty(), "no connection waits while a worker is free");
      room += member.credits - member.unanswered.size();
    }
    if (member.unanswered.size() < member.credits && member.alone_until > now)
      alone = std::min(alone.value_or(member.alone_until), member.alone_until);
  }
  constexpr std::size_t kHeldMax = 512;  // that the primary has accepted, at most
  require(dispatcher.room(now) == std::min(room, kHeldMax), "the room is what could be handed off");
  if (room > 0) {
    require(!accepts || in_kernel(listener) == 0,
            "no connection stays in the kernel while a worker is free");
  } else {
    require(dispatcher.retry_at(now) == alone, "who is left alone is tried again, in time");
  }
}

std::optional<ConnectionReferee::TimePoint> ConnectionReferee::tried_again_at(int listener,
                                                                              bool accepts,
                                                                              TimePoint now) const {
  const auto found = listeners_.find(listener);
  if (found == listeners_.end()) return std::nullopt;
  if (found->second.waiting.empty() && (!accepts || in_kernel(listener) == 0)) return std::nullopt;
  std::optional<TimePoint> first;
  for (const auto& [id, member] : found->second.members)
    if (member.unanswered.size() < member.credits && member.alone_until > now)
      first = std::min(first.value_or(member.alone_until), member.alone_until);
  return first;
}

std::size_t ConnectionReferee::count(int listener, Where where) const {
  return static_cast<std::size_t>(
      std::count_if(connections_.begin(), connections_.end(), [&](const auto& entry) {
        return entry.second.listener == listener && entry.second.where == where;
      }));
}

bool ConnectionReferee::any_waits(int listener) const {
  return count(listener, Where::Kernel) > 0 || count(listener, Where::Waiting) > 0;
}

std::optional<ConnectionReferee::TimePoint> ConnectionReferee::waits_since(int listener) const {
  std::optional<TimePoint> first;
  for (const auto& [id, connection] : connections_)
    if (connection.listener == listener && connection.where != Where::Unanswered &&
        (!first || connection.arrived < *first))
      first = connection.arrived;
  return first;
}

}  // namespace cohort::cluster::sim
