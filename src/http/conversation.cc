#include "http/conversation.h"

#include <algorithm>

namespace cohort::http {

void Conversation::serve() {
  if (takes_requests()) phase_ = Phase::Serving;
}

void Conversation::served() {
  if (phase_ == Phase::Serving) phase_ = Phase::Reading;
}

void Conversation::hold_up() {
  if (phase_ == Phase::Serving) phase_ = Phase::HeldUp;
}

void Conversation::give_to_handler() {
  if (phase_ != Phase::Serving) return;
  phase_ = Phase::InHandler;
  ++serial_;
}

void Conversation::handler_returned() {
  if (phase_ == Phase::InHandler) phase_ = Phase::Answering;
}

void Conversation::answered(bool keeps, bool more_arrived) {
  if (!answering()) return;
  if (!keeps)
    phase_ = Phase::LastAnswer;
  else if (phase_ == Phase::InHandler)
    phase_ = Phase::Serving;
  else
    // The next request's handler must not run inside of the call that answered this one.
    phase_ = more_arrived ? Phase::Resuming : Phase::Reading;
}

void Conversation::resume() {
  if (phase_ == Phase::Resuming) phase_ = Phase::HeldUp;
}

void Conversation::refuse_more() {
  if (takes_requests() || phase_ == Phase::Serving) phase_ = Phase::LastAnswer;
}

void Conversation::half_closed() {
  if (input_ == Input::Open) input_ = Input::HalfClosed;
}

void Conversation::end_our_side() {
  if (phase_ == Phase::LastAnswer) phase_ = Phase::Lingering;
}

bool Conversation::close() {
  const bool awaited = answering();
  phase_ = Phase::Closed;
  return awaited;
}

Conversation::Next Conversation::next(bool sending, bool half_close_is_gone) const {
  if (sending) return Next::Wait;
  switch (phase_) {
    case Phase::Reading:
      return input_ == Input::Ended ? Next::EndOfInput : Next::Wait;
    case Phase::HeldUp:
      return Next::Serve;
    case Phase::Answering:
      return input_ != Input::Open && half_close_is_gone ? Next::Cut : Next::Wait;
    case Phase::LastAnswer:
      return input_ == Input::Ended ? Next::Close : Next::EndOurSide;
    case Phase::Lingering:
      return input_ == Input::Ended ? Next::Close : Next::Wait;
    case Phase::Serving:
    case Phase::InHandler:
    case Phase::Resuming:
    case Phase::Closed:
      break;
  }
  return Next::Wait;
}

std::uint32_t Conversation::patience(const Ticks& ticks, const Progress& progress) const {
  if (lingering()) return ticks.linger;
  if (progress.sending) return ticks.send;
  // How long it takes is the handler's business, as long as somebody may be there to get it.
  if (answering()) return input_ == Input::Open ? Ticks::kNever : ticks.half_close;
  if (progress.inside_request)
    return progress.header_done ? ticks.request : std::min(ticks.headers, ticks.request);
  if (progress.ending) return ticks.drain_quiet;
  return serial_ == 0 ? ticks.headers : ticks.keep_alive;
}

}  // namespace cohort::http
