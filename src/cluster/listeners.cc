#include "cluster/listeners.h"

#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <iterator>
#include <unordered_map>

#include "base/notices.h"
#include "base/sys.h"
#include "cluster/untouched.h"
#include "net/bind.h"
#include "net/datagram.h"
#include "net/holder.h"
#include "net/inherited.h"
#include "net/sockaddr.h"
#include "net/socket_file.h"

namespace cohort::cluster {
namespace {

// A connection that is moved from worker to worker is handed off alone: who turns out to be blocked
// has but one.
constexpr unsigned kMovedCredits = 1;
// sd_listen_fds(3).
constexpr int kFirstLent = 3;

// Of processes that the user forks himself, nobody says that they have no successor.
constexpr std::size_t kPredecessorsMax = 1024;

constexpr std::string_view kLent = "LISTEN_FDS:";

// Of the `index`-th that workers are started with; its address follows.
std::string lent_key(std::size_t index) { return std::string{kLent} + std::to_string(index) + ':'; }

// A socket that there is already: a descriptor of the primary's, or one that it was started with.
// None: one has to be bound.
Result<OwnFd> given_socket(const QueryServer& query) {
  if (!query.fd) {
    Address address = query.listen_address();
    if (query.is_datagram() && address.host().empty())
      address = Address::datagram(query.v6 ? "::" : "0.0.0.0", address.port());
    return net::inherited_socket(address, query.is_datagram() ? SOCK_DGRAM : SOCK_STREAM);
  }
  OwnFd fd = sys::duplicate(*query.fd);
  if (!fd || sys::set_nonblocking(fd.get(), true) == -1)
    return errno_error("listen on descriptor " + std::to_string(*query.fd));
  return fd;
}

// Workers give absolute paths, of which a socket's address holds 107 bytes: where that is too
// little, the way from here may be shorter. As Node does.
Address within_reach(const Address& address) {
  constexpr std::size_t kPathMax = 107;
  if (!address.is_unix() || address.path().size() <= kPathMax) return address;
  std::error_code error;
  const auto here = std::filesystem::current_path(error);
  const auto way = std::filesystem::path(address.path()).lexically_relative(here).string();
  return error || way.empty() || way.size() > kPathMax ? address : Address::from_path(way);
}

bool is_any(const Address& address) {
  return address.host().empty() || address.host() == "::" || address.host() == "0.0.0.0";
}

// Where the socket is bound, as it was asked for.
Address bound_to(int fd, const Address& asked) {
  const auto local = net::local_address(fd);
  if (!local) return asked;
  if (is_any(*local) && asked.host().empty() && !asked.is_unix() && !asked.is_datagram())
    return {"", local->port()};
  return asked.is_datagram() ? Address::datagram(local->host(), local->port()) : *local;
}

net::ListenRequest listen_request(const QueryServer& query) {
  return {.address = within_reach(query.listen_address()),
          .backlog = query.backlog,
          .ipv6_only = query.ipv6_only,
          .readable_all = query.readable_all,
          .writable_all = query.writable_all};
}

// As a reply carries it: negative, and always an errno.
int wire_errno(const Error& error) {
  const bool is_errno = error.code.category() == boost::system::system_category();
  return -(is_errno ? error.code.value() : EINVAL);
}

}  // namespace

// One port. `users` are the workers that asked for it and have not let go; the dispatcher knows
// which of them can take connections that are handed off. It has slots, or one socket, which the
// primary accepts from under round-robin, and the workers else.
struct Listeners::Entry {
  explicit Entry(const Loop& loop) : retry{loop.executor()} {}
  ~Entry() { file.remove(); }

