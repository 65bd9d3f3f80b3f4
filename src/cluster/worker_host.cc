#include "cluster/worker_host.h"

#include <cerrno>
#include <filesystem>
#include <utility>

#include "base/sys.h"
#include "net/accept_loop.h"
#include "net/bind.h"
#include "net/holder.h"
#include "net/sockaddr.h"

namespace cohort::cluster {
namespace {

// How long the primary may take to answer somebody who blocks for it.
constexpr std::chrono::seconds kQueryTimeout{30};

// The primary is given an address, never a name: this process resolves it, as in Node.
Result<Address> literal(const Address& address) {
  if (address.is_unix() || address.host().empty()) return address;
  const auto candidates = net::resolve(address);
  if (!candidates) return candidates.error();
  const Address found = net::from_sockaddr(candidates->front());
  return address.is_datagram() ? Address::datagram(found.host(), found.port()) : found;
}

QueryServer make_query(const net::ListenRequest& request, const Address& address) {
  QueryServer query;
  if (address.is_unix()) {
    query.type = SocketType::Unix;
    query.port = -1;
    const bool abstract = address.path()[0] == '\0';
    query.address = abstract ? address.path() : std::filesystem::absolute(address.path()).string();
  } else {
    query.v6 = address.address_type() == 6;
    if (address.is_datagram()) query.type = query.v6 ? SocketType::Udp6 : SocketType::Udp4;
    query.port = address.port();
    if (!address.host().empty()) query.address = address.host();
  }
  query.wishes.ipv6_only = request.ipv6_only;
  query.wishes.defer_accept = request.defer_accept;
  query.wishes.backlog = request.backlog;
  query.wishes.readable_all = request.readable_all;
  query.wishes.writable_all = request.writable_all;
  return query;
}

}  // namespace

// One call of `listen`, until its Listener is closed.
class WorkerHost::Claim {
 public:
  Claim(const std::shared_ptr<net::ListenerUser>& listener_user,
        const net::ListenRequest& listen_request, QueryServer listener_query)
      : user{listener_user}, request{listen_request}, query{std::move(listener_query)} {
    query.accepts_only = !listener_user;
    tuple = query.key();  // of index 0: equal queries
  }

  std::weak_ptr<net::ListenerUser> user;  // servers_ keeps it alive
  const net::ListenRequest request;
  QueryServer query;
  std::string tuple;
  std::string key;                             // empty until the primary answered
  std::shared_ptr<net::AcceptLoop> accepting;  // shared with its running callback
  OwnFd descriptor;                            // of listening_descriptor
  std::optional<Error> failure;
  bool closed = false;
};

class WorkerHost::Handle final : public net::Listener {
 public:
  Handle(std::weak_ptr<WorkerHost> worker, std::shared_ptr<Claim> claim)
      : worker_{std::move(worker)}, claim_{std::move(claim)} {}
  ~Handle() override {
    close();
    // Only now: a server that still has connections keeps its closed Listener until they end.
    if (const auto worker = worker_.lock()) worker->servers_.closed(claim_->user.lock().get());
  }

  void close() override {
    if (claim_->closed) return;
    claim_->closed = true;
    if (claim_->accepting) claim_->accepting->close();
    if (const auto worker = worker_.lock()) worker->release(*claim_);
  }
  void resume() override {
    const auto worker = worker_.lock();
    if (claim_->accepting)
      claim_->accepting->resume();
    else if (worker && !claim_->key.empty())
      worker->send_room(*claim_);
  }
  int native_handle() const override { return claim_->accepting ? claim_->accepting->fd() : -1; }
  bool takes_back() const override {
    const auto worker = worker_.lock();
    return worker && worker->takes_back_ && worker->primary_.is_there() && !claim_->key.empty();
  }
  void give_back(OwnFd connection) override {
    if (const auto worker = worker_.lock()) worker->give_back(*claim_, std::move(connection));
  }

