#include "sim/virtual_process.h"

#include <utility>

namespace cohort::cluster::sim {

VirtualProcess::VirtualProcess(Random& random, const Climate& climate,
                               std::function<void(ConnectionId)> touch)
    : random_{random},
      climate_{climate},
      touch_{std::move(touch)},
      exits_at_once_{random.chance(climate.exits_at_once)},
      never_listens_{random.chance(climate.never_listens)},
      slow_{random.chance(climate.is_slow)},
      silent_{random.chance(climate.is_silent)},
      lingers_{random.chance(climate.lingers)},
      warns_{random.chance(500)} {}

void VirtualProcess::die() {
  alive_ = false;
  inbox_.clear();
  serving_.clear();
}

void VirtualProcess::receive(const ToWorker& message) {
  if (channel_open()) inbox_.push_back(message);
}

bool VirtualProcess::act() {
  if (!alive_ || hung_) return false;
  if (exits_at_once_) {
    die();
    return true;
  }
  if (!channel_open_) {
    if (!finish_connection()) die();
    return true;
  }
  if (misbehave()) return true;
  if (!online_) return boot();
  switch (random_.below(4)) {
    case 0:
      return take_message() || proceed_to_end() || finish_connection() || open_server();
    case 1:
      return finish_connection() || take_message() || open_server() || proceed_to_end();
    case 2:
      return open_server() || take_message() || proceed_to_end() || finish_connection();
    default:
      return proceed_to_end() || take_message() || finish_connection() || open_server();
  }
}

bool VirtualProcess::misbehave() {
  if (lingers_ && end_ != End::None) return false;  // for long
  if (random_.chance(climate_.crash)) {
    die();
  } else if (random_.chance(climate_.garbage)) {
    send({FromWorker::Kind::Garbage});
  } else if (random_.chance(climate_.drop_channel)) {
    channel_open_ = false;
    inbox_.clear();
  } else if (random_.chance(climate_.hang)) {
    hung_ = true;
  } else if (online_ && end_ == End::None && random_.chance(climate_.leave)) {
    end_ = lingers_ || random_.chance(500) ? End::OwnWill : End::Abrupt;
  } else if (!servers_.empty() && random_.chance(climate_.close_server)) {
    if (random_.chance(600)) {
      close_servers();
      rests_ = random_.below(1000);
    } else {
      const int listener = *servers_.begin();
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

bool VirtualProcess::boot() {
  if (slow_ && !random_.chance(20)) return true;
  online_ = true;
  if (!silent_) send({FromWorker::Kind::Online});
  return true;
}

bool VirtualProcess::open_server() {
  if (never_listens_ || end_ != End::None) return false;
  if (rests_ > 0) {
    --rests_;
    return true;
  }
  if (!asked_.empty()) {
    const int listener = *asked_.begin();
    asked_.erase(listener);
    servers_.insert(listener);
    send({FromWorker::Kind::Listening, listener});
    return true;
  }
  const int listener = static_cast<int>(random_.below(kListeners));
  if (servers_.contains(listener)) return false;
  asked_.insert(listener);
  send({FromWorker::Kind::Query, listener});
  return true;
}

bool VirtualProcess::take_message() {
  if (inbox_.empty()) return false;
  const ToWorker message = inbox_.front();
  inbox_.pop_front();
  switch (message.kind) {
    case ToWorker::Kind::NewConnection:
      take_connection(message);
      break;
    case ToWorker::Kind::Disconnect:
      if (end_ == End::None) end_ = End::Asked;
      break;
    case ToWorker::Kind::ExitingAnswer:
      exiting_answered_ = true;
      break;
  }
  return true;
}

void VirtualProcess::take_connection(const ToWorker& message) {
  const bool listens = servers_.contains(message.listener) || asked_.contains(message.listener);
  const bool accepted = listens && serving_.size() < climate_.limit;
  if (accepted) {
    serving_.insert(message.connection);
    touch_(message.connection);
    if (random_.chance(climate_.crash)) return die();  // of this very connection
  }
  send({FromWorker::Kind::Answer, message.listener, message.connection, accepted});
}

bool VirtualProcess::finish_connection() {
  if (serving_.empty()) return false;
  serving_.erase(serving_.begin());
  return true;
}

void VirtualProcess::close_servers() {
  for (const int listener : std::exchange(servers_, {}))
    send({FromWorker::Kind::CloseServer, listener});
  for (const int listener : std::exchange(asked_, {}))
    send({FromWorker::Kind::CloseServer, listener});
}

bool VirtualProcess::proceed_to_end() {
  switch (end_) {
    case End::None:
      return false;
    case End::Asked:
      close_servers();
      if (!serving_.empty()) return finish_connection();
      channel_open_ = false;
      return true;
    case End::OwnWill:
      if (warns_ && !std::exchange(said_leaving_, true)) {
        send({FromWorker::Kind::Leaving});
        return true;
      }
      close_servers();
      if (lingers_ && climate_.lingers > 0) return false;
      if (!serving_.empty()) return finish_connection();
      [[fallthrough]];
    case End::Abrupt:
      if (!std::exchange(said_exiting_, true)) {
        send({FromWorker::Kind::Exiting});
        return true;
      }
      if (!exiting_answered_) return false;
      channel_open_ = false;
      return true;
  }
  return false;
}

}  // namespace cohort::cluster::sim