  std::string key;
  Address address;
  net::SocketFile file;
  Value data;
  Policy policy = Policy::Shared;  // RoundRobin, Shared, or one that has slots
  bool given = false;              // by whoever may have it longer than this service
  Value sockname;
  std::unique_ptr<SlotPort> slots;
  OwnFd shared;                  // which the workers accept from
  std::unique_ptr<Watch> watch;  // which the primary does
  std::unique_ptr<Watch> also;   // the same, by another spelling of its name
  bool ends_with_the_service() const { return !given && !address.is_datagram(); }
  int one_socket() const { return watch ? watch->fd() : shared.get(); }
  OwnFd accept() const {
    OwnFd fd = sys::accept(watch->fd());
    return fd || !also || (errno != EAGAIN && errno != EWOULDBLOCK) ? std::move(fd)
                                                                    : sys::accept(also->fd());
  }
  /// Whether a worker can be handed connections.
  bool takes(int worker) const { return !only_accept.contains(worker); }
  /// There are workers, and none can.
  bool only_accepted() const { return !users.empty() && only_accept.size() == users.size(); }
  bool remove_user(int worker) {
    only_accept.erase(worker);
    return users.erase(worker) != 0;
  }
  /// It is no user any more. `release`: and has no successor.
  void give_up(int worker, bool release) {
    if (!release) predecessors.insert(worker);
    if (predecessors.size() > kPredecessorsMax) predecessors.erase(predecessors.begin());
    if (release && users.empty()) released = true;
  }

