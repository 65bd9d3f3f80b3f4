#include "cluster/own_worker.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "base/notices.h"
#include "base/shared_output.h"
#include "base/sys.h"
#include "net/bind.h"
#include "net/holder.h"
#include "net/shared_listener.h"
#include "net/sockaddr.h"
#include "process/spawn.h"

namespace cohort::cluster {
namespace {

constexpr std::chrono::seconds kFlushTimeout{5};
constexpr std::chrono::seconds kHelloTimeout{5};
// How long the primary may take to answer somebody who blocks for it.
constexpr std::chrono::seconds kQueryTimeout{30};

std::optional<std::string> take_variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) return std::nullopt;
  std::string copy = value;
  ::unsetenv(name);
  return copy;
}

std::optional<int> to_int(const std::string& text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

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
  query.ipv6_only = request.ipv6_only;
  query.defer_accept = request.defer_accept;
  query.backlog = request.backlog;
  query.readable_all = request.readable_all;
  query.writable_all = request.writable_all;
  return query;
}

bool is_socket(int fd) {
  struct stat status{};
  return ::fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

}  // namespace

ParentChannel take_parent_channel() {
  const bool of_cohort = process::adopt_lifeline();
  const auto fd_text = take_variable("NODE_CHANNEL_FD");
  const auto mode = take_variable("NODE_CHANNEL_SERIALIZATION_MODE");
  const auto id_text = take_variable("NODE_UNIQUE_ID");
  const auto slot_text = take_variable("COHORT_SLOT");
  ParentChannel parent;
  if (!fd_text || fd_text->empty()) return parent;
  const auto fd = to_int(*fd_text);
  if (!fd || *fd < 0 || !is_socket(*fd)) {
    parent.problem = "NODE_CHANNEL_FD=" + *fd_text + " is not a channel: descriptor " + *fd_text +
                     " is not an open socket; going on without a primary";
    return parent;
  }
  if (mode && !mode->empty() && *mode != "json" && *mode != "advanced") {
    write_to_stderr("cohort: NODE_CHANNEL_SERIALIZATION_MODE=" + *mode +
                    ": must be json or advanced\n");
    std::_Exit(100);
  }
  if (mode && *mode == "advanced") parent.serialization = Serialization::Advanced;
  parent.socket.reset(*fd);
  sys::set_cloexec(*fd, true);
  sys::set_nonblocking(*fd, true);
  parent.of_cohort = of_cohort;
  if (id_text) parent.worker_id = to_int(*id_text).value_or(0);
  if (of_cohort && id_text && slot_text)
    if (const auto slot = to_int(*slot_text); slot && *slot >= 0) parent.slot = *slot;
  return parent;
}

// One call of `listen`, until its Listener is closed.
class OwnWorker::Claim {
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
  std::string key;                                 // empty until the primary answered
  std::shared_ptr<net::SharedListener> accepting;  // shared with its running callback
  OwnFd descriptor;                                // of listening_descriptor
  std::optional<Error> failure;
  bool closed = false;
};

class OwnWorker::Handle final : public net::Listener {
 public:
  Handle(std::weak_ptr<OwnWorker> worker, std::shared_ptr<Claim> claim)
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
    return worker && worker->takes_back_ && worker->channel_ && !claim_->key.empty();
  }
  void give_back(OwnFd connection) override {
    if (const auto worker = worker_.lock()) worker->give_back(*claim_, std::move(connection));
  }

 private:
  std::weak_ptr<OwnWorker> worker_;
  std::shared_ptr<Claim> claim_;  // shared with the worker
};

OwnWorker::OwnWorker(const Loop& loop, std::shared_ptr<Calls> calls, ParentChannel parent,
                     std::function<void(int)> leave)
    : WorkerImpl{loop, std::move(calls)},
      leave_{std::move(leave)},
      deadline_{loop.context()},
      direct_{loop} {
  // In a turn: by then the user has had the time to listen for it.
  if (!parent.problem.empty())
    loop_.post([loop, problem = parent.problem] { say(loop, {"not_a_channel", problem}); });
  if (!parent.socket) return;
  id_ = parent.worker_id.value_or(0);
  slot_ = parent.slot;
  of_cohort_ = parent.of_cohort;
  channel_ =
      std::make_shared<ipc::Channel>(loop_, std::move(parent.socket), parent.serialization,
                                     ipc::ChannelLimits{}, static_cast<ipc::ChannelUser&>(*this));
  sender_->open(channel_);
}

OwnWorker::~OwnWorker() {
  if (channel_) channel_->abandon();
}

