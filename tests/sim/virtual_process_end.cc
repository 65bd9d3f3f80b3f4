// How a virtual process ends.
#include <utility>

#include "sim/virtual_process.h"

namespace cohort::cluster::sim {

// Node closes what is idle, and one that has not been read looks like that.
void VirtualProcess::told_to_disconnect() {
  told_ = true;
  if (kind_ == Kind::Cohort) {
    ending_ = true;
    return step(OwnEvent::AskedByPrimary);
  }
  for (auto next = serving_.begin(); next != serving_.end();) {
    const auto [connection, served] = *next;
    if (served.is_read) {
      ++next;
      continue;
    }
    kernel_.unread(connection, id_, served.request_at, is_well() && !ending_);
    next = serving_.erase(next);
  }
  ending_ = true;
  if (wish_ == Wish::None) wish_ = Wish::Asked;
}

void VirtualProcess::signal() {
  if (!alive_) return;
  const bool is_handled = online_ && (kind_ == Kind::Cohort || has_handler_);
  if (is_handled || hung_)
    ++signals_;
  else
    die();
}

void VirtualProcess::take_signal() {
  --signals_;
  ending_ = true;
  if (kind_ == Kind::Cohort) {
    const bool again = ++terminated_ > 1;
    step(OwnEvent::Terminated);
    require(!again || !alive_, "the second TERM ends it at once");
  } else if (has_handler_) {
    wish_ = Wish::Handler;
  } else {
    die();
  }
}

void VirtualProcess::close_servers() {
  for (const auto& [listener, has_socket] : std::exchange(servers_, {}))
    send({FromWorker::Kind::CloseServer, listener});
  for (auto& [listener, closed] : asked_) closed = true;
}

bool VirtualProcess::proceed_to_end() {
  if (kind_ != Kind::Cohort) return proceed_as_node();
  if (!closing_ || !serving_.empty() || closed_told_) return false;
  if (lingers_ && climate_.lingers > 0) return false;
  closed_told_ = true;
  step(OwnEvent::ServersClosed);
  return true;
}

bool VirtualProcess::proceed_as_node() {
  switch (wish_) {
    case Wish::None:
      return false;
    case Wish::Handler:  // closes its servers, and exits
      close_servers();
      if (serving_.empty()) return die(), true;
      return read_request() || finish_connection();
    case Wish::Asked:
      close_servers();
      if (!serving_.empty()) return finish_connection();
      channel_open_ = false;
      return true;
    case Wish::OwnWill:
      if (warns_ && !std::exchange(said_leaving_, true)) {
        send({FromWorker::Kind::Leaving});
        return true;
      }
      close_servers();
      if (lingers_ && climate_.lingers > 0) return false;
      if (!serving_.empty()) return read_request() || finish_connection();
      [[fallthrough]];
    case Wish::Abrupt:
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

void VirtualProcess::step(OwnEvent event) {
  carry_out(own_.step(event, {.in_cluster = channel_open_,
                              .has_channel = channel_open_,
                              .of_cohort = true,
                              .awaits_replies = !asked_.empty()}));
}

void VirtualProcess::carry_out(std::uint8_t actions) {
  if ((actions & kSayLeaving) != 0) {
    require(!std::exchange(said_leaving_, true), "it says once that it leaves");
    send({FromWorker::Kind::Leaving});
  }
  if ((actions & kCloseServers) != 0) {
    require(said_leaving_ || told_ || !channel_open_,
            "who closes its servers has said that it leaves, or was told");
    closing_ = true;
    close_servers();
  }
  if ((actions & kSayExiting) != 0) {
    require(!std::exchange(said_exiting_, true), "it says once that it ends");
    require(asked_.empty(), "who says that it ends has all replies");
    require(killed_ || (closing_ && serving_.empty()), "who says that it ends has served all");
    send({FromWorker::Kind::Exiting});
  }
  if ((actions & kEndChannel) != 0) {
    require(told_ || exiting_answered_ || !channel_open_,
            "the channel is closed when the primary has taken note");
    require(killed_ || serving_.empty(), "the channel is closed when all are served");
    channel_open_ = false;
  }
  if ((actions & kLeave) != 0) die();
}

}  // namespace cohort::cluster::sim