  std::map<int, HandoffPeer*> users;
  std::set<int> only_accept;  // those of them that cannot be handed a connection
  std::set<int> retired;      // workers that end, and may still accept: the port is theirs too
  std::set<int> targets;      // are given what waits elsewhere, once they show that they turn
  std::size_t next_target = 0;
  Dispatcher dispatcher;
  std::unordered_map<ConnectionId, OwnFd> connections;  // waiting or unanswered: our copies
  ConnectionId last_connection = 0;
  boost::asio::steady_timer retry;
  bool complained = false;  // of having no descriptors, since the last connection
  bool released = false;    // closed as soon as nothing is unanswered
  // Those whose successors may ask for the port: while there are any, it stays open.
  std::set<int> predecessors;
  bool arrivals_stopped = false;
};

Listeners::Listeners(const Loop& loop, ChosenPolicy policy, Decided decided)
    : loop_{loop}, policy_{std::move(policy)}, decided_{std::move(decided)} {}
Listeners::~Listeners() = default;

void Listeners::set_weights(SlotBook::Weights weights) {
  weights_ = std::move(weights);
  for (const auto& [key, entry] : entries_)
    if (entry->slots) entry->slots->set_weights(weights_);
}

void Listeners::release_all() { entries_.clear(); }

Listeners::Entry* Listeners::find(const std::string& key) {
  const auto found = entries_.find(key);
  return found == entries_.end() ? nullptr : found->second.get();
}

void Listeners::query(HandoffPeer& worker, const QueryServer& query) {
  if (ends_) return;  // as one that comes when its worker was told to end
  // Node's `listen({fd: 3})`, of a descriptor that the worker was started with.
  if (Entry* const lent = find_lent(worker.id(), query.fd.value_or(-1))) {
    const int fd =
        lent->slots ? lent->slots->fd(lent->slots->slot_of(worker.id())) : lent->shared.get();
    sys::set_nonblocking(fd, true);
    return reply(worker, *lent, query, cluster_message(), fd);
  }
  const std::string key = query.key();
  Entry* entry = find(key);
  if (entry != nullptr && entry->users.contains(worker.id())) {
    // The same server twice in one worker. Node 20's primary dies of this.
    return refuse(worker, query,
                  system_error(EADDRINUSE, "listen " + to_string(query.listen_address()),
                               "worker " + std::to_string(worker.id()) + " listens there already"));
  }
  if (entry == nullptr) {
    auto opened = open_anew(query, key);
    if (!opened) return refuse(worker, query, opened.error());
    refused_.erase(key);
    entry = entries_.emplace(key, std::move(opened).value()).first->second.get();
  }
  const auto fd = join(worker, *entry, query.accepts_only);
  if (!fd) return refuse(worker, query, fd.error());
  Value answer = cluster_message();
  if (entry->slots) answer["slot"] = entry->slots->slot_of(worker.id());
  reply(worker, *entry, query, std::move(answer), *fd);
  // With slots the next look tells who takes connections.
  if (entry->slots) return;
  entry->dispatcher.join(worker.id(),
                         entry->policy == Policy::RoundRobin ? worker.credits() : kMovedCredits);
  pump(*entry);
}

// What a program closes, it may want to open differently at once.
Result<std::unique_ptr<Listeners::Entry>> Listeners::open_anew(const QueryServer& query,
                                                               const std::string& key) {
  auto opened = open(query, key);
  if (opened || wire_errno(opened.error()) != -EADDRINUSE) return opened;
  const Address wanted = query.listen_address();
  const auto in_the_way = [&wanted](const Entry& entry) {
    if (wanted.is_unix() || entry.address.is_unix())
      return wanted.is_unix() && entry.address.is_unix() && entry.address.path() == wanted.path();
    const Address has =
        bound_to(entry.slots ? entry.slots->fd(0) : entry.one_socket(), entry.address);
    return has.port() == wanted.port() && has.is_datagram() == wanted.is_datagram() &&
           (is_any(has) || is_any(wanted) || has.host() == wanted.host());
  };
  return release_closed(in_the_way) ? open(query, key) : std::move(opened);
}

// The worker is a user. What it accepts from; -1 if the primary does.
Result<int> Listeners::join(HandoffPeer& worker, Entry& entry, bool only_accepts) {
  int fd = entry.policy == Policy::Shared ? entry.shared.get() : -1;
  if (entry.slots) {
    const auto slot = entry.slots->join(worker.slot(), worker.id(), only_accepts);
    if (!slot) return slot.error();
    fd = entry.slots->fd(*slot);
  }
  entry.released = false;
  entry.predecessors.erase(worker.id());
  entry.users[worker.id()] = &worker;
  if (only_accepts) entry.only_accept.insert(worker.id());
  return fd;
}

Result<Listeners::Lent> Listeners::lend(HandoffPeer& worker, std::size_t index,
                                        const Address& address) {
  if (address.is_datagram()) return net::no_connections(address);
  if (ends_) return system_error(ECANCELED, "listen " + to_string(address), "the service ends");
  const std::string key = lent_key(index) + to_string(address);
  Entry* entry = find(key);
  const bool is_new = entry == nullptr;
  if (is_new) {
    QueryServer query;
    query.type = address.is_unix() ? SocketType::Unix : SocketType::Tcp;
    query.address = address.is_unix() ? address.path() : address.host();
    query.port = address.port();
    auto opened = open(query, key, true);
    if (!opened) return net::with_holder(opened.error(), address);
    entry = entries_.emplace(key, std::move(opened).value()).first->second.get();
  }
  const auto fd = join(worker, *entry, true);
  if (!fd) return fd.error();
  // As systemd gives them, and as programs that know nothing of O_NONBLOCK need them. But not one
  // with which others are at work.
  if (is_new || entry->slots) sys::set_nonblocking(*fd, false);
  const auto local = net::local_address(*fd);
  return Lent{*fd, local ? *local : address};
}

// The one that is the worker's descriptor `fd`, if any.
Listeners::Entry* Listeners::find_lent(int worker, int fd) {
  if (fd < kFirstLent) return nullptr;
  const std::string begin = lent_key(static_cast<std::size_t>(fd - kFirstLent));
  for (const auto& [key, entry] : entries_)
    if (key.starts_with(begin) && entry->users.contains(worker)) return entry.get();
  return nullptr;
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

// `fd`: what the worker accepts from; -1 if the primary does.
void Listeners::reply(HandoffPeer& worker, Entry& entry, const QueryServer& query, Value message,
                      int fd) {
  message["errno"] = fd < 0 ? Value(nullptr) : Value(0);
  message["key"] = entry.key;
  message["data"] = entry.data;  // the first worker's, for all: Node's TLS servers need it
  if (fd < 0 && entry.sockname.is_object()) message["sockname"] = entry.sockname;
  worker.reply(query, std::move(message), fd);
}

// Slots are for addresses of TCP and UDP: a Unix socket is one of its name, and one that is given
// is what it is.
Policy Listeners::policy_for(const QueryServer& query, bool given) const {
  const Policy policy = policy_.policy;
  const bool has_slots =
      policy != Policy::RoundRobin && policy != Policy::Shared && policy != Policy::Own && !given;
  if (query.is_datagram())
    return has_slots && !query.reuse_address ? Policy::Sticky : Policy::Shared;
  if (policy == Policy::Shared && !query.padded_too) return policy;
  if (!has_slots || query.type == SocketType::Unix || is_limited(query)) return Policy::RoundRobin;
  return policy == Policy::Auto ? Policy::Adaptive : policy;
}

// A Node worker closes what exceeds its limit, while others may have room: so it is asked first.
bool Listeners::is_limited(const QueryServer& query) const {
  const bool free_to_choose = policy_.policy == Policy::Auto || policy_.policy == Policy::Adaptive;
  return query.connections_max > 0 && free_to_choose;
}

// Where the primary's own choice was not the user's.
std::string Listeners::why(const QueryServer& query, Policy policy, bool given) const {
  if (query.is_datagram()) return "datagrams: the workers read from one socket";
  if (policy_.policy == Policy::Own && policy == Policy::RoundRobin) return "the user's own choice";
  std::string why = policy == Policy::Shared ? "the workers accept from one queue"
                                             : "the primary hands each one to a free worker";
  if (policy == policy_.policy) return why;
  if (query.padded_too) return "Node's abstract names have two spellings: " + why;
  if (is_limited(query)) return "it has maxConnections: the primary finds a worker that has room";
  if (complained_) return "this kernel does not steer: " + why;
  if (!given) return "a Unix socket has one queue: " + why;
  return (query.fd ? "a descriptor has one queue: " : "an inherited socket has one queue: ") + why;
}

// Fails with NoDescriptor where the kernel does not steer.
Result<void> Listeners::open_slots(Entry& entry, const QueryServer& query) {
  auto group = query.is_datagram() ? net::SlotGroup::open_datagram(query.listen_address(), query.v6,
                                                                   query.ipv6_only)
                                   : net::SlotGroup::open(listen_request(query));
  if (!group) return group.error();
  const SlotPort::Choice choice{.policy = entry.policy,
                                .rescue_after = policy_.rescue_after,
                                .datagrams = query.is_datagram()};
  SlotPort::User user;
  user.is_full = [&entry](int worker) {
    return entry.dispatcher.is_full(worker, Dispatcher::TimePoint::clock::now());
  };
  user.decided = [this, &entry](const std::string& why) {
    decided_(bound_to(entry.slots->fd(0), entry.address), entry.policy, why);
  };
  user.found = [this, &entry](const SlotBook::Findings& findings) { slots_found(entry, findings); };
  auto slots = SlotPort::open(loop_, std::move(*group), choice, std::move(user));
  if (!slots) return slots.error();
  entry.slots = *std::move(slots);
  entry.slots->set_weights(weights_);
  return {};
}

Result<std::unique_ptr<Listeners::Entry>> Listeners::open(const QueryServer& query, std::string key,
                                                          bool lent) {
  auto socket = given_socket(query);
  if (!socket) return socket.error();
  OwnFd fd = std::move(*socket);
  const bool given = static_cast<bool>(fd);
  auto entry = std::make_unique<Entry>(loop_);
  entry->key = std::move(key);
  entry->data = query.data;
  entry->policy = policy_for(query, given);
  entry->given = given;
  const Policy without_slots = lent || query.is_datagram() ? Policy::Shared : Policy::RoundRobin;
  if (lent && entry->policy == Policy::RoundRobin) {
    if (policy_.policy == Policy::RoundRobin || policy_.policy == Policy::Own)
      return make_error(
          Errc::InvalidArgument, "listen " + to_string(query.listen_address()),
          std::string{"policy "} + to_string(policy_.policy) +
              " hands connections over a channel, which a program that takes LISTEN_FDS need not "
              "have: use adaptive, hash, sticky or shared");
    entry->policy = without_slots;
  }

  if (!given && entry->policy != Policy::RoundRobin && entry->policy != Policy::Shared) {
    const auto opened = open_slots(*entry, query);
    if (opened) {
      entry->address = query.listen_address();
      return entry;
    }
    if (opened.error().code != Errc::NoDescriptor) return opened.error();
    if (!std::exchange(complained_, true))
      say(loop_, {"policy_unavailable",
                  std::string{"policy "} + to_string(entry->policy) + ": " + opened.error().detail +
                      "; going on with " + to_string(without_slots),
                  {{"wanted", std::string{to_string(entry->policy)}},
                   {"policy", std::string{to_string(without_slots)}}}});
    entry->policy = without_slots;
  }
  if (!given) {
    auto bound = query.is_datagram() ? net::bind_datagram(query.listen_address(), query.v6,
                                                          query.ipv6_only, query.reuse_address)
                                     : net::bind_socket(listen_request(query));
    if (!bound) return bound.error();
    fd = std::move(*bound);
    entry->address = query.listen_address();
    entry->file = net::SocketFile{entry->address};
  }
  if (entry->policy == Policy::RoundRobin || lent) {
    // One that this process was started with listens.
    if (!given || query.fd)
      if (auto listening = net::listen_on(fd.get(), query.backlog); !listening)
        return listening.error();
    if (auto local = net::local_address(fd.get())) entry->sockname = make_sockname(*local);
    // Then there is something to see, or to serve, when it is accepted.
    // (A socket that is given keeps the option when this service has ended.)
    if (!lent && (policy_.peek_size > 0 || (query.defer_accept && !given)))
      net::defer_accept(fd.get());
  }
  const bool picked = policy_.pick && entry->policy == Policy::RoundRobin;
  decided_(bound_to(fd.get(), query.listen_address()), picked ? Policy::Own : entry->policy,
           why(query, entry->policy, given));
  if (entry->policy == Policy::RoundRobin)
    entry->watch = std::make_unique<Watch>(loop_, std::move(fd));
  else
    entry->shared = std::move(fd);
  if (query.padded_too)
    if (auto padded = open_padded(*entry, query); !padded) return padded.error();
  return entry;
}

// Node 20 takes an abstract name with NULs up to the length of an address, also where it connects;
// Node 26, and all others, as it is. So clients of both come.
Result<void> Listeners::open_padded(Entry& entry, const QueryServer& query) {
  constexpr std::size_t kPathSize = sizeof(sockaddr_un::sun_path);
  std::string name = entry.address.path();
  if (!entry.watch || name.size() >= kPathSize) return {};
  name.resize(kPathSize, '\0');
  auto bound = net::bind_socket({.address = Address::from_path(name)});
  if (!bound) return bound.error();
  if (auto listening = net::listen_on(bound->get(), query.backlog); !listening)
    return listening.error();
  entry.also = std::make_unique<Watch>(loop_, std::move(*bound));
  return {};
}

// Connections that wait for a worker that does not take them go to those that have none waiting.
//
// An empty queue is no sign of life: each of those is probed first, and gets one when it answers.
void Listeners::slots_found(Entry& entry, const SlotBook::Findings& findings) {
  for (const int worker : findings.probe)
    if (entry.takes(worker)) entry.users.at(worker)->probe();
  for (const auto& [id, worker] : entry.users) entry.dispatcher.retire(id);
  entry.targets.clear();
  const std::size_t held = entry.dispatcher.waiting();
  if (findings.rescue.empty() && held == 0) return;
  if (held > 0) entry.slots->wake();  // nothing that the queues show
  std::vector<int> targets;
  std::copy_if(findings.targets.begin(), findings.targets.end(), std::back_inserter(targets),
               [&](int worker) { return entry.takes(worker); });
  // Some may not answer: twice as many as are needed, and others the next time.
  const std::size_t asked = std::min(2 * (findings.connections + held), targets.size());
  for (std::size_t i = 0; i < asked; ++i) {
    const int worker = targets[entry.next_target++ % targets.size()];
    entry.targets.insert(worker);
    entry.users.at(worker)->probe();
  }
}

void Listeners::turns(int worker) {
  for (const auto& [key, entry] : entries_) {
    if (!entry->slots) continue;
    entry->slots->turns(worker);
    if (!entry->targets.contains(worker) || !entry->users.contains(worker)) continue;
    entry->dispatcher.join(worker, kMovedCredits);
    accept_ready(*entry);
  }
}

bool Listeners::publishes(int worker, const std::string& key,
                          std::shared_ptr<const net::Load> load) {
  Entry* const entry = find(key);
  if (entry == nullptr || !entry->users.contains(worker)) return false;
  if (entry->slots) entry->slots->publishes(worker, std::move(load));
  return true;
}

void Listeners::accept_ready(Entry& entry) {
  for (auto room = entry.dispatcher.room(Dispatcher::TimePoint::clock::now()); room > 0; --room) {
    OwnFd fd = entry.slots ? entry.slots->next_waiting() : entry.accept();
    if (!fd) {
      if (entry.slots) break;
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        if (!std::exchange(entry.complained, true))
          say(loop_, {"accept_failed",
                      errno_error("accept " + to_string(entry.address),
                                  "connections wait; trying again every 100 ms")
                          .message(),
                      {{"errno", std::int64_t{errno}}}});
        entry.retry.expires_after(std::chrono::milliseconds{100});
        entry.retry.async_wait([this, key = entry.key](boost::system::error_code error) {
          if (Entry* found = error ? nullptr : find(key)) pump(*found);
        });
        return;
      }
      if (errno == EAGAIN || errno == EWOULDBLOCK) break;
      continue;  // ECONNABORTED and the like: that client is gone
    }
    entry.complained = false;
    const int wanted = pick(entry, fd.get());
    const ConnectionId id = ++entry.last_connection;
    entry.connections.emplace(id, std::move(fd));
    entry.dispatcher.offer(id, wanted);
  }
  pump(entry);
}

// The worker in the slot that the user's own policy wants; 0: any.
int Listeners::pick(const Entry& entry, int fd) {
  if (!policy_.pick || entry.slots) return 0;
  std::string head(policy_.peek_size, '\0');
  const ssize_t size = head.empty() ? 0 : sys::recv(fd, head.data(), head.size(), MSG_PEEK);
  head.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  const auto client = net::peer_address(fd);
  const auto local = net::local_address(fd);
  try {
    const auto slot =
        policy_.pick({client ? *client : Address{}, local ? *local : Address{}, head});
    const auto filled = std::find_if(entry.users.begin(), entry.users.end(),
                                     [&](const auto& user) { return user.second->slot() == slot; });
    return filled == entry.users.end() ? 0 : filled->first;
  } catch (...) {
    // It leaves the loop in a turn of its own; the connection goes to any worker.
    loop_.post([thrown = std::current_exception()] { std::rethrow_exception(thrown); });
    return 0;
  }
}

// Hands off what can be handed off, then waits for whatever has to happen next: a connection if a
// worker is free, a worker's answer (nothing to do), or the end of a full worker's delay.
void Listeners::pump(Entry& entry) {
  // A port that is kept for a successor does not keep the primary running: if nobody forks one, it
  // ends, as Node's does.
  for (const auto* watch : {&entry.watch, &entry.also})
    if (*watch) (*watch)->set_ref(!entry.users.empty());
  const auto now = Dispatcher::TimePoint::clock::now();
  std::map<int, std::vector<HandoffPeer::Offer>> offers;  // by worker
  while (const auto assignment = entry.dispatcher.next(now))
    offers[assignment->worker].push_back(
        {assignment->connection, entry.connections.at(assignment->connection).get()});
  for (const auto& [worker, connections] : offers)
    entry.users.at(worker)->hand_off(entry.key, connections);
  const bool room = entry.dispatcher.room(now) > 0;
  for (const auto* watch : {&entry.watch, &entry.also})
    if (room && *watch && !(*watch)->waiting_readable())
      (*watch)->wait_readable([this, &entry] { accept_ready(entry); });
  if (room && entry.dispatcher.waiting() == 0) return;
  if (const auto at = entry.dispatcher.retry_at(now)) {
    entry.retry.expires_at(*at);
    entry.retry.async_wait([this, key = entry.key](boost::system::error_code error) {
      if (Entry* found = error ? nullptr : find(key)) pump(*found);
    });
  }
}

void Listeners::answer(int worker, const std::string& key,
                       std::span<const ConnectionId> connections, std::size_t accepted) {
  Entry* entry = find(key);
  if (entry == nullptr) return;
  for (const ConnectionId connection : connections.first(accepted))
    if (entry->dispatcher.accepted(worker, connection)) entry->connections.erase(connection);
  const auto now = Dispatcher::TimePoint::clock::now();
  for (const ConnectionId connection : connections.subspan(accepted)) {
    if (!entry->dispatcher.refused(worker, connection, now)) continue;
    entry->dispatcher.offer(connection);
    if (entry->slots) entry->slots->wake();  // the next look finds who takes it
  }
  if (entry->slots)
    accept_ready(*entry);  // more may wait to be moved
  else
    pump(*entry);
  release_if_unused(key);
}

void Listeners::has_room(int worker, const std::string& key) {
  Entry* entry = find(key);
  if (entry == nullptr) return;
  entry->dispatcher.has_room(worker);
  pump(*entry);
}

void Listeners::take_back(const std::string& key, OwnFd connection) {
  Entry* entry = find(key);
  if (entry == nullptr || entry->only_accepted()) return;  // nobody can serve it any more
  const ConnectionId id = ++entry->last_connection;
  entry->connections.emplace(id, std::move(connection));
  entry->dispatcher.offer(id);
  if (entry->slots)
    entry->slots->wake();  // the next look finds who takes it
  else
    pump(*entry);
}

bool Listeners::have_users() const {
  return std::any_of(entries_.begin(), entries_.end(),
                     [](const auto& entry) { return !entry.second->users.empty(); });
}

bool Listeners::any_waiting(int worker) const {
  return std::any_of(entries_.begin(), entries_.end(), [worker](const auto& entry) {
    return entry.second->slots && entry.second->slots->any_waiting(worker);
  });
}

bool Listeners::stop_arrivals() {
  bool any = false;
  ends_ = true;
  for (const auto& [key, entry] : entries_) {
    if (!entry->ends_with_the_service()) continue;
    any = true;
    entry->arrivals_stopped = true;
    if (entry->slots)
      entry->slots->stop_arrivals();
    else if (entry->address.is_unix())
      entry->file.remove();
    else
      net::stop_arrivals(entry->one_socket());
  }
  return any;
}

bool Listeners::any_waiting() const {
  return std::any_of(entries_.begin(), entries_.end(), [](const auto& found) {
    const Entry& entry = *found.second;
    if (!entry.arrivals_stopped || entry.users.empty()) return false;
    if (entry.dispatcher.waiting() > 0) return true;
    if (entry.slots) return entry.slots->any_waiting();
    return (sys::poll(entry.one_socket(), POLLIN, 0) & POLLIN) != 0 ||
           (entry.also && (sys::poll(entry.also->fd(), POLLIN, 0) & POLLIN) != 0);
  });
}

void Listeners::close(int worker, const std::string& key, bool release) {
  if (key.starts_with(kLent)) return;  // the worker has its descriptor as long as it lives
  Entry* entry = find(key);
  if (entry == nullptr) return;
  if (entry->slots) entry->slots->leave(worker, !release);
  entry->retired.erase(worker);
  if (entry->remove_user(worker)) {
    entry->dispatcher.retire(worker);
    entry->give_up(worker, release);
    pump(*entry);
  }
  release_if_unused(key);
}

void Listeners::release_closed(int worker) {
  for (const auto& [key, entry] : entries_)
    if (entry->slots) entry->slots->expect_no_successor(worker);
  release_closed([worker](Entry& entry) {
    return entry.predecessors.erase(worker) > 0 && entry.predecessors.empty();
  });
}

bool Listeners::release_closed(const std::function<bool(Entry&)>& is_meant) {
  bool any = false;
  for (auto next = entries_.begin(); next != entries_.end();) {
    const auto entry = next++;  // release_if_unused may erase it
    if (!is_meant(*entry->second) || !entry->second->users.empty()) continue;
    any = entry->second->released = true;
    release_if_unused(std::string(entry->first));
  }
  return any;
}

bool Listeners::uses_any(int worker) const {
  return std::any_of(entries_.begin(), entries_.end(), [worker](const auto& entry) {
    return entry.second->users.contains(worker) || entry.second->retired.contains(worker);
  });
}

void Listeners::retire(int worker, bool release) {
  for (auto next = entries_.begin(); next != entries_.end();) {
    const auto entry = next++;  // release_if_unused may erase it
    if (!entry->second->remove_user(worker)) continue;
    entry->second->dispatcher.retire(worker);
    if (entry->second->slots) entry->second->slots->retire(worker, !release);
    if (!entry->second->watch) entry->second->retired.insert(worker);
    entry->second->give_up(worker, release);
    release_if_unused(entry->first);
  }
}

void Listeners::lose(int worker) {
  for (auto next = entries_.begin(); next != entries_.end();) {
    Entry& entry = *(next++)->second;
    if (entry.remove_user(worker)) entry.give_up(worker, false);
    entry.retired.erase(worker);
    if (entry.slots) entry.slots->leave(worker, true);
    for (const ConnectionId id : entry.dispatcher.leave(worker)) {
      if (is_untouched(entry.connections.at(id).get()) && !entry.only_accepted())
        entry.dispatcher.offer(id);
      else
        entry.connections.erase(id);
    }
    pump(entry);
    release_if_unused(std::string(entry.key));
  }
}

void Listeners::release_if_unused(const std::string& key) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return;
  const Entry& entry = *found->second;
  if (entry.released && entry.users.empty() && entry.retired.empty() &&
      !entry.dispatcher.any_unanswered())
    entries_.erase(found);
}

}  // namespace cohort::cluster