 private:
  std::weak_ptr<WorkerHost> worker_;
  std::shared_ptr<Claim> claim_;  // shared with the worker
};

WorkerHost::WorkerHost(const Loop& loop, PrimaryLink& primary, std::function<void()> waits_changed)
    : loop_{loop}, primary_{primary}, waits_changed_{std::move(waits_changed)}, direct_{loop} {}

WorkerHost::~WorkerHost() = default;

void WorkerHost::abandon() {
  waits_changed_ = [] {};
  servers_.abandon_all();
  direct_.abandon();
  queries_.clear();
  claims_.clear();
  descriptors_.clear();
}

void WorkerHost::drain(std::function<void()> done) {
  // A worker of a cluster has servers of its own too: those that were sent to it.
  servers_.drain_all([weak = weak_from_this(), this, done = std::move(done)] {
    if (const auto self = weak.lock()) direct_.drain(done);
  });
}

std::unique_ptr<net::Listener> WorkerHost::listen(const net::ListenRequest& request,
                                                  std::shared_ptr<net::ListenerUser> user) {
  if (!primary_.is_there() || request.reuse_port) return direct_.listen(request, std::move(user));
  const auto resolved = request.address.is_datagram() ? net::no_connections(request.address)
                                                      : literal(request.address);
  const auto claim = std::make_shared<Claim>(
      user, request, make_query(request, resolved ? *resolved : request.address));
  servers_.add(user);
  if (!resolved || ends_) {
    loop_.post([user, resolved] {
      // A worker that ends opens no servers; one that comes too late is told at once.
      if (resolved)
        user->drain([] {});
      else
        user->listen_failed(resolved.error());
    });
  } else {
    ask(claim);
  }
  return std::make_unique<Handle>(weak_from_this(), claim);
}

// Sends the query; equal queries of this worker are told apart by their index.
std::int64_t WorkerHost::ask(const std::shared_ptr<Claim>& claim) {
  auto& equal = equal_queries_[claim->tuple];
  claim->query.index = equal.next++;
  ++equal.open;
  const std::int64_t seq = primary_.send(make_query_server(claim->query));
  queries_.emplace(seq, claim);
  waits_changed_();
  return seq;
}

bool WorkerHost::take_answer(std::int64_t ack, const Value& reply, OwnFd fd) {
  const auto found = queries_.find(ack);
  if (found == queries_.end()) return false;
  const auto claim = found->second;
  queries_.erase(found);
  query_answered(claim, reply, std::move(fd));
  waits_changed_();
  return true;
}

void WorkerHost::query_answered(const std::shared_ptr<Claim>& shared, const Value& reply,
                                OwnFd fd) {
  Claim& claim = *shared;
  const auto user = claim.user.lock();
  const Address address = claim.query.listen_address();
  const std::int64_t error = reply["errno"].int64_or(0);
  claim.key = std::string(reply["key"].string_or(""));
  if (claim.closed) {  // while the primary was asked
    if (error == 0) send_close(claim);
    return;
  }
  if (error != 0)
    return fail(claim,
                net::with_holder(net::error_for(address, static_cast<int>(-error)), address));

  Address bound = address;  // a path stays as we know it: the primary may be somewhere else
  if (fd && !address.is_unix()) {
    if (const auto local = net::local_address(fd.get()))
      bound = address.is_datagram() ? Address::datagram(local->host(), local->port()) : *local;
  } else if (!address.is_unix()) {
    bound = parse_sockname(reply["sockname"]);
  }
  // A Node primary may send a socket that it could not bind, without a word.
  if (!address.is_unix() && address.port() != 0 && bound.port() != address.port()) {
    send_close(claim);
    return fail(claim, net::with_holder(net::error_for(address, EADDRINUSE), address));
  }
  if (fd) {
    sys::set_nonblocking(fd.get(), true);
    const auto prepared = [&]() -> Result<void> {
      if (address.is_datagram()) return {};
      if (const auto listening = net::listen_on(fd.get(), claim.query.wishes.backlog); !listening)
        return net::error_for(address, listening.error().code.value());
      if (claim.request.defer_accept) net::defer_accept(fd.get());
      return net::set_connection_options(fd.get(), claim.request);
    }();
    if (!prepared) {
      send_close(claim);
      return fail(claim, prepared.error());
    }
  }
  const auto load = user ? publish(claim) : nullptr;
  if (fd && !user)
    claim.descriptor = std::move(fd);  // somebody accepts by himself
  else if (fd)
    claim.accepting =
        net::AcceptLoop::start(loop_, std::move(fd), claim.user,
                               reply["slot"].is_number() ? net::AcceptLoop::Sharing::Alone
                                                         : net::AcceptLoop::Sharing::WithOthers,
                               load);
  if (!user && !claim.descriptor) return;  // nothing for one who accepts by himself
  claims_.emplace(claim.key, shared);
  if (user) user->listening(bound);
  Value listening = make_query_server(claim.query);
  listening["act"] = "listening";
  if (!address.is_unix()) listening["port"] = bound.port();
  if (!claim.closed) primary_.send(std::move(listening));
}

void WorkerHost::fail(Claim& claim, const Error& error) {
  claim.key.clear();
  claim.failure = error;
  if (const auto user = claim.user.lock()) user->listen_failed(error);
}

// What a connection has from the socket that it was accepted from: a cohort primary's has the
// defaults, a Node primary's has none.
void WorkerHost::inherit_options(const Claim& claim, int fd) const {
  const bool has_them =
      primary_.of_cohort() && claim.request.no_delay && claim.request.keep_alive.count() <= 0;
  if (!has_them) std::ignore = net::set_connection_options(fd, claim.request);
}

// Of several, the answer is how many were taken: those behind one that is refused are, too.
void WorkerHost::new_connections(ipc::Incoming& incoming) {
  const Value& message = std::as_const(incoming.value);
  const bool are_several = !incoming.several.empty();
  if (incoming.fd) incoming.several.push_back(std::move(incoming.fd));
  const auto claim = claims_.find(std::string(message["key"].string_or("")));
  const auto user = claim != claims_.end() ? claim->second->user.lock() : nullptr;
  int accepted = 0;
  const auto answer = [&] {
    Value said = cluster::cluster_message();
    said["ack"] = message["seq"];
    said["accepted"] = are_several ? Value(accepted) : Value(accepted > 0);
    primary_.send(std::move(said), ipc::Lane::Control);
  };
  try {
    for (OwnFd& fd : incoming.several) {
      if (user) inherit_options(*claim->second, fd.get());
      if (!user || !user->connection(fd)) break;
      ++accepted;
    }
  } catch (...) {  // of the user's handler, who has this connection
    ++accepted;
    answer();
    throw;
  }
  answer();
}

void WorkerHost::send_close(const Claim& claim) {
  Value message = cluster::cluster_message("close");
  message["key"] = claim.key;
  primary_.send(std::move(message));
}

void WorkerHost::send_room(const Claim& claim) {
  if (!primary_.of_cohort()) return;  // Node's primary offers again and again by itself
  Value message = cluster::cluster_message("room");
  message["key"] = claim.key;
  primary_.send(std::move(message), ipc::Lane::Control);
}

void WorkerHost::send_descriptor(const char* act, const Claim& claim, int fd) {
  Value message = cluster::cluster_message(act);
  message["key"] = claim.key;
  primary_.send_descriptor(std::move(message), fd);
}

void WorkerHost::give_back(const Claim& claim, OwnFd connection) {
  send_descriptor("giveBack", claim, connection.get());
}

// Null for a primary that would not know it, and without memory.
std::shared_ptr<net::Load> WorkerHost::publish(const Claim& claim) {
  const auto user = claim.user.lock();
  if (!user || !primary_.of_cohort()) return nullptr;
  auto shared = net::share_load();
  if (!shared) return nullptr;
  user->publish_to(shared->load);
  send_descriptor("load", claim, shared->fd.get());
  return shared->load;
}

void WorkerHost::release(Claim& claim) {
  if (!claim.key.empty()) {
    claims_.erase(claim.key);
    send_close(claim);
  }
  const auto equal = equal_queries_.find(claim.tuple);
  if (equal != equal_queries_.end() && --equal->second.open <= 0) equal_queries_.erase(equal);
  waits_changed_();
}

Result<int> WorkerHost::listening_descriptor(const net::ListenRequest& request) {
  if (!primary_.is_there() || request.reuse_port) return direct_.listening_descriptor(request);
  const auto resolved = literal(request.address);
  if (!resolved) return resolved.error();
  const auto claim = std::make_shared<Claim>(nullptr, request, make_query(request, *resolved));
  const std::int64_t seq = ask(claim);
  primary_.wait_for_answer(seq, ipc::Peer::Clock::now() + kQueryTimeout);
  const std::string op = "listen " + to_string(request.address);
  if (queries_.erase(seq) != 0)
    return make_error(Errc::ChannelClosed, op, "the primary did not answer");
  if (claim->failure) return *claim->failure;
  if (!claim->descriptor) {
    send_close(*claim);
    return make_error(Errc::NoDescriptor, op,
                      "the primary accepts, under round-robin; use adaptive, hash, sticky or "
                      "shared (for a Unix socket: shared), or cohort::Acceptor, which works under "
                      "every policy");
  }
  descriptors_.push_back(claim);
  return claim->descriptor.get();
}

}  // namespace cohort::cluster
