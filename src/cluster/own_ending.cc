#include "cluster/own_ending.h"

#include <utility>

namespace cohort::cluster {

std::uint8_t OwnEnding::step(OwnEvent event, const OwnFacts& facts) {
  switch (event) {
    case OwnEvent::Asked: {
      if (phase_ != OwnPhase::Serving) return 0;
      on_purpose_ = on_purpose_ || facts.in_cluster;
      const std::uint8_t says = facts.in_cluster && facts.of_cohort ? kSayLeaving : 0;
      return says | close_servers();
    }
    case OwnEvent::AskedByPrimary:
      by_primary_ = on_purpose_ = true;
      return phase_ == OwnPhase::AwaitingReplies ? servers_closed(facts) : close_servers();
    case OwnEvent::Killed:
      leaves_ = true;
      on_purpose_ = on_purpose_ || facts.in_cluster;
      if (!facts.has_channel) return kLeave;
      return phase_ < OwnPhase::Handshaking ? servers_closed(facts) : 0;
    case OwnEvent::Terminated:
      if (std::exchange(leaves_, true) || phase_ == OwnPhase::Over) return kLeave;
      return step(OwnEvent::Asked, facts);
    case OwnEvent::ServersClosed:
      return phase_ == OwnPhase::ClosingServers ? servers_closed(facts) : 0;
    case OwnEvent::Replied:
      return phase_ == OwnPhase::AwaitingReplies ? servers_closed(facts) : 0;
    case OwnEvent::Answered:
      return phase_ == OwnPhase::Handshaking ? over(facts) : 0;
    case OwnEvent::ChannelClosed:
      // Nobody answers any more: what it waited for does not come.
      if (phase_ == OwnPhase::AwaitingReplies || phase_ == OwnPhase::Handshaking)
        phase_ = OwnPhase::Over;
      // As in Node: a worker that lost its primary without a word ends at once.
      return is_worker_ && (!on_purpose_ || leaves_) ? kLeave : 0;
  }
  return 0;
}

std::uint8_t OwnEnding::close_servers() {
  if (phase_ != OwnPhase::Serving) return 0;
  phase_ = OwnPhase::ClosingServers;
  return kCloseServers;
}

std::uint8_t OwnEnding::servers_closed(const OwnFacts& facts) {
  if (facts.awaits_replies && facts.has_channel && !by_primary_) {
    phase_ = OwnPhase::AwaitingReplies;
    return 0;
  }
  if (!facts.in_cluster || by_primary_) return over(facts);
  phase_ = OwnPhase::Handshaking;
  return kSayExiting;
}

std::uint8_t OwnEnding::over(const OwnFacts& facts) {
  phase_ = OwnPhase::Over;
  const bool leaves_now = leaves_ && (!facts.has_channel || !is_worker_);
  return kEndChannel | (leaves_now ? kLeave : 0);
}

}  // namespace cohort::cluster
