#include "cluster/forked_worker.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <tuple>
#include <utility>

#include "base/notices.h"
#include "base/sys.h"
#include "cluster/private_socket.h"
#include "process/proc_view.h"

namespace cohort::cluster {
namespace {

// Whether a worker without a channel still serves somebody is looked at so often, and for a
// twentieth of the time at most.
constexpr std::chrono::milliseconds kIdleLook{500};
constexpr int kIdleLookShare = 20;
// One that was started with its listening descriptors, and says nothing, is taken for ready.
constexpr std::chrono::seconds kSilentUntilReady{1};

}  // namespace

ForkedWorker::ForkedWorker(const Loop& loop, std::shared_ptr<ipc::Calls> calls,
                           ForkedWorkerOwner& owner, int id, Seat seat)
    : WorkerImpl{loop, std::move(calls), static_cast<ipc::PeerUser&>(*this),
                 ipc::Peer::Early::GoesToNobody, id},
      owner_{owner},
      id_{id},
      seat_{seat},
      hand_offs_{loop,
                 *peer_,
                 {.next_seq = [this] { return owner_.next_seq(); },
                  .answered =
                      [this](const std::string& key, auto connections, std::size_t accepted) {
                        owner_.listeners().answer(id_, key, connections, accepted);
                        look_whether_settled();
                      },
                  .turned =
                      [this] {
                        owner_.listeners().turns(id_);
                        settling_.turned();
                        look_whether_settled();
                      }}},
      settling_{loop,
                {.probe = [this] { probe(); },
                 .any_waiting = [this] { return owner_.listeners().any_waiting(id_); },
                 .late = [this] { look_whether_settled(); }}},
      timer_{loop.executor()},
      end_{loop,
           {.facts = [this](int stop_signal) { return ending_facts(stop_signal); },
            .act = [this](EndingAct act, int signal) { carry_out(act, signal); }}} {}

void ForkedWorker::open_channel(OwnFd channel, const SpawnOptions& options) {
  peer_->open(std::move(channel), options.serialization.value_or(Serialization::Json),
              process::channel_limits(options));
  peer_->set_ref(false);  // the process keeps the loop running
  peer_->start();
}

void ForkedWorker::started(process::Child child, process::ChildLaunch launch,
                           const SpawnOptions& options, std::vector<Address> lent) {
  open_streams(launch);
  if (launch.channel) open_channel(std::move(launch.channel), options);
  process_ = std::make_unique<process::RunningChild>(
      loop_, std::move(child), launch, options, process::ChildWatch::Ends::WithItsGroup, streams_,
      process::RunningChild::User{
          .exited = [this](const Exit& exit) { process_ended(exit); },
          .has_to_end = [this](ExitCause cause) { std::ignore = process_->end(cause); }});
  serving_.lent = std::move(lent);
  if (!serving_.lent.empty()) after(kSilentUntilReady, [this] { listens_by_itself(); });
}

// What nobody listens for is read and dropped.
void ForkedWorker::open_streams(process::ChildLaunch& launch) {
  streams_.open(std::move(launch.streams), [] {});
  const auto pass_on = [](StdioStream* stream, Event<std::string_view>& event) {
    if (stream != nullptr) stream->on_data([&event](std::string_view bytes) { event.emit(bytes); });
  };
  pass_on(streams_.at(STDOUT_FILENO), events.stdout_data);
  pass_on(streams_.at(STDERR_FILENO), events.stderr_data);
}

void ForkedWorker::failed_to_start(const Error& error) {
  if (is_dead()) return;
  const auto self = shared_from_this();
  handle(WorkerEvent::SpawnFailed, error);
  end_events();
  owner_.worker_failed_to_start(*this, error);
}

void ForkedWorker::listens_by_itself() {
  if (!ends_by_signal() || state_ != WorkerState::Spawned) return;
  handle(WorkerEvent::SaidOnline);
  for (const Address& address : serving_.lent)
    if (state_ == WorkerState::Online || state_ == WorkerState::Listening)
      handle(WorkerEvent::SaidListening, address);
}

bool ForkedWorker::speaks() const { return peer_->has_spoken() && !gave_up_channel_; }

Result<void> ForkedWorker::ping(std::function<void()> turned) {
  if (!speaks() || !peer_->connected()) {
    if (hand_offs_.await_sign(std::move(turned))) return {};
    return make_error(Errc::ChannelClosed, describe(),
                      "it does not speak the channel, and has not sent WATCHDOG=1");
  }
  if (!hand_offs_.ping(std::move(turned))) return errno_error("ask " + describe());
  return {};
}

Result<OwnFd> ForkedWorker::open_connection() {
  if (is_dead()) return make_error(Errc::ChannelClosed, describe(), "it has exited");
  std::vector<Address> addresses = serving_.addresses();
  std::erase_if(addresses, [this](const Address& each) { return is_private(each, pid()); });
  return owner_.listeners().connect(*this, addresses);
}

void ForkedWorker::abandon() {
  end_events();
  timer_.cancel();
  settling_.stop();
  end_.stop();
  peer_->abandon();
  state_ = WorkerState::Dead;
  hand_offs_.forget();
  streams_.each([](StdioStream& stream) { stream.abandon(); });
  if (process_) process_->abandon();
}

WorkerStatus ForkedWorker::status() const {
  using State = WorkerStatus::State;
  constexpr State kStates[kWorkerStates] = {State::Spawned,     State::Online, State::Listening,
                                            State::Ending,      State::Ending, State::Disconnected,
                                            State::Disconnected};
  return {
      .id = id_,
      .pid = pid(),
      .slot = seat_.slot,
      .generation = seat_.generation,
      .state = kStates[static_cast<int>(state_)],
      .leader = is_leader(),
      .age = std::chrono::duration_cast<std::chrono::milliseconds>(
          std::chrono::steady_clock::now() - since_),
      .addresses = serving_.addresses(),
      .load = loads_.sum(),
      .requests = loads_.requests(),
      .handled_signals = end_.report().there ? std::optional{end_.report().signals} : std::nullopt};
}

// What arrives.

void ForkedWorker::user_message(const Value& message, Handle& handle) {
  owner_.worker_message(*this, message, handle);
}

void ForkedWorker::cluster_message(ipc::Incoming& incoming) {
  const auto self = shared_from_this();
  const Value& message = std::as_const(incoming.value);
  const Value& act = message["act"];
  const auto key = [&message] { return std::string(message["key"].string_or("")); };
  if (act.is_undefined()) {
    const Value& accepted = message["accepted"];
    if (accepted.is_bool() || accepted.is_number())
      hand_offs_.answer(message["ack"].int64_or(-1),
                        static_cast<std::size_t>(std::max<std::int64_t>(
                            accepted.int64_or(accepted.bool_or(false) ? 1 : 0), 0)));
  } else if (act == "online") {
    if (peer_->is_cohort()) owner_.worker_greets(*this);
    handle(WorkerEvent::SaidOnline);
  } else if (act == "listening") {
    serving_.listening.push_back(parse_listening(message));
    handle(WorkerEvent::SaidListening, serving_.listening.back());
  } else if (act == "queryServer") {
    asks(message);
  } else if (act == "close") {
    port_closed(key());
  } else if (act == "room") {
    owner_.listeners().has_room(id_, key());
  } else if (act == "giveBack") {
    if (incoming.fd) owner_.listeners().take_back(key(), std::move(incoming.fd));
  } else if (act == "load") {
    publishes(key(), std::move(incoming.fd));
  } else if (act == "requests") {
    if (const std::int64_t count = message["count"].int64_or(-1); count >= 0)
      loads_.said_requests(static_cast<std::uint64_t>(count));
  } else if (act == "leaving") {
    owner_.worker_ends(*this);
  } else if (act == "follows") {
    owner_.worker_follows(*this);
  } else if (act == "exitedAfterDisconnect") {
    handle(WorkerEvent::SaidExiting, message["seq"].int64_or(-1));
  } else if (end_.report().take(message)) {
    owner_.worker_greets(*this);
    end_.look();
  }
}

void ForkedWorker::asks(const Value& message) {
  // One that ends gets no answer, as in Node.
  if (on_purpose_ || state_ == WorkerState::Disconnected) return;
  const auto query = parse_query_server(message);
  if (query) return owner_.worker_asks(*this, *query);
  Value failed = cluster::cluster_message();
  failed["errno"] = -EINVAL;
  failed["ack"] = message["seq"];
  send_cluster(std::move(failed));
}

// No descriptor or no memory for it, or it closed the port already: nothing depends on it.
void ForkedWorker::publishes(const std::string& key, OwnFd shared) {
  const auto load = net::map_load(std::move(shared));
  if (load && owner_.listeners().publishes(id_, key, *load)) loads_.publish(key, *load);
}

void ForkedWorker::port_closed(const std::string& key) {
  owner_.listeners().close(id_, key, !owner_.keeps_ports());
  owner_.worker_closed(*this);
  loads_.close(key);
}

void ForkedWorker::channel_closed(std::optional<Error> why) {
  const auto self = shared_from_this();
  // Nobody answers any more.
  settling_.stop();
  hand_offs_.forget();
  // It serves on without: it does not know what that is, or needs it no more.
  const bool serves = state_ == WorkerState::Spawned || state_ == WorkerState::Online ||
                      state_ == WorkerState::Listening;
  if (!serving_.lent.empty() && serves && !why) {
    gave_up_channel_ = true;
  } else if (why) {
    handle(WorkerEvent::ProtocolViolated,
           Error{why->code, describe(),
                 "it was killed; " +
                     (why->detail.empty() ? "nothing else is affected" : why->detail)});
  } else {
    handle(WorkerEvent::ChannelClosed);
    if (!is_dead() && !serving_.listening.empty()) watch_until_idle(kEndsByItself);
  }
}

// Node closes the channel of a worker that ends when its servers are closed, but for those that the
// program has closed itself: their clients may be there for long.
void ForkedWorker::watch_until_idle(std::chrono::milliseconds pause) {
  after(pause, [this] {
    using Clock = std::chrono::steady_clock;
    const auto before = Clock::now();
    const std::optional<std::size_t> clients =
        process::look_at(pid(), serving_.listening).connections;
    if (!clients) return;  // not to be seen
    if (clients == 0) return owner_.worker_idle(*this);
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - before);
    watch_until_idle(std::max(kIdleLook, kIdleLookShare * took));
  });
}

