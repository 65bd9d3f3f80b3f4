#include "cluster/forked_worker.h"

#include <algorithm>
#include <cerrno>

#include "base/notices.h"
#include "base/sys.h"
#include "process/proc_view.h"

namespace cohort::cluster {
namespace {

// A cohort worker may hold this many connections unanswered: enough to keep it busy while the
// primary does other things, few enough that little waits behind a handler that blocks.
constexpr unsigned kCohortCredits = 8;
// Node's own primary never has more than one; its workers are tested with that.
constexpr unsigned kNodeCredits = 1;
// The key of no port.
constexpr const char* kProbe = "";
// Before a Node worker is told to end: the clients of the connections that it accepted last have
// this long to send their request, then none may wait for it, and then its loop turns so often that
// it has read them. All that within the second time.
constexpr std::chrono::milliseconds kSettleMin{100};
constexpr std::chrono::milliseconds kSettleMax{2000};
constexpr int kTurnsToSettle = 2;
// So long a connection without a request stays open at the end, for one that is on its way.
constexpr std::int64_t kQuietMs = 500;
// Whether a worker without a channel still serves somebody is looked at so often, and for a
// twentieth of the time at most.
constexpr std::chrono::milliseconds kIdleLook{500};
constexpr int kIdleLookShare = 20;
// One that was started with its listening descriptors, and says nothing, is taken for ready.
constexpr std::chrono::seconds kSilentUntilReady{1};

}  // namespace

// A pipe from the worker's stdout or stderr that the user asked for.
struct ForkedWorker::OutputPipe {
  OutputPipe(ForkedWorker& worker, int index, OwnFd fd)
      : owner{worker}, stdio_index{index}, watch{worker.loop_, std::move(fd)} {
    watch.set_ref(false);
    wait();
  }
  void wait() {
    watch.wait_readable([this, self = owner.weak_from_this()] {
      const auto alive = self.lock();
      if (alive && read_some()) wait();
    });
  }
  bool read_some() {
    char buffer[16384];
    const ssize_t size = sys::read(watch.fd(), buffer, sizeof buffer);
    if (size < 0) return errno == EAGAIN;
    if (size == 0) return false;
    auto& event = stdio_index == 1 ? owner.events.stdout_data : owner.events.stderr_data;
    event.emit(owner.loop_, std::string_view(buffer, static_cast<std::size_t>(size)));
    return true;
  }
  // The process is gone: what it had written is all that will come.
  void drain() {
    int waiting = 0;
    while (sys::bytes_readable(watch.fd(), waiting) == 0 && waiting > 0 && read_some()) {
    }
  }

