#include "cluster/listeners.h"

#include <algorithm>
#include <cerrno>
#include <sstream>
#include <utility>

#include "base/notices.h"
#include "base/sys.h"
#include "net/bind.h"
#include "net/holder.h"
#include "net/sockaddr.h"

namespace cohort::cluster {
namespace {

// sd_listen_fds(3).
constexpr int kFirstLent = 3;
constexpr std::string_view kLent = "LISTEN_FDS:";
constexpr std::chrono::milliseconds kHoldMax{std::chrono::hours{24}};  // longer, sums overflow

// Of the `index`-th that workers are started with; its address follows.
std::string lent_key(std::size_t index) { return std::string{kLent} + std::to_string(index) + ':'; }

// As a reply carries it: negative, and always an errno.
int wire_errno(const Error& error) {
  const bool is_errno = error.code.category() == boost::system::system_category();
  return -(is_errno ? error.code.value() : EINVAL);
}

// `fd`: what the worker accepts from; -1 if the primary does.
void send_reply(HandoffPeer& worker, const Port& port, const QueryServer& query, Value reply,
                int fd) {
  reply["errno"] = fd < 0 ? Value(nullptr) : Value(0);
  reply["key"] = port.asked().key;
  reply["data"] = port.asked().data;
  worker.reply(query, std::move(reply), fd);
}

Remark port_closed(const Address& address, std::chrono::milliseconds hold) {
  std::ostringstream text;
  text << to_string(address) << " refuses connections until a worker listens there: none has for "
       << std::chrono::duration<double>(hold).count() << " s";
  return {"port_closed", text.str(), {{"address", to_string(address)}}};
}

}  // namespace

Listeners::Listeners(const Loop& loop, ChosenPolicy policy, Decided decided)
    : loop_{loop},
      opener_{loop, std::move(policy), std::move(decided)},
      abandoned_{loop_.executor()} {}

void Listeners::set_weights(SlotBook::Weights weights) {
  weights_ = std::move(weights);
  for (const auto& [key, port] : ports_) port->set_weights(weights_);
}

// Finding, opening, closing.

Port* Listeners::find(const std::string& key) const {
  const auto found = ports_.find(key);
  return found == ports_.end() ? nullptr : found->second.get();
}

// The one that is the worker's descriptor `fd`, if any.
Port* Listeners::find_lent(int worker, int fd) const {
  if (fd < kFirstLent) return nullptr;
  const std::string begin = lent_key(static_cast<std::size_t>(fd - kFirstLent));
  for (const auto& [key, port] : ports_)
    if (key.starts_with(begin) && port->users().contains(worker)) return port.get();
  return nullptr;
}

Port& Listeners::add(std::unique_ptr<Port> opened) {
  opened->set_weights(weights_);
  std::string key = opened->asked().key;
  return *ports_.emplace(std::move(key), std::move(opened)).first->second;
}

// What a program closes, it may want to open differently at once.
Result<Port*> Listeners::open(const QueryServer& query, const std::string& key) {
  auto opened = opener_.open(query, key);
  if (!opened && wire_errno(opened.error()) == -EADDRINUSE && make_way(query.listen_address()))
    opened = opener_.open(query, key);
  if (!opened) return opened.error();
  refused_.erase(key);
  return &add(*std::move(opened));
}

// Closes the ports that nobody uses, and that have the address. False: there are none.
bool Listeners::make_way(const Address& wanted) {
  bool any = false;
  visit_all([&](Port& port) {
    if (port.is_in_the_way_of(wanted) && port.close_if_unused()) any = true;
  });
  return any;
}

// All, or the one; who has nothing of a port any more may have it closed.
template <class Visit>
void Listeners::visit_all(Visit visit) {
  for (auto next = ports_.begin(); next != ports_.end();) {
    const auto port = next++;
    visit(*port->second);
    if (port->second->may_close()) ports_.erase(port);
  }
}

template <class Visit>
void Listeners::visit_one(const std::string& key, Visit visit) {
  const auto found = ports_.find(key);
  if (found == ports_.end()) return;
  visit(*found->second);
  if (found->second->may_close()) ports_.erase(found);
}

// What workers ask for.

void Listeners::query(HandoffPeer& worker, const QueryServer& query, bool held) {
  if (ends_) return;  // as one that comes when its worker was told to end
  // Node's `listen({fd: 3})`, of a descriptor that the worker was started with.
  if (const Port* const lent = find_lent(worker.id(), query.fd.value_or(-1))) {
    const int fd = lent->socket_of(worker.id());
    sys::set_nonblocking(fd, true);
    return send_reply(worker, *lent, query, cluster_message(), fd);
  }
  const std::string key = query.key();
  Port* port = find(key);
  if (port != nullptr && port->users().may_accept(worker.id())) {
    // The same server twice in one worker. Node 20's primary dies of this.
    return refuse(worker, query,
                  system_error(EADDRINUSE, "listen " + to_string(query.listen_address()),
                               "worker " + std::to_string(worker.id()) + " listens there already"));
  }
  if (port == nullptr) {
    const auto opened = open(query, key);
    if (!opened) return refuse(worker, query, opened.error());
    port = *opened;
  }
  const auto fd = port->join(worker, query.accepts_only, held);
  if (!fd) return refuse(worker, query, fd.error());
  Value reply = cluster_message();
  port->complete(reply, worker.id());
  send_reply(worker, *port, query, std::move(reply), *fd);
  port->welcome(worker);
}

Result<Listeners::Lent> Listeners::lend(HandoffPeer& worker, std::size_t index,
                                        const Address& address, bool held) {
  if (address.is_datagram()) return net::no_connections(address);
  if (ends_) return system_error(ECANCELED, "listen " + to_string(address), "the service ends");
  const std::string key = lent_key(index) + to_string(address);
  Port* port = find(key);
  if (port == nullptr) {
    auto opened = opener_.open_lent(address, key);
    if (!opened) return net::with_holder(opened.error(), address);
    port = &add(*std::move(opened));
  }
  const auto fd = port->join(worker, true, held);
  if (!fd) return fd.error();
  const auto local = net::local_address(*fd);
  return Lent{*fd, local ? *local : address, port->policy() == Policy::Shared};
}

Result<OwnFd> Listeners::connect(HandoffPeer& worker, std::span<const Address> addresses) {
  for (const Address& address : addresses)
    for (const auto& [key, port] : ports_)
      if (port->users().contains(worker.id()) && port->listens_at(address))
        return port->connect(worker);
  return make_error(Errc::InvalidArgument, "connect to a worker", "it has no port for connections");
}

void Listeners::refuse(HandoffPeer& worker, const QueryServer& query, const Error& error) {
  Value failed = cluster_message();
  failed["errno"] = wire_errno(error);
  failed["key"] = query.key();
  failed["data"] = query.data;
  worker.reply(query, std::move(failed), -1);
  say_why(query, error);
}

// Once for all workers: what each of them makes of it (a stack trace, nothing) is its own affair.
void Listeners::say_why(const QueryServer& query, const Error& error) {
  const int reason = wire_errno(error);
  if (std::exchange(refused_[query.key()], reason) != reason)
    say(loop_, net::cannot_listen(query.listen_address(), error));
}

// What workers say of one port.

void Listeners::close(int worker, const std::string& key, bool release) {
  if (key.starts_with(kLent)) return;  // the worker has its descriptor as long as it lives
  visit_one(key, [&](Port& port) { port.close(worker, release); });
  watch_abandoned();
}

void Listeners::answer(int worker, const std::string& key,
                       std::span<const ConnectionId> connections, std::size_t accepted) {
  visit_one(key, [&](Port& port) { port.answer(worker, connections, accepted); });
}

void Listeners::has_room(int worker, const std::string& key) {
  if (Port* const port = find(key)) port->has_room(worker);
}

bool Listeners::publishes(int worker, const std::string& key,
                          const std::shared_ptr<const net::Load>& load) {
  Port* const port = find(key);
  if (port == nullptr || !port->users().contains(worker)) return false;
  port->publishes(worker, load);
  return true;
}

void Listeners::take_back(const std::string& key, OwnFd connection) {
  if (Port* const port = find(key)) port->take_back(std::move(connection));
}

// What happens to a worker.

void Listeners::turns(int worker) {
  for (const auto& [key, port] : ports_) port->turns(worker);
}

void Listeners::hold(int worker) {
  for (const auto& [key, port] : ports_) port->hold(worker);
}

void Listeners::resume(HandoffPeer& worker) {
  for (const auto& [key, port] : ports_) port->resume(worker);
}

void Listeners::retire(int worker, bool release) {
  visit_all([&](Port& port) { port.retire(worker, release); });
  watch_abandoned();
}

void Listeners::lose(int worker) {
  visit_all([&](Port& port) { port.lose(worker); });
  watch_abandoned();
}

void Listeners::release_closed(int worker) {
  visit_all([&](Port& port) { port.expect_no_successor(worker); });
}

bool Listeners::uses_any(int worker) const {
  return std::any_of(ports_.begin(), ports_.end(), [worker](const auto& port) {
    return port.second->users().may_accept(worker);
  });
}

bool Listeners::have_users() const {
  return std::any_of(ports_.begin(), ports_.end(),
                     [](const auto& port) { return !port.second->users().empty(); });
}

bool Listeners::any_waiting(int worker) const {
  return std::any_of(ports_.begin(), ports_.end(),
                     [worker](const auto& port) { return port.second->any_waiting(worker); });
}

// Ports that nobody uses.

void Listeners::set_hold(std::optional<std::chrono::milliseconds> hold) {
  hold_ = hold ? std::optional{std::min(*hold, kHoldMax)} : hold;
  watch_abandoned();
}

void Listeners::watch_abandoned() {
  abandoned_.cancel();
  if (!hold_ || ends_) return;
  const auto now = HeldConnections::TimePoint::clock::now();
  auto next = HeldConnections::TimePoint::max();
  visit_all([&](Port& port) {
    const auto since = port.abandoned_since(now);
    if (!since) return;
    if (*since + *hold_ > now) {
      next = std::min(next, *since + *hold_);
    } else {
      port.close_if_unused();
      say(loop_, port_closed(port.asked().address, *hold_));
    }
  });
  if (next == HeldConnections::TimePoint::max()) return;
  abandoned_.expires_at(next);
  abandoned_.async_wait(callbacks_.wrap([this](boost::system::error_code error) {
    if (!error) watch_abandoned();
  }));
}

// The end of the service.

bool Listeners::stop_arrivals() {
  bool any = false;
  ends_ = true;
  for (const auto& [key, port] : ports_) any |= port->stop_arrivals();
  return any;
}

bool Listeners::any_waiting() const {
  return std::any_of(ports_.begin(), ports_.end(),
                     [](const auto& port) { return port.second->any_waiting(); });
}

std::vector<PortStatus> Listeners::status() const {
  std::vector<PortStatus> all;
  for (const auto& [key, port] : ports_) all.push_back(port->status());
  return all;
}

}  // namespace cohort::cluster
