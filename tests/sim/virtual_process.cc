#include "sim/virtual_process.h"

#include <algorithm>
#include <utility>

namespace cohort::cluster::sim {

using namespace std::chrono_literals;

namespace {

VirtualProcess::Kind a_kind(Random& random) {
  const std::size_t die = random.below(4);
  if (die < 2) return VirtualProcess::Kind::Cohort;
  return die == 2 ? VirtualProcess::Kind::NodeWithPreload : VirtualProcess::Kind::Node;
}

}  // namespace

VirtualProcess::VirtualProcess(Random& random, const Climate& climate, Kernel& kernel, int id)
    : random_{random},
      climate_{climate},
      kernel_{kernel},
      id_{id},
      kind_{a_kind(random)},
      exits_at_once_{random.chance(climate.exits_at_once)},
      never_listens_{random.chance(climate.never_listens)},
      slow_{random.chance(climate.is_slow)},
      silent_{random.chance(climate.is_silent)},
      lingers_{random.chance(climate.lingers)},
      warns_{random.chance(500)},
      only_accepts_{random.chance(climate.only_accepts)},
      kept_alive_{random.chance(climate.kept_alive)},
      has_handler_{kind_ != Kind::Cohort && random.chance(400)},
      minds_disconnect_{kind_ == Kind::NodeWithPreload && random.chance(200)} {}

void VirtualProcess::die() {
  alive_ = false;
  inbox_.clear();
  serving_.clear();
}

void VirtualProcess::exit_by_itself() {
  permanent_ = random_.chance(climate_.permanent);
  die();
}

void VirtualProcess::hang(bool hung) {
  if (hung_ && !hung) blocked_until_ = kernel_.time();
  hung_ = hung;
}

bool VirtualProcess::is_well() const { return !hung_ && blocked_until_ + 2500ms < kernel_.time(); }

void VirtualProcess::receive(const ToWorker& message) {
  if (channel_open()) inbox_.push_back(message);
}

bool VirtualProcess::may_lead() const {
  return alive_ && (leads_ || std::any_of(inbox_.begin(), inbox_.end(), [](const auto& message) {
                      return message.kind == ToWorker::Kind::Lead;
                    }));
}

std::size_t VirtualProcess::unread() const {
  return static_cast<std::size_t>(std::count_if(
      serving_.begin(), serving_.end(), [](const auto& one) { return !one.second.is_read; }));
}

std::optional<TimePoint> VirtualProcess::wakes_at() const {
  if (!alive_ || hung_) return std::nullopt;
  const TimePoint now = kernel_.time();
  if (now < blocked_until_) return blocked_until_;
  std::optional<TimePoint> next;
  for (const auto& [connection, served] : serving_)
    if (!served.is_read && served.request_at > now && (!next || served.request_at < *next))
      next = served.request_at;
  return next;
}

bool VirtualProcess::act() {
  if (!alive_ || is_blocked()) return false;
  if (exits_at_once_) {
    exit_by_itself();
    return true;
  }
  if (signals_ > 0) {
    take_signal();
    return true;
  }
  if (!channel_open_) return live_on();
  if (misbehave()) return true;
  if (!online_) return boot();
  switch (random_.below(4)) {
    case 0:
      return take_message() || accept() || proceed_to_end() || read_request() ||
             finish_connection() || open_server();
    case 1:
      return read_request() || finish_connection() || take_message() || open_server() || accept() ||
             proceed_to_end();
    case 2:
      return open_server() || accept() || take_message() || proceed_to_end() || read_request() ||
             finish_connection();
    default:
      return proceed_to_end() || take_message() || read_request() || accept() ||
             finish_connection() || open_server();
  }
}

// Without a channel.
bool VirtualProcess::live_on() {
  if (kind_ == Kind::Cohort && !std::exchange(channel_end_told_, true)) {
    step(OwnEvent::ChannelClosed);
    return true;
  }
  if (kind_ == Kind::Cohort && proceed_to_end()) return true;
  if (terminated_ > 0 && serving_.empty()) {
    require(kind_ != Kind::Cohort || !closed_told_, "who got TERM leaves with its channel");
    die();
    return true;
  }
  if (read_request() || finish_connection()) return true;
  if (!serving_.empty() || (kept_alive_ && wish_ != Wish::Handler)) return false;
  exit_by_itself();
  return true;
}

bool VirtualProcess::misbehave() {
  if (lingers_ && wish_ != Wish::None) return false;  // for long
  if (random_.chance(climate_.crash)) {
    exit_by_itself();
  } else if (random_.chance(climate_.garbage)) {
    send({FromWorker::Kind::Garbage});
  } else if (random_.chance(climate_.drop_channel)) {
    channel_open_ = false;
    inbox_.clear();
  } else if (random_.chance(climate_.hang)) {
    hung_ = true;
  } else if (random_.chance(climate_.block)) {
    block(kernel_.time() + std::chrono::milliseconds{random_.below(2000)});
  } else if (online_ && !ending_ && random_.chance(climate_.leave)) {
    wants_to_end();
  } else if (!servers_.empty() && !ending_ && random_.chance(climate_.close_server)) {
    if (random_.chance(600)) {
      close_servers();
      rests_ = random_.below(1000);
    } else {
      const int listener = servers_.begin()->first;
      servers_.erase(listener);
      send({FromWorker::Kind::CloseServer, listener});
    }
  } else if (online_ && random_.chance(climate_.garbage)) {
    send({FromWorker::Kind::Online});  // late, or once more: odd, but no violation
  } else {
    return false;
  }
  return true;
}

void VirtualProcess::wants_to_end() {
  ending_ = true;
  const bool abrupt = !lingers_ && random_.chance(500);
  if (kind_ != Kind::Cohort) {
    wish_ = abrupt ? Wish::Abrupt : Wish::OwnWill;
  } else if (abrupt && random_.chance(500)) {
    signal();
  } else {
    killed_ = abrupt;
    step(abrupt ? OwnEvent::Killed : OwnEvent::Asked);
  }
}

bool VirtualProcess::boot() {
  if (slow_ && !random_.chance(20)) return true;
  online_ = true;
  if (!silent_) send({FromWorker::Kind::Online});
  return true;
}

bool VirtualProcess::open_server() {
  if (never_listens_ || ending_) return false;
  if (rests_ > 0) {
    --rests_;
    return true;
  }
  const int listener = static_cast<int>(random_.below(kListeners));
  if (servers_.contains(listener) || asked_.contains(listener)) return false;
  if (only_accepts_ && !climate_.ports[static_cast<std::size_t>(listener)].has_slots) return false;
  asked_.emplace(listener, false);
  send({FromWorker::Kind::Query, listener});
  return true;
}

bool VirtualProcess::take_message() {
  if (inbox_.empty()) return false;
  const ToWorker message = inbox_.front();
  inbox_.pop_front();
  switch (message.kind) {
    case ToWorker::Kind::Reply:
      replied(message);
      break;
    case ToWorker::Kind::HandOff:
      take_hand_off(message);
      break;
    case ToWorker::Kind::Disconnect:
      told_to_disconnect();
      break;
    case ToWorker::Kind::Lead:
      leads_ = true;
      break;
    case ToWorker::Kind::Follow:
      leads_ = false;
      send({FromWorker::Kind::Follows});
      break;
    case ToWorker::Kind::ExitingAnswer:
      exiting_answered_ = true;
      if (kind_ == Kind::Cohort) step(OwnEvent::Answered);
      break;
  }
  return true;
}

void VirtualProcess::replied(const ToWorker& message) {
  const auto asked = asked_.find(message.listener);
  require(asked != asked_.end(), "a query is answered once");
  const bool was_closed = asked->second;
  asked_.erase(asked);
  if (was_closed) {
    send({FromWorker::Kind::CloseServer, message.listener});
  } else {
    servers_.emplace(message.listener, message.accepts);
    send({FromWorker::Kind::Listening, message.listener});
  }
  if (kind_ == Kind::Cohort) step(OwnEvent::Replied);
}

// Connections.

void VirtualProcess::has_one(ConnectionId connection) {
  serving_.emplace(connection, Served{kernel_.request_at(connection)});
  kernel_.touched(connection);
}

void VirtualProcess::take_hand_off(const ToWorker& message) {
  std::size_t accepted = 0;
  if (message.connections.empty()) {  // a turn of its loop: it reads what it had, and accepts one
    while (read_request()) {
    }
    accept();
  }
  if (!message.connections.empty()) require(!only_accepts_, "who only accepts is handed nothing");
  for (const ConnectionId connection : message.connections) {
    if (!servers_.contains(message.listener)) break;
    if (is_full()) {
      refused_.insert(message.listener);
      break;
    }
    has_one(connection);
    ++accepted;
    if (random_.chance(climate_.crash)) return die();  // of this very connection
  }
  send({FromWorker::Kind::Answer, message.listener, message.seq, accepted});
}

bool VirtualProcess::accept() {
  if (is_full()) return false;
  for (const auto& [listener, has_socket] : servers_) {
    if (!has_socket) continue;
    if (const auto connection = kernel_.accept(id_, listener)) {
      has_one(*connection);
      return true;
    }
  }
  return false;
}

bool VirtualProcess::read_request() {
  for (auto& [connection, served] : serving_)
    if (!served.is_read && served.request_at <= kernel_.time()) return served.is_read = true;
  return false;
}

bool VirtualProcess::finish_connection() {
  const auto finished = std::find_if(serving_.begin(), serving_.end(), [](const auto& connection) {
    return connection.second.is_read;
  });
  if (finished == serving_.end()) return false;
  serving_.erase(finished);
  if (kind_ == Kind::Cohort && channel_open_)
    for (const int listener : std::exchange(refused_, {}))
      if (servers_.contains(listener)) send({FromWorker::Kind::Room, listener});
  return true;
}

}  // namespace cohort::cluster::sim