  ForkedWorker& owner;
  int stdio_index;
  Watch watch;
};

ForkedWorker::ForkedWorker(const Loop& loop, std::shared_ptr<Calls> calls, ForkedWorkerOwner& owner,
                           int id, std::size_t slot, Serialization serialization,
                           const ipc::ChannelLimits& limits)
    : WorkerImpl{loop, std::move(calls)},
      owner_{owner},
      id_{id},
      slot_{slot},
      serialization_{serialization},
      limits_{limits},
      settle_timer_{loop.executor()} {}

ForkedWorker::~ForkedWorker() {
  if (channel_) channel_->abandon();
}

void ForkedWorker::started(process::Child child, OwnFd channel,
                           std::unique_ptr<process::StderrTail> tail) {
  pid_ = child.pid;
  stderr_tail_ = std::move(tail);
  channel_ = std::make_shared<ipc::Channel>(loop_, std::move(channel), serialization_, limits_,
                                            static_cast<ipc::ChannelUser&>(*this));
  sender_->open(channel_);
  channel_->set_ref(false);  // the process keeps the loop running
  channel_->start();
  process_ = std::make_unique<process::ChildWatch>(
      loop_, std::move(child), [this](const Exit& exit) { process_ended(exit); },
      process::ChildWatch::Ends::WithItsGroup);
}

void ForkedWorker::read_output(int stdio_index, OwnFd pipe) {
  outputs_.push_back(std::make_unique<OutputPipe>(*this, stdio_index, std::move(pipe)));
}

void ForkedWorker::lent(std::vector<Address> addresses) {
  lent_ = std::move(addresses);
  after(kSilentUntilReady, [this] { listens_by_itself(); });
}

void ForkedWorker::listens_by_itself() {
  if (!ends_by_signal() || state_ != WorkerState::Spawned) return;
  handle(WorkerEvent::SaidOnline);
  for (const Address& address : lent_) {
    address_ = address;
    if (state_ == WorkerState::Online || state_ == WorkerState::Listening)
      handle(WorkerEvent::SaidListening);
  }
}

void ForkedWorker::failed_to_start(Error error) {
  if (is_dead()) return;
  const auto self = shared_from_this();
  error_ = std::move(error);
  handle(WorkerEvent::SpawnFailed);
  end_events();
  owner_.worker_failed_to_start(*this);
}

void ForkedWorker::abandon() {
  end_events();
  settle_timer_.cancel();
  end_.reset();
  sender_->close();
  if (channel_) channel_->abandon();
  state_ = WorkerState::Dead;
  hand_offs_.clear();
  outputs_.clear();
  stderr_tail_.reset();
  if (process_) process_->kill_and_reap();
}

bool ForkedWorker::kill(int signal_number) {
  return process_ && process_->alive() && process_->signal(signal_number).has_value();
}

bool ForkedWorker::kill_group(int signal_number) {
  return process_ && process_->signal_group(signal_number);
}

std::optional<WorkerLoad> ForkedWorker::load() const {
  if (loads_.empty() && closed_loads_.empty()) return std::nullopt;
  WorkerLoad sum{.accepted = accepted_before_, .connections = 0, .in_flight = 0};
  const auto add = [&sum](const net::Load& load) {
    sum.accepted += net::Load::get(load.accepted);
    if (!sum.connections || net::Load::get(load.counts_open) == 0) {
      sum.connections.reset();
      sum.in_flight.reset();
      return;
    }
    const auto arriving = net::Load::get(load.arriving);
    *sum.connections += net::Load::get(load.connections) + arriving;
    *sum.in_flight += net::Load::get(load.in_flight) + arriving;
  };
  for (const auto& [key, load] : loads_) add(*load);
  for (const auto& load : closed_loads_) add(*load);
  return sum;
}

void ForkedWorker::port_closed(const std::string& key) {
  owner_.listeners().close(id_, key, !owner_.keeps_ports());
  owner_.worker_closed(*this);
  if (const auto found = loads_.find(key); found != loads_.end()) {
    closed_loads_.push_back(found->second);
    loads_.erase(found);
  }
  std::erase_if(closed_loads_, [this](const auto& load) {
    if (net::Load::get(load->connections) > 0) return false;
    accepted_before_ += net::Load::get(load->accepted);
    return true;
  });
}

std::vector<std::string> ForkedWorker::last_stderr_lines(std::size_t count) const {
  return stderr_tail_ ? stderr_tail_->last_lines(count) : std::vector<std::string>{};
}

// What arrives.

void ForkedWorker::message(ipc::Incoming incoming) {
  const auto self = shared_from_this();
  speaks_ = true;
  switch (incoming.kind) {
    case ipc::MessageKind::User: {
      Handle handle = handles_->receive(channel_, incoming);
      if (!handle && calls_->take(*this, incoming.value)) break;
      owner_.worker_message(*this, incoming.value, handle);
      emit_message(incoming.value, handle);
      break;
    }
    case ipc::MessageKind::SocketGetCount:
    case ipc::MessageKind::SocketNotifyClose:
      handles_->answer(channel_, incoming);
      break;
    case ipc::MessageKind::Cluster:
      cluster_message(incoming);
      break;
    default:  // NODE_ commands that we do not know are ignored, as Node does
      break;
  }
}

void ForkedWorker::cluster_message(ipc::Incoming& incoming) {
  const Value& message = std::as_const(incoming.value);
  const Value& act = message["act"];
  if (act.is_undefined()) {
    const Value& accepted = message["accepted"];
    if (accepted.is_bool() || accepted.is_number())
      answered(message["ack"].int64_or(-1),
               static_cast<std::size_t>(
                   std::max<std::int64_t>(accepted.int64_or(accepted.bool_or(false) ? 1 : 0), 0)));
  } else if (act == "online") {
    handle(WorkerEvent::SaidOnline);
  } else if (act == "listening") {
    address_ = parse_listening(message);
    listening_.push_back(address_);
    handle(WorkerEvent::SaidListening);
  } else if (act == "queryServer") {
    if (on_purpose_ || state_ == WorkerState::Disconnected)
      return;  // it ends: no answer, as in Node
    const auto query = parse_query_server(message);
    if (query) return owner_.worker_asks(*this, *query);
    Value failed = cluster::cluster_message();
    failed["errno"] = -EINVAL;
    failed["ack"] = message["seq"];
    send_cluster(std::move(failed));
  } else if (act == "close") {
    port_closed(std::string(message["key"].string_or("")));
  } else if (act == "room") {
    owner_.listeners().has_room(id_, std::string(message["key"].string_or("")));
  } else if (act == "giveBack") {
    if (incoming.fd)
      owner_.listeners().take_back(std::string(message["key"].string_or("")),
                                   std::move(incoming.fd));
  } else if (act == "load") {
    const std::string key{message["key"].string_or("")};
    const auto load = net::map_load(std::move(incoming.fd));
    // No descriptor or no memory for it, or it closed the port already: nothing depends on it.
    if (!load || !owner_.listeners().publishes(id_, key, *load)) return;
    loads_[key] = *load;
  } else if (act == "leaving") {
    owner_.worker_ends(*this);
  } else if (act == "exitedAfterDisconnect") {
    exiting_seq_ = message["seq"].int64_or(-1);
    handle(WorkerEvent::SaidExiting);
  } else if (node_.take(message)) {
    if (end_) end_->look();
  }
}

void ForkedWorker::channel_closed(std::optional<Error> why) {
  const auto self = shared_from_this();
  sender_->close();
  calls_->peer_gone(*this);
  // Nobody answers any more.
  settling_ = 0;
  hand_offs_.clear();
  // It serves on without: it does not know what that is, or needs it no more.
  const bool serves = state_ == WorkerState::Spawned || state_ == WorkerState::Online ||
                      state_ == WorkerState::Listening;
  if (!lent_.empty() && serves && !why) {
    speaks_ = false;
    events.drain.abort(loop_);
    return;
  }
  if (why) {
    error_ =
        Error{why->code, describe(),
              "it was killed; " + (why->detail.empty() ? "nothing else is affected" : why->detail)};
    handle(WorkerEvent::ProtocolViolated);
  } else {
    handle(WorkerEvent::ChannelClosed);
    if (!is_dead() && !listening_.empty()) watch_until_idle(kEndsByItself);
  }
}

// Node closes the channel of a worker that ends when its servers are closed, but for those that the
// program has closed itself: their clients may be there for long.
void ForkedWorker::watch_until_idle(std::chrono::milliseconds pause) {
  after(pause, [this] {
    using Clock = std::chrono::steady_clock;
    const auto before = Clock::now();
    const std::optional<std::size_t> clients = process::look_at(pid_, listening_).connections;
    if (!clients) return;  // not to be seen
    if (clients == 0) return owner_.worker_idle(*this);
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - before);
    watch_until_idle(std::max(kIdleLook, kIdleLookShare * took));
  });
}

