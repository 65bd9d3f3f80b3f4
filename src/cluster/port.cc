#include "cluster/port.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/assert.h"
#include "base/sys.h"
#include "net/bind.h"
#include "net/connected_pair.h"
#include "net/sockaddr.h"

namespace cohort::cluster {
namespace {

bool is_any(const Address& address) {
  return address.host().empty() || address.host() == "::" || address.host() == "0.0.0.0";
}

}  // namespace

Address bound_to(int fd, const Address& asked) {
  const auto local = net::local_address(fd);
  if (!local) return asked;
  if (is_any(*local) && asked.host().empty() && !asked.is_unix() && !asked.is_datagram())
    return {"", local->port()};
  return asked.is_datagram() ? Address::datagram(local->host(), local->port()) : *local;
}

Port::Port(const Loop& loop, Asked asked, net::SocketFile file)
    : loop_{loop},
      asked_{std::move(asked)},
      file_{std::move(file)},
      held_{book_.held()},
      retry_{loop_.executor()} {}

// Who uses it.

Result<int> Port::join(HandoffPeer& worker, bool only_accepts, bool held) {
  if (const auto entered = enter(worker, only_accepts, held); !entered) return entered.error();
  book_.join(worker.id(), {&worker, only_accepts, held});
  abandoned_since_.reset();
  return socket_of(worker.id());
}

std::optional<HeldConnections::TimePoint> Port::abandoned_since(HeldConnections::TimePoint now) {
  const Address& address = asked_.address;
  const bool is_chosen_by_system = !address.is_unix() && address.port() == 0;
  // One that is lent may be held on to by what its last worker left.
  if (asked_.given || asked_.lent || is_chosen_by_system || !users().abandoned())
    abandoned_since_.reset();
  else if (!abandoned_since_)
    abandoned_since_ = now;
  return abandoned_since_;
}

void Port::close(int worker, bool for_good) {
  if (book_.close(worker, for_good)) pump();
}

void Port::hold(int worker) {
  if (book_.hold(worker, true)) pump();
}

void Port::resume(HandoffPeer& worker) {
  if (book_.hold(worker.id(), false)) welcome(worker);
}

void Port::retire(int worker, bool for_good) {
  const bool accepts = users().contains(worker) && socket_of(worker) != -1;
  book_.retire(worker, for_good, accepts);
}

void Port::lose(int worker) {
  held_.lose(worker, book_.lose(worker));
  pump();
}

bool Port::listens_at(const Address& address) const {
  const Address& asked = asked_.address;
  if (asked.is_datagram() || address.is_datagram() || asked.is_unix() != address.is_unix())
    return false;
  if (asked.is_unix()) return asked.path() == address.path();
  return bound_to(sockets().front(), asked).port() == address.port();
}

Result<OwnFd> Port::connect(HandoffPeer& worker) {
  if (known(users().all(), worker.id()).only_accepts) return connect_to_queue_of(worker.id());
  auto pair = net::connected_pair(asked_.address.is_unix());
  if (!pair) return pair.error();
  if (worker.hand_own(asked_.key, pair->server.get())) return std::move(pair->client);
  return system_error(EAGAIN, "connect to a worker", "it has not taken the connection before");
}

Result<OwnFd> Port::connect_to_queue_of(int /*worker*/) {
  return make_error(Errc::InvalidArgument, "connect to a worker",
                    "it accepts by itself, from a socket that others have, too");
}

bool Port::is_in_the_way_of(const Address& wanted) const {
  const Address& address = asked_.address;
  if (wanted.is_unix() || address.is_unix())
    return wanted.is_unix() && address.is_unix() && address.path() == wanted.path();
  const Address has = bound_to(sockets().front(), address);
  return has.port() == wanted.port() && has.is_datagram() == wanted.is_datagram() &&
         (is_any(has) || is_any(wanted) || has.host() == wanted.host());
}

// What is held.

void Port::pump() {
  held_.hand_off(asked_.key, users());
  await_arrivals(held_.room() > 0);
  if (const auto time = book_.retry_at(HeldConnections::TimePoint::clock::now())) pump_at(*time);
}

void Port::pump_at(HeldConnections::TimePoint time) {
  retry_.expires_at(time);
  retry_.async_wait(callbacks_.wrap([this](boost::system::error_code error) {
    if (!error) pump();
  }));
}

void Port::answer(int worker, std::span<const ConnectionId> connections, std::size_t accepted) {
  held_.answer(worker, connections, accepted);
  pump();
}

void Port::has_room(int worker) {
  held_.has_room(worker);
  pump();
}

void Port::take_back(OwnFd connection) {
  if (!book_.any_may_take()) return;  // nobody can serve it any more
  held_.hold(std::move(connection));
  pump();
}

// The end of the service.

bool Port::stop_arrivals() {
  if (asked_.given || asked_.address.is_datagram()) return false;
  arrivals_stopped_ = true;
  if (asked_.address.is_unix())
    file_.remove();
  else
    for (const int socket : sockets()) net::stop_arrivals(socket);
  return true;
}

bool Port::any_waiting() const {
  return arrivals_stopped_ && book_.is_awaited([this] { return any_arrived(); });
}

PortStatus Port::status() const {
  PortStatus status{.address = asked_.address, .policy = policy(), .waiting = held_.size()};
  for (const auto& [worker, user] : users().all()) status.workers.push_back(worker);
  const std::vector<int> all = sockets();
  if (!all.empty()) status.address = bound_to(all.front(), asked_.address);
  for (const int socket : all) status.waiting += net::arrivals_waiting(socket);
  return status;
}

bool Port::any_arrived() const {
  const std::vector<int> all = sockets();
  return std::any_of(all.begin(), all.end(),
                     [](int socket) { return (sys::poll(socket, POLLIN, 0) & POLLIN) != 0; });
}

}  // namespace cohort::cluster