void OwnWorker::abandon() {
  end_events();
  leave_ = [](int) {};
  when_disconnected_ = nullptr;
  also_waits_ = nullptr;
  deadline_.cancel();
  servers_.abandon_all();
  direct_.abandon();
  early_messages_.clear();
  queries_.clear();
  claims_.clear();
  descriptors_.clear();
}

void OwnWorker::start() {
  if (!channel_) return;
  if (of_cohort_) channel_->announce();
  if (is_cluster_worker()) send_cluster(cluster::cluster_message("online"));
  // Its answer says that whatever the primary did in the turn of the fork has happened.
  if (is_cluster_worker() && of_cohort_) {
    greeted_ = false;
    const auto deadline = std::chrono::steady_clock::now() + kHelloTimeout;
    while (!greeted_ && channel_->flush(deadline) && channel_->read_blocking(deadline)) {
    }
    greeted_ = true;
    deliver_deferred();
  }
  update_ref();
  channel_->start();
}

pid_t OwnWorker::pid() const { return ::getpid(); }

std::int64_t OwnWorker::send_cluster(Value message, ipc::Lane lane) {
  const std::int64_t seq = seq_++;
  message["seq"] = seq;
  // An error means that the primary is gone: the end of the channel tells.
  if (channel_) std::ignore = channel_->send_own(message, lane);
  return seq;
}

// The channel keeps the loop running while it brings something that is waited for.
void OwnWorker::update_ref() {
  if (!channel_) return;
  channel_->set_ref(wants_messages() || events.disconnect.has_listener() || calls_->has_methods() ||
                    calls_->waits() || (also_waits_ && also_waits_()) || !claims_.empty() ||
                    !queries_.empty() || ending_ != Ending::No);
}

void OwnWorker::message_wanted() {
  update_ref();
  if (early_messages_.empty()) return;
  loop_.post([weak = weak_from_this(), this] {
    const auto self = weak.lock();
    if (!self) return;
    for (auto& early : take(early_messages_)) user_message(std::move(early));
  });
}

// What arrives.

// While something blocks, only what it blocks for is looked at; the rest waits for the loop, and
// what comes after the rest waits behind it.
bool OwnWorker::is_awaited(const ipc::Incoming& incoming) const {
  const Value& value = incoming.value;
  if (!greeted_) return incoming.kind == ipc::MessageKind::Cohort;
  if (blocking_for_)
    return incoming.kind == ipc::MessageKind::Cluster &&
           value["ack"].int64_or(-1) == *blocking_for_;
  return deferred_.empty();
}

void OwnWorker::deliver_deferred() {
  loop_.post([weak = weak_from_this(), this] {
    const auto self = weak.lock();
    if (!self || deferred_.empty()) return;
    // Each leaves when it has been handled, whatever its handler throws: what comes meanwhile is
    // behind those that are left.
    struct Leaves {
      OwnWorker& worker;
      ~Leaves() {
        worker.deferred_.pop_front();
        if (!worker.deferred_.empty()) worker.deliver_deferred();
      }
    };
    const Leaves leaves{*this};
    if (channel_) channel_->consumed(deferred_.front().size);
    handle(std::move(deferred_.front()));
  });
}

// A cohort primary sends only so much more than was taken.
void OwnWorker::keep(std::deque<ipc::Incoming>& for_later, ipc::Incoming incoming) {
  if (channel_) channel_->withhold(incoming.size);
  for_later.push_back(std::move(incoming));
}

std::deque<ipc::Incoming> OwnWorker::take(std::deque<ipc::Incoming>& kept) {
  std::size_t size = 0;
  for (const auto& incoming : kept) size += incoming.size;
  if (channel_) channel_->consumed(size);
  return std::exchange(kept, {});
}

void OwnWorker::message(ipc::Incoming incoming) {
  if (!is_awaited(incoming)) {
    keep(deferred_, std::move(incoming));
    return;
  }
  greeted_ = true;
  handle(std::move(incoming));
}

void OwnWorker::handle(ipc::Incoming incoming) {
  if (incoming.kind == ipc::MessageKind::Cohort) return sender_->take_limits();
  if (incoming.kind == ipc::MessageKind::User)
    user_message(std::move(incoming));
  else if (incoming.kind == ipc::MessageKind::Cluster)
    cluster_message(incoming);
  else
    handles_->answer(channel_, incoming);
}

void OwnWorker::user_message(ipc::Incoming incoming) {
  if (!incoming.has_descriptors() && calls_->take(*this, incoming.value)) return;
  if (!wants_messages() || !early_messages_.empty()) {
    keep(early_messages_, std::move(incoming));
  } else {
    cohort::Handle handle = handles_->receive(channel_, incoming);
    emit_message(incoming.value, handle);
  }
}