void ForkedWorker::process_ended(const Exit& exit) {
  const auto self = shared_from_this();
  // Everything that it sent is in the channel by now. Not up to the end: a grandchild may hold it.
  peer_->read_available();
  const Exit settled = process_->settle(exit);
  for (const int output : {STDOUT_FILENO, STDERR_FILENO})
    if (StdioStream* const stream = streams_.at(static_cast<std::size_t>(output))) {
      stream->deliver_waiting();
      stream->destroy();
    }
  hand_offs_.forget();
  timer_.cancel();
  settling_.stop();
  end_.stop();
  handle(WorkerEvent::Exited, settled);
  process_->close();
  end_events();
}

void ForkedWorker::after(std::chrono::milliseconds time, std::function<void()> task) {
  timer_.expires_after(time);
  timer_.async_wait(
      [weak = weak_from_this(), this, task = std::move(task)](boost::system::error_code error) {
        const auto self = weak.lock();
        if (self && !error && !is_dead()) task();
      });
}

// What is said to it.

// In its place among the user's messages. An error means that the channel is closed, or about to
// be: then nobody waits for this.
void ForkedWorker::send_cluster(Value message) {
  message["seq"] = owner_.next_seq();
  std::ignore = peer_->send_own(message);
}

void ForkedWorker::reply(const QueryServer& query, Value reply, int fd) {
  reply["ack"] = query.seq;
  reply["seq"] = owner_.next_seq();
  const bool datagram = query.is_datagram();
  serving_.any = serving_.any || (!datagram && reply["errno"].int64_or(0) == 0);
  if (fd < 0) {
    std::ignore = peer_->send_own(reply, ipc::Lane::Control);
    return;
  }
  std::ignore = peer_->send_descriptors(
      ipc::wrap_handle(datagram ? "dgram.Native" : "net.Native", std::move(reply)), {fd}, {},
      ipc::Lane::Control);
}

