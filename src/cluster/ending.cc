#include "cluster/ending.h"

#include <algorithm>

namespace cohort::cluster {
namespace {

using Channel = EndingFacts::Channel;
using Handler = EndingFacts::Handler;

}  // namespace

// What is under way is done, or has had half of the time.
bool Ending::finished(const EndingFacts& facts, Clock::time_point now) const {
  return !facts.serves || !facts.drains || facts.requests == 0 || now >= after(2);
}

bool Ending::disconnect_is_due(const EndingFacts& facts, Clock::time_point now) const {
  if (facts.channel != Channel::Open) return false;
  // The handler may still need its servers and its channel, for most of the time.
  if (facts.handler == Handler::Yes) return signalled_ && now >= after(3);
  return facts.settled && finished(facts, now);
}

bool Ending::signal_is_due(const EndingFacts& facts, Clock::time_point now) const {
  if (!facts.serves) return true;
  const bool idle =
      idle_since_ && now - *idle_since_ >= std::min<Clock::duration>(kEndsByItself, grace_ / 4);
  if (facts.handler == Handler::Yes) return facts.settled && (idle || finished(facts, now));
  if (facts.channel == Channel::None) {
    if (!facts.connections) return now >= after(2);
    return facts.connections == 0;
  }
  if (facts.minds_disconnect) return now >= after(3);
  const bool closed = facts.channel == Channel::Closed;
  if ((closed || (facts.handler == Handler::Unknown && disconnected_)) && now >= after(2))
    return true;
  return idle;
}

std::vector<EndingAct> Ending::step(const EndingFacts& facts, Clock::time_point now) {
  std::vector<EndingAct> acts;
  const auto act = [&](bool& done, bool due, EndingAct what) {
    if (!done && due) acts.push_back(what);
    done = done || due;
  };
  act(drained_, facts.drains, EndingAct::Drain);
  // One that goes on without a channel has closed its servers; their clients may still be there.
  const bool idle = (facts.channel == Channel::Closed && facts.connections.value_or(0) == 0) ||
                    (disconnected_ && facts.handler == Handler::Unknown && facts.connections == 0);
  if (!idle) idle_since_.reset();
  if (idle && !idle_since_) idle_since_ = now;
  // In this order: one that serves nothing gets both, and dies of the first.
  act(signalled_, signal_is_due(facts, now), EndingAct::Signal);
  act(disconnected_, disconnect_is_due(facts, now), EndingAct::Disconnect);
  return acts;
}

}  // namespace cohort::cluster