void ForkedWorker::process_ended(const Exit& exit) {
  const auto self = shared_from_this();
  // Everything that it sent is in the channel by now. Not up to the end: a grandchild may hold it.
  if (channel_) channel_->read_available();
  if (stderr_tail_) stderr_tail_->drain_now();
  for (const auto& output : outputs_) output->drain();
  outputs_.clear();
  exit_ = exit;
  settle_timer_.cancel();
  end_.reset();
  handle(WorkerEvent::Exited);
  end_events();
}

// Hand-off.

unsigned ForkedWorker::credits() const {
  return channel_ && channel_->peer_is_cohort() ? kCohortCredits : kNodeCredits;
}

// In its place among the user's messages.
void ForkedWorker::send_cluster(Value message) {
  message["seq"] = owner_.next_seq();
  // An error means that the channel is closed, or about to be: then nobody waits for this.
  if (channel_) std::ignore = channel_->send_own(message);
}

void ForkedWorker::reply(const QueryServer& query, Value reply, int fd) {
  reply["ack"] = query.seq;
  reply["seq"] = owner_.next_seq();
  if (!channel_) return;
  const bool datagram = query.is_datagram();
  serves_ = serves_ || (!datagram && reply["errno"].int64_or(0) == 0);
  if (fd < 0) {
    std::ignore = channel_->send_own(reply, ipc::Lane::Control);
    return;
  }
  std::ignore = channel_->send_descriptor(
      ipc::wrap_handle(datagram ? "dgram.Native" : "net.Native", std::move(reply)), fd, {},
      ipc::Lane::Control);
}

