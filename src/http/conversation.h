// What one connection is doing, and what has to come next. Pure.
//
// A member of its Connection, which carries out what `next` says. Every function takes every phase:
// what does not apply to it changes nothing. The table is in conversation_test.cc.
#pragma once

#include <cstdint>

#include "http/ticks.h"

namespace cohort::http {

class Conversation {
 public:
  enum class Phase : std::uint8_t {
    Reading,     ///< The next request is awaited, or the rest of it.
    Serving,     ///< Requests are taken from bytes that are on the stack.
    InHandler,   ///< The request's handler is on the stack too, and has not answered.
    HeldUp,      ///< Requests that have arrived wait until the answers before them were sent.
    Answering,   ///< The handler returned, and will answer later.
    Resuming,    ///< It did; what has arrived behind that request has a turn of its own.
    LastAnswer,  ///< No further request is served; what is left of the answers is being sent.
    Lingering,   ///< All is sent, and our side is ended; what still comes is thrown away.
    Closed,      ///< Or given away.
  };
  enum class Input : std::uint8_t {
    Open,
    HalfClosed,  ///< The client has ended its side, or is gone; bytes of it are still to be read.
    Ended,       ///< All were read.
  };
  enum class Next : std::uint8_t {
    Wait,
    Serve,       ///< The requests that were held up.
    EndOfInput,  ///< Every whole request is answered, and none will come.
    EndOurSide,  ///< The last byte was sent.
    Close,       ///< Both sides have ended.
    Cut,         ///< The client counts as gone before its answer is whole.
  };

  explicit Conversation(Phase phase = Phase::Reading, Input input = Input::Open)
      : phase_{phase}, input_{input} {}

  Phase phase() const { return phase_; }
  Input input() const { return input_; }
  /// Of the current request, or the last one; from 1.
  std::uint64_t serial() const { return serial_; }
  /// A request was given to its handler and is not answered.
  bool answering() const { return phase_ == Phase::InHandler || phase_ == Phase::Answering; }
  bool in_handler() const { return phase_ == Phase::InHandler; }
  bool lingering() const { return phase_ == Phase::Lingering; }
  bool closed() const { return phase_ == Phase::Closed; }
  /// Bytes that arrive are looked at now, rather than later.
  bool takes_requests() const { return phase_ == Phase::Reading || phase_ == Phase::HeldUp; }
  /// They are not looked at any more.
  bool past_requests() const { return phase_ >= Phase::LastAnswer; }

  // Requests.
  void serve();
  /// As much as could be was served.
  void served();
  /// What has arrived waits until all that is to be sent was.
  void hold_up();
  void give_to_handler();
  void handler_returned();

  // Answers.
  /// `keeps`: the connection may carry another request; `more_arrived`: it has.
  void answered(bool keeps, bool more_arrived);
  void resume();
  /// No further request is served. Not while one is being answered: its answer decides.
  void refuse_more();

  // The ends.
  void half_closed();
  void input_ended() { input_ = Input::Ended; }
  void end_our_side();
  /// Whether an answer was awaited.
  bool close();

  /// `sending`: some of the output has not been sent. `half_close_is_gone`: who has ended its side
  /// gets no answer that takes longer than its handler.
  Next next(bool sending, bool half_close_is_gone) const;

  /// What the connection's other parts know of the exchange.
  struct Progress {
    bool sending = false;         ///< Some of the output has not been sent.
    bool inside_request = false;  ///< A request has begun to arrive,
    bool header_done = false;     ///< and its head has arrived.
    bool ending = false;          ///< The server ends.
  };
  /// How many ticks it may go on with what it does.
  std::uint32_t patience(const Ticks& ticks, const Progress& progress) const;

 private:
  std::uint64_t serial_ = 0;
  Phase phase_;
  Input input_;
};

}  // namespace cohort::http