void ForkedWorker::lead(bool on) {
  Value message = cluster::cluster_message("lead");
  message["on"] = on;
  send_cluster(std::move(message));
  events.leader.emit(on);
}

// Life.

void ForkedWorker::handle(WorkerEvent event, const Details& details) {
  const WorkerStep next = step(state_, event);
  state_ = next.next;
  carry_out(next.actions, details);
}

void ForkedWorker::carry_out(std::uint16_t actions, const Details& details) {
  const auto self = shared_from_this();
  if (actions & kReportError) report(std::get<Error>(details));
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
    answer["ack"] = std::get<std::int64_t>(details);
    send_cluster(std::move(answer));
    peer_->hurry();  // it waits for this, not for what it never reads
  }
  if (actions & kLeaveWorkers) owner_.worker_left(*this);
  if (actions & kSettle) {
    give_up_start();
    kill(SIGCONT);  // one that somebody has stopped would not hear of it
    if (serving_.any && speaks() && !peer_->is_cohort()) settling_.start();
    if (!end_.has_begun()) look_whether_settled();
  }
  if (actions & kEmitOnline) {
    events.online.emit();
    owner_.worker_online(*this);
  }
  if (actions & kEmitListening) {
    const auto& address = std::get<Address>(details);
    events.listening.emit(address);
    owner_.worker_listening(*this, address);
  }
  if (actions & kCloseChannel) peer_->has_ended();
  if (actions & kEmitDisconnect) {
    events.disconnect.emit();
    owner_.worker_disconnected(*this);
  }
  if (actions & kEmitExit) {
    const auto& exit = std::get<Exit>(details);
    exit_ = exit;
    events.exit.emit(exit);
    owner_.worker_exited(*this, exit);
  }
  if (actions & kSendDisconnect) send_disconnect();
}

std::string ForkedWorker::describe_peer() const {
  return "worker " + std::to_string(id_) + " (pid " + std::to_string(pid()) + ")";
}

void ForkedWorker::report(const Error& reported) {
  const bool was_cancelled = reported.code.value() == ECANCELED && !process_;
  if (!events.error.has_listener() && !was_cancelled)
    say(loop_, {"worker_error", reported.message(), {{"worker", std::int64_t{id_}}}});
  events.error.emit(reported);
}

}  // namespace cohort::cluster