void ForkedWorker::hand_off(const std::string& key, std::span<const Offer> connections) {
  if (connections.size() > 1 && one_at_a_time_) {
    for (std::size_t i = 0; i < connections.size(); ++i) hand_off(key, connections.subspan(i, 1));
    return;
  }
  Value message = cluster::cluster_message("newconn");
  message["key"] = key;
  const std::int64_t seq = owner_.next_seq();
  message["seq"] = seq;
  HandOff& hand_off = hand_offs_.emplace_back(HandOff{seq, key, {}});
  std::vector<int> fds;
  for (const Offer& offer : connections) {
    hand_off.connections.push_back(offer.connection);
    fds.push_back(offer.fd);
  }
  // Once it has the descriptor, the worker answers by itself; if it ends, the listeners know.
  const auto delivered = [weak = weak_from_this(), this, seq](ipc::Channel::Delivery delivery) {
    const auto self = weak.lock();
    if (!self || delivery != ipc::Channel::Delivery::Refused) return;
    one_at_a_time_ = true;
    answered(seq, 0);
  };
  Value wrapped = ipc::wrap_descriptors(fds.size(), std::move(message));
  auto sent =
      channel_ ? channel_->send_descriptors(wrapped, std::move(fds), delivered, ipc::Lane::Control)
               : Result<bool>(make_error(Errc::ChannelClosed, "hand-off"));
  if (sent) return;
  // Not now: the listeners are in the middle of handing off.
  loop_.post([weak = weak_from_this(), this, seq] {
    if (const auto self = weak.lock()) answered(seq, 0);
  });
}

// A hand-off for a port that nobody has is refused as soon as the worker's loop turns, and needs no
// help from it. It comes with a socket, which the worker closes: other kinds would harm Node's.
void ForkedWorker::probe() {
  const auto is_probe = [](const HandOff& hand_off) { return hand_off.key == kProbe; };
  if (std::any_of(hand_offs_.begin(), hand_offs_.end(), is_probe)) return;  // it answers that one
  OwnFd ends[2];
  if (sys::socketpair(AF_UNIX, SOCK_STREAM, true, ends) == -1) return;
  const Offer offer{0, ends[0].get()};
  hand_off(kProbe, {&offer, 1});
}

