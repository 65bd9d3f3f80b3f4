// How a worker is told to end, and what is known of it then.
#include <csignal>
#include <tuple>
#include <utility>

#include "cluster/forked_worker.h"
#include "process/proc_view.h"

namespace cohort::cluster {
namespace {

// So long a connection without a request stays open at the end, for one that is on its way.
constexpr std::int64_t kQuietMs = 500;

}  // namespace

// False: it has been started, or has failed to.
bool ForkedWorker::give_up_start() {
  if (process_ || is_dead() || !owner_.forget_start(*this)) return false;
  loop_.post([weak = weak_from_this()] {
    const auto self = std::static_pointer_cast<ForkedWorker>(weak.lock());
    if (self) self->failed_to_start(system_error(ECANCELED, "start " + self->describe()));
  });
  return true;
}

bool ForkedWorker::kill(int signal_number) {
  if (signal_number == SIGKILL || signal_number == SIGTERM || signal_number == SIGINT)
    if (give_up_start()) return true;
  return process_ && process_->alive() && process_->signal(signal_number).has_value();
}

bool ForkedWorker::kill_group(int signal_number) {
  if (give_up_start()) return true;
  return process_ && process_->signal_group(signal_number);
}

// Who is told by the end of the service is told when that has come so far.
void ForkedWorker::look_whether_settled() {
  if (end_.has_begun())
    end_.look();
  else if (state_ == WorkerState::Settling && is_settled())
    handle(WorkerEvent::Settled);
}

void ForkedWorker::send_disconnect() {
  settling_.stop();
  if (ends_by_signal()) {
    kill_group(SIGTERM);
    return;
  }
  Value message = cluster::cluster_message("disconnect");
  if (peer_->is_cohort() && owner_.goes_on()) message["takesBack"] = true;
  send_cluster(std::move(message));
  peer_->hurry();
}

void ForkedWorker::rest(bool on) {
  if (!speaks()) return;
  Value message = cluster::cluster_message("rest");
  message["on"] = on;
  message["quiet"] = kQuietMs;
  send_cluster(std::move(message));
}

// The end of the service.

void ForkedWorker::end(const EndingRules& rules) {
  if (end_.has_begun() || is_dead()) return;
  const auto self = shared_from_this();
  end_.begin(rules);
  handle(WorkerEvent::DisconnectAsked);
  end_.look();
}

EndingFacts ForkedWorker::ending_facts(int stop_signal) const {
  using Channel = EndingFacts::Channel;
  using Handler = EndingFacts::Handler;
  const NodeReport& node = end_.report();
  EndingFacts facts;
  facts.serves = serving_.any || !serving_.addresses().empty();
  facts.channel = !speaks() ? Channel::None : peer_->connected() ? Channel::Open : Channel::Closed;
  facts.settled = is_settled();
  facts.signal = stop_signal;
  if (node.there) {
    const auto handles = [&node](int number) { return node.signals.contains(number); };
    facts.signal = signal_for(stop_signal, handles);
    facts.handler = handles(facts.signal) ? Handler::Yes : Handler::No;
    facts.drains = true;
    facts.requests = node.requests;
    facts.connections = facts.channel == Channel::Closed
                            ? process::look_at(pid(), serving_.listening).connections
                            : node.connections;
    facts.minds_disconnect = node.minds_disconnect;
  } else if (peer_->is_cohort()) {
    facts.handler = Handler::No;  // it ends by its channel, and then heeds the signal
  } else {
    const process::ProcView view = process::look_at(pid(), serving_.addresses());
    facts.signal = signal_for(stop_signal, [&](int number) { return view.handles(number); });
    facts.connections = view.connections;
    if (view.handled_signals && !view.handles(facts.signal)) facts.handler = Handler::No;
    // Node and its like handle both natively, whatever the program does.
    else if (view.handled_signals && facts.channel == Channel::None)
      facts.handler = Handler::Yes;
  }
  return facts;
}

void ForkedWorker::carry_out(EndingAct act, int signal) {
  switch (act) {
    case EndingAct::Drain: {
      Value message = cluster::cluster_message("drain");
      message["quiet"] = kQuietMs;
      message["goodbye"] = !end_.report().signals.contains(signal);
      send_cluster(std::move(message));
      break;
    }
    case EndingAct::Disconnect:
      handle(WorkerEvent::Settled);
      break;
    case EndingAct::Signal:
      // A program that serves through us may need its helpers to finish; a wrapper serves nothing.
      if (serving_.any || !serving_.listening.empty())
        kill(signal);
      else
        kill_group(signal);
      break;
  }
}

}  // namespace cohort::cluster
