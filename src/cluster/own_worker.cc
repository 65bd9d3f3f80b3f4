#include "cluster/own_worker.h"

#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "base/notices.h"

namespace cohort::cluster {
namespace {

constexpr std::chrono::seconds kFlushTimeout{5};
constexpr std::chrono::seconds kHelloTimeout{5};

}  // namespace

OwnWorker::OwnWorker(const Loop& loop, std::shared_ptr<ipc::Calls> calls, ParentChannel parent,
                     std::function<void(int)> leave)
    : WorkerImpl{loop, std::move(calls), static_cast<ipc::PeerUser&>(*this),
                 ipc::Peer::Early::Waits, 0},
      id_{parent.socket ? parent.worker_id.value_or(0) : 0},
      slot_{parent.slot},
      leave_{std::move(leave)},
      primary_{*peer_, id_ != 0, parent.of_cohort},
      host_{std::make_shared<WorkerHost>(loop, primary_, [this] { waits_changed(); })},
      ending_{id_ != 0},
      deadline_{loop.context()} {
  // In a turn: by then the user has had the time to listen for it.
  if (!parent.problem.empty())
    loop_.post([loop, problem = parent.problem] { say(loop, {"not_a_channel", problem}); });
  if (parent.socket) peer_->open(std::move(parent.socket), parent.serialization, {});
}

void OwnWorker::abandon() {
  end_events();
  leave_ = [](int) {};
  when_disconnected_ = nullptr;
  also_waits_ = nullptr;
  deadline_.cancel();
  host_->abandon();
  peer_->abandon();
}

void OwnWorker::start() {
  if (!peer_->has_channel()) return;
  if (primary_.of_cohort()) peer_->announce();
  if (primary_.is_there()) primary_.send(cluster::cluster_message("online"));
  // Its answer says that whatever the primary did in the turn of the fork has happened.
  if (primary_.is_there() && primary_.of_cohort())
    peer_->receive_until(
        [](const ipc::Incoming& incoming) { return incoming.kind == ipc::MessageKind::Cohort; },
        ipc::Peer::Clock::now() + kHelloTimeout);
  waits_changed();
  peer_->start();
}

pid_t OwnWorker::pid() const { return ::getpid(); }

const ChildStream& OwnWorker::stdio(std::size_t) const {
  static const ChildStream none;
  return none;
}

// The channel keeps the loop running while it brings something that is waited for.
void OwnWorker::waits_changed() {
  peer_->set_ref(peer_->wants_messages() || events.disconnect.has_listener() ||
                 calls_->has_methods() || calls_->waits() || (also_waits_ && also_waits_()) ||
                 host_->waits() || ending_.phase() != OwnPhase::Serving);
}

// What arrives.

void OwnWorker::cluster_message(ipc::Incoming& incoming) {
  const Value& message = std::as_const(incoming.value);
  const Value& act = message["act"];
  if (act == "newconn") return host_->new_connections(incoming);
  if (act == "rest") return host_->rest(message["on"].bool_or(false));
  if (act == "lead") {
    lead(message["on"].bool_or(false));
    if (!leads_) primary_.send(cluster::cluster_message("follows"));
    return;
  }
  if (act == "disconnect") {
    if (message["takesBack"].bool_or(false)) host_->give_back_idle();
    return step(OwnEvent::AskedByPrimary);
  }
  if (!act.is_undefined()) return;
  const std::int64_t ack = message["ack"].int64_or(-1);
  if (exiting_seq_ && ack == *exiting_seq_) return step(OwnEvent::Answered);
  if (host_->take_answer(ack, message, std::move(incoming.fd))) step(OwnEvent::Replied);
}

void OwnWorker::channel_closed(std::optional<Error> why) {
  const auto self = shared_from_this();
  if (why) say(loop_, {"channel_failed", "the primary's channel: " + why->message()});
  if (leads_) lead(false);
  events.disconnect.emit();
  end_events();
  if (when_disconnected_) when_disconnected_();
  step(OwnEvent::ChannelClosed);
}

void OwnWorker::lead(bool on) {
  leads_ = on;
  events.leader.emit(on);
}

// Ending.

void OwnWorker::step(OwnEvent event, int exit_code) {
  const std::uint8_t actions = ending_.step(event, {.in_cluster = primary_.is_there(),
                                                    .has_channel = peer_->has_channel(),
                                                    .of_cohort = primary_.of_cohort(),
                                                    .awaits_replies = host_->awaits_replies()});
  if (ending_.phase() != OwnPhase::Serving) host_->refuse_new();
  if (actions & kSayLeaving) primary_.send(cluster::cluster_message("leaving"));
  if (actions & kCloseServers) {
    waits_changed();
    host_->drain([weak = weak_from_this(), this] {
      if (const auto self = weak.lock()) step(OwnEvent::ServersClosed);
    });
  }
  if (actions & kSayExiting)
    exiting_seq_ = primary_.send(cluster::cluster_message("exitedAfterDisconnect"));
  if (actions & kEndChannel) {
    deadline_.cancel();  // in a primary, the workers' own one goes on
    exiting_seq_.reset();
    peer_->close();
  }
  if (actions & kLeave) leave_(exit_code);
}

bool OwnWorker::kill(int) {
  step(OwnEvent::Killed);
  return true;
}

void OwnWorker::terminate(int signal_number, std::chrono::milliseconds timeout) {
  const int code = 128 + signal_number;
  const bool again = ending_.leaves();
  if (!again) {
    deadline_.expires_after(timeout);
    deadline_.async_wait([this, code](boost::system::error_code error) {
      if (!error) leave_(code);
    });
  }
  step(OwnEvent::Terminated, again ? code : 0);
}

void OwnWorker::flush() { peer_->flush(ipc::Peer::Clock::now() + kFlushTimeout); }

void OwnWorker::exit_process(int code) {
  flush();
  std::exit(code);
}

}  // namespace cohort::cluster