void ForkedWorker::answered(std::int64_t seq, std::size_t accepted) {
  const auto found = std::find_if(hand_offs_.begin(), hand_offs_.end(),
                                  [seq](const HandOff& h) { return h.seq == seq; });
  if (found == hand_offs_.end()) return;
  const HandOff done = std::move(*found);
  hand_offs_.erase(found);
  if (accepted > 0) one_at_a_time_ = false;
  if (done.key == kProbe) {
    owner_.listeners().turns(id_);
    if (settling_ > 0) settle_on();
  } else {
    owner_.listeners().answer(id_, done.key, done.connections,
                              std::min(accepted, done.connections.size()));
  }
  settled();
}

// A Node worker that is told to disconnect resets connections that it was just handed, or accepted,
// and has not read from: it first has to answer the former, and to read from the latter.
void ForkedWorker::settle() {
  settling_ = kTurnsToSettle;
  settle_earliest_ = std::chrono::steady_clock::now() + kSettleMin;
  after(kSettleMin, [this] {
    probe();
    after(kSettleMax - kSettleMin, [this] {
      settling_ = 0;
      settled();
    });
  });
}

void ForkedWorker::after(std::chrono::milliseconds time, std::function<void()> task) {
  settle_timer_.expires_after(time);
  settle_timer_.async_wait(
      [weak = weak_from_this(), this, task = std::move(task)](boost::system::error_code error) {
        const auto self = weak.lock();
        if (self && !error && !is_dead()) task();
      });
}

// Its loop turned.
void ForkedWorker::settle_on() {
  if (std::chrono::steady_clock::now() < settle_earliest_) return;
  --settling_;
  if (owner_.listeners().any_waiting(id_)) settling_ = kTurnsToSettle;
  if (settling_ > 0) probe();
}

// Perhaps: who waited for that looks again.
void ForkedWorker::settled() {
  if (end_) end_->look();
  send_disconnect_if_quiet();
}

void ForkedWorker::send_disconnect_if_quiet() {
  if (!disconnect_pending_ || settling_ > 0 || !hand_offs_.empty()) return;
  disconnect_pending_ = false;
  if (ends_by_signal()) {
    kill_group(SIGTERM);
    return;
  }
  settle_timer_.cancel();
  send_disconnect();
}

void ForkedWorker::send_disconnect() {
  if (std::exchange(told_to_disconnect_, true)) return;
  sender_->catch_up();
  Value message = cluster::cluster_message("disconnect");
  if (channel_ && channel_->peer_is_cohort() && owner_.goes_on()) message["takesBack"] = true;
  send_cluster(std::move(message));
  if (channel_) channel_->hurry();
}

// The end of the service.

void ForkedWorker::end(const EndingRules& rules) {
  if (end_ || is_dead()) return;
  const auto self = shared_from_this();
  end_ = std::make_unique<WorkerEnd>(
      loop_, rules,
      WorkerEnd::Hands{.facts = [this, signal = rules.stop_signal] { return ending_facts(signal); },
                       .act = [this](EndingAct act) { carry_out(act); }});
  handle(WorkerEvent::DisconnectAsked);
  if (end_) end_->look();
}

EndingFacts ForkedWorker::ending_facts(int stop_signal) {
  using Channel = EndingFacts::Channel;
  using Handler = EndingFacts::Handler;
  EndingFacts facts;
  facts.serves = serves_ || !lent_.empty() || !listening_.empty();
  facts.channel = !speaks_ ? Channel::None : connected() ? Channel::Open : Channel::Closed;
  facts.settled = settling_ == 0 && hand_offs_.empty();
  end_signal_ = stop_signal;
  if (node_.there) {
    const auto handles = [this](int number) { return node_.signals.contains(number); };
    end_signal_ = signal_for(stop_signal, handles);
    facts.handler = handles(end_signal_) ? Handler::Yes : Handler::No;
    facts.drains = true;
    facts.requests = node_.requests;
    facts.connections = facts.channel == Channel::Closed
                            ? process::look_at(pid_, listening_).connections
                            : node_.connections;
    facts.minds_disconnect = node_.minds_disconnect;
  } else if (channel_ && channel_->peer_is_cohort()) {
    facts.handler = Handler::No;  // it ends by its channel, and then heeds the signal
  } else {
    const std::vector<Address>& listening = listening_.empty() ? lent_ : listening_;
    const process::ProcView view = process::look_at(pid_, listening);
    end_signal_ = signal_for(stop_signal, [&](int number) { return view.handles(number); });
    facts.connections = view.connections;
    if (view.handled_signals && !view.handles(end_signal_)) facts.handler = Handler::No;
    // Node and its like handle both natively, whatever the program does.
    else if (view.handled_signals && facts.channel == Channel::None)
      facts.handler = Handler::Yes;
  }
  return facts;
}