void OwnWorker::cluster_message(ipc::Incoming& incoming) {
  const Value& message = std::as_const(incoming.value);
  const Value& act = message["act"];
  if (act == "newconn") return new_connections(incoming);
  if (act == "disconnect") {
    by_primary_ = true;
    on_purpose_ = true;
    takes_back_ = message["takesBack"].bool_or(false);
    if (ending_ == Ending::Replies) return servers_closed();
    return close_servers();
  }
  if (!act.is_undefined()) return;
  const std::int64_t ack = message["ack"].int64_or(-1);
  if (exiting_seq_ && ack == *exiting_seq_) return finish_ending();
  const auto found = queries_.find(ack);
  if (found == queries_.end()) return;
  const auto claim = found->second;
  queries_.erase(found);
  query_answered(claim, message, std::move(incoming.fd));
  if (ending_ == Ending::Replies) servers_closed();
  update_ref();
}

void OwnWorker::channel_closed(std::optional<Error> why) {
  sender_->close();
  channel_.reset();
  if (why) say(loop_, {"channel_failed", "the primary's channel: " + why->message()});
  const bool was_worker = id_ != 0;
  events.disconnect.emit(loop_);
  end_events();
  if (when_disconnected_) when_disconnected_();
  // As in Node: a worker that lost its primary without a word ends at once.
  if (was_worker && (!on_purpose_ || leave_when_done_)) leave_(0);
}

// Servers.