void ForkedWorker::carry_out(EndingAct act) {
  switch (act) {
    case EndingAct::Drain: {
      Value message = cluster::cluster_message("drain");
      message["quiet"] = kQuietMs;
      message["goodbye"] = !node_.signals.contains(end_signal_);
      send_cluster(std::move(message));
      break;
    }
    case EndingAct::Disconnect:
      send_disconnect();
      break;
    case EndingAct::Signal:
      // A program that serves through us may need its helpers to finish; a wrapper serves nothing.
      if (serves_ || !listening_.empty())
        kill(end_signal_);
      else
        kill_group(end_signal_);
      break;
  }
}

// Life.

void ForkedWorker::handle(WorkerEvent event) {
  const WorkerStep next = step(state_, event);
  state_ = next.next;
  carry_out(next.actions);
}

void ForkedWorker::carry_out(std::uint16_t actions) {
  const auto self = shared_from_this();
  if (actions & kReportError) report(*error_);
  if (actions & kKill) kill(SIGKILL);
  if (actions & kMarkOnPurpose) on_purpose_ = true;
  if (actions & kReleasePorts) {
    owner_.listeners().retire(id_, !owner_.keeps_ports());
    owner_.worker_closed(*this);
    owner_.worker_ends(*this);
  }
  if (actions & kLosePorts) {
    owner_.listeners().lose(id_);
    owner_.worker_closed(*this);
  }
  if (actions & kAnswerExiting) {
    Value answer = cluster::cluster_message();
    answer["ack"] = exiting_seq_;
    send_cluster(std::move(answer));
    if (channel_) channel_->hurry();  // it waits for this, not for what it never reads
  }
  if (actions & kSendDisconnect) {
    disconnect_pending_ = !end_;
    kill(SIGCONT);  // one that somebody has stopped would not hear of it
    if (serves_ && speaks_ && channel_ && !channel_->peer_is_cohort()) settle();
    send_disconnect_if_quiet();
  }
  if (actions & kLeaveWorkers) owner_.worker_left(*this);
  if (actions & kEmitOnline) {
    events.online.emit(loop_);
    owner_.worker_online(*this);
  }
  if (actions & kEmitListening) {
    events.listening.emit(loop_, address_);
    owner_.worker_listening(*this, address_);
  }
  if (actions & kCloseChannel) {
    sender_->close();
    if (channel_) channel_->peer_ended();
  }
  if (actions & kEmitDisconnect) {
    sender_->close();
    events.drain.abort(loop_);
    events.disconnect.emit(loop_);
    owner_.worker_disconnected(*this);
  }
  if (actions & kEmitExit) {
    events.exit.emit(loop_, exit_);
    owner_.worker_exited(*this, exit_);
  }
}

std::string ForkedWorker::describe() const {
  return "worker " + std::to_string(id_) + " (pid " + std::to_string(pid_) + ")";
}

void ForkedWorker::report(const Error& reported) {
  if (!events.error.has_listener())
    say(loop_, {"worker_error", reported.message(), {{"worker", std::int64_t{id_}}}});
  events.error.emit(loop_, reported);
}

}  // namespace cohort::cluster