std::unique_ptr<net::Listener> OwnWorker::listen(const net::ListenRequest& request,
                                                 std::shared_ptr<net::ListenerUser> user) {
  if (!is_cluster_worker() || request.reuse_port) return direct_.listen(request, std::move(user));
  const auto resolved = request.address.is_datagram() ? net::no_connections(request.address)
                                                      : literal(request.address);
  const auto claim = std::make_shared<Claim>(
      user, request, make_query(request, resolved ? *resolved : request.address));
  servers_.add(user);
  if (!resolved || ending_ != Ending::No) {
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
  return std::make_unique<Handle>(weak_worker(), claim);
}

// Sends the query; equal queries of this worker are told apart by their index.
std::int64_t OwnWorker::ask(const std::shared_ptr<Claim>& claim) {
  auto& equal = equal_queries_[claim->tuple];
  claim->query.index = equal.next++;
  ++equal.open;
  const std::int64_t seq = send_cluster(make_query_server(claim->query));
  queries_.emplace(seq, claim);
  update_ref();
  return seq;
}

void OwnWorker::query_answered(const std::shared_ptr<Claim>& shared, const Value& reply, OwnFd fd) {
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
      if (const auto listening = net::listen_on(fd.get(), claim.query.backlog); !listening)
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
    claim.accepting = net::SharedListener::start(loop_, std::move(fd), claim.user,
                                                 reply["slot"].is_number()
                                                     ? net::SharedListener::Sharing::Alone
                                                     : net::SharedListener::Sharing::WithOthers,
                                                 load);
  if (!user && !claim.descriptor) return;  // nothing for one who accepts by himself
  claims_.emplace(claim.key, shared);
  if (user) user->listening(bound);
  Value listening = make_query_server(claim.query);
  listening["act"] = "listening";
  if (!address.is_unix()) listening["port"] = bound.port();
  if (!claim.closed) send_cluster(std::move(listening));
}

void OwnWorker::fail(Claim& claim, const Error& error) {
  claim.key.clear();
  claim.failure = error;
  if (const auto user = claim.user.lock()) user->listen_failed(error);
}

// What a connection has from the socket that it was accepted from: a cohort primary's has the
// defaults, a Node primary's has none.
void OwnWorker::inherit_options(const Claim& claim, int fd) const {
  const bool has_them =
      of_cohort_ && claim.request.no_delay && claim.request.keep_alive.count() <= 0;
  if (!has_them) std::ignore = net::set_connection_options(fd, claim.request);
}

// Of several, the answer is how many were taken: those behind one that is refused are, too.
void OwnWorker::new_connections(ipc::Incoming& incoming) {
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
    send_cluster(std::move(said), ipc::Lane::Control);
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

void OwnWorker::send_close(const Claim& claim) {
  Value message = cluster::cluster_message("close");
  message["key"] = claim.key;
  send_cluster(std::move(message));
}

void OwnWorker::send_room(const Claim& claim) {
  if (!of_cohort_) return;  // Node's primary offers again and again by itself
  Value message = cluster::cluster_message("room");
  message["key"] = claim.key;
  send_cluster(std::move(message), ipc::Lane::Control);
}

void OwnWorker::send_descriptor(const char* act, const Claim& claim, int fd) {
  Value message = cluster::cluster_message(act);
  message["key"] = claim.key;
  message["seq"] = seq_++;
  if (!channel_) return;  // the primary is gone, and the port with it
  std::ignore = channel_->send_descriptor(ipc::wrap_handle("net.Native", std::move(message)), fd,
                                          {}, ipc::Lane::Control);
}

void OwnWorker::give_back(const Claim& claim, OwnFd connection) {
  send_descriptor("giveBack", claim, connection.get());
}

// Null for a primary that would not know it, and without memory.
std::shared_ptr<net::Load> OwnWorker::publish(const Claim& claim) {
  const auto user = claim.user.lock();
  if (!user || !of_cohort_) return nullptr;
  auto shared = net::share_load();
  if (!shared) return nullptr;
  user->publish_to(shared->load);
  send_descriptor("load", claim, shared->fd.get());
  return shared->load;
}

void OwnWorker::release(Claim& claim) {
  if (!claim.key.empty()) {
    claims_.erase(claim.key);
    send_close(claim);
  }
  const auto equal = equal_queries_.find(claim.tuple);
  if (equal != equal_queries_.end() && --equal->second.open <= 0) equal_queries_.erase(equal);
  update_ref();
}

Result<int> OwnWorker::listening_descriptor(const net::ListenRequest& request) {
  if (!is_cluster_worker() || request.reuse_port) return direct_.listening_descriptor(request);
  const auto resolved = literal(request.address);
  if (!resolved) return resolved.error();
  const auto claim = std::make_shared<Claim>(nullptr, request, make_query(request, *resolved));
  const std::int64_t seq = ask(claim);
  blocking_for_ = seq;
  const auto deadline = std::chrono::steady_clock::now() + kQueryTimeout;
  while (queries_.contains(seq) && channel_ && channel_->flush(deadline) &&
         channel_->read_blocking(deadline)) {
  }
  blocking_for_.reset();
  deliver_deferred();
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

// Ending.

void OwnWorker::disconnect() {
  if (ending_ != Ending::No) return;
  on_purpose_ = on_purpose_ || is_cluster_worker();
  // Before it hears that the servers are closed: its ports stay open for a successor.
  if (is_cluster_worker() && of_cohort_) send_cluster(cluster::cluster_message("leaving"));
  close_servers();
}

bool OwnWorker::kill(int) {
  leave_when_done_ = true;
  on_purpose_ = on_purpose_ || is_cluster_worker();
  if (!channel_) {
    leave_(0);
  } else if (ending_ != Ending::Handshake) {
    servers_closed();
  }
  return true;
}

void OwnWorker::close_servers() {
  if (ending_ != Ending::No) return;
  ending_ = Ending::ClosingServers;
  update_ref();
  // A worker of a cluster has servers of its own too: those that were sent to it.
  servers_.drain_all([weak = weak_from_this(), this] {
    const auto self = weak.lock();
    if (!self) return;
    direct_.drain([weak, this] {
      const auto alive = weak.lock();
      if (alive && ending_ == Ending::ClosingServers) servers_closed();
    });
  });
}

// Node's handshake, when it was not the primary who asked: until it has answered, it may hand us
// more. Before that, the replies to our queries: Node's primary dies of one that it cannot write.
// (A primary that asked us to end may never send them.)
void OwnWorker::servers_closed() {
  if (!queries_.empty() && !by_primary_) {
    ending_ = Ending::Replies;
    return;
  }
  ending_ = Ending::Handshake;
  if (!is_cluster_worker() || by_primary_) return finish_ending();
  exiting_seq_ = send_cluster(cluster::cluster_message("exitedAfterDisconnect"));
}

void OwnWorker::finish_ending() {
  if (ending_ == Ending::Done) return;
  ending_ = Ending::Done;
  deadline_.cancel();  // in a primary, the workers' own one goes on
  exiting_seq_.reset();
  sender_->close();
  if (channel_)
    channel_->close();  // channel_closed follows
  else if (leave_when_done_)
    leave_(0);
  if (id_ == 0 && leave_when_done_) leave_(0);
}

void OwnWorker::terminate(int signal_number, std::chrono::milliseconds timeout) {
  if (std::exchange(leave_when_done_, true)) return leave_(128 + signal_number);
  deadline_.expires_after(timeout);
  deadline_.async_wait([this, signal_number](boost::system::error_code error) {
    if (!error) leave_(128 + signal_number);
  });
  if (ending_ == Ending::Done)
    leave_(0);
  else
    disconnect();
}

void OwnWorker::flush() {
  if (!channel_) return;
  sender_->catch_up();
  channel_->flush_all(std::chrono::steady_clock::now() + kFlushTimeout);
}

void OwnWorker::exit_process(int code) {
  flush();
  std::exit(code);
}

}  // namespace cohort::cluster
