#include "http/conversation.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

namespace cohort::http {
namespace {

using Phase = Conversation::Phase;
using Input = Conversation::Input;
using Next = Conversation::Next;

constexpr Phase kPhases[] = {Phase::Reading,    Phase::Serving,   Phase::InHandler,
                             Phase::HeldUp,     Phase::Answering, Phase::Resuming,
                             Phase::LastAnswer, Phase::Lingering, Phase::Closed};

// A letter for each, in that order.
char letter(Phase phase) { return "RSIHAUXLC"[static_cast<int>(phase)]; }

std::string after(const std::function<void(Conversation&)>& step) {
  std::string phases;
  for (const Phase phase : kPhases) {
    Conversation conversation{phase};
    step(conversation);
    phases += letter(conversation.phase());
  }
  return phases;
}

TEST(Conversation, EveryStepFromEveryPhaseIsAsTheTableSays) {
  // clang-format off
  EXPECT_EQ(after([](auto&) {}),                               "RSIHAUXLC");
  EXPECT_EQ(after([](auto& it) { it.serve(); }),               "SSISAUXLC");
  EXPECT_EQ(after([](auto& it) { it.served(); }),              "RRIHAUXLC");
  EXPECT_EQ(after([](auto& it) { it.hold_up(); }),             "RHIHAUXLC");
  EXPECT_EQ(after([](auto& it) { it.give_to_handler(); }),     "RIIHAUXLC");
  EXPECT_EQ(after([](auto& it) { it.handler_returned(); }),    "RSAHAUXLC");
  EXPECT_EQ(after([](auto& it) { it.answered(true, false); }), "RSSHRUXLC");
  EXPECT_EQ(after([](auto& it) { it.answered(true, true); }),  "RSSHUUXLC");
  EXPECT_EQ(after([](auto& it) { it.answered(false, true); }), "RSXHXUXLC");
  EXPECT_EQ(after([](auto& it) { it.resume(); }),              "RSIHAHXLC");
  EXPECT_EQ(after([](auto& it) { it.refuse_more(); }),         "XXIXAUXLC");
  EXPECT_EQ(after([](auto& it) { it.half_closed(); }),         "RSIHAUXLC");
  EXPECT_EQ(after([](auto& it) { it.input_ended(); }),         "RSIHAUXLC");
  EXPECT_EQ(after([](auto& it) { it.end_our_side(); }),        "RSIHAULLC");
  EXPECT_EQ(after([](auto& it) { it.close(); }),               "CCCCCCCCC");
  // clang-format on
}

std::string next(Input input, bool sending, bool half_close_is_gone) {
  std::string all;
  for (const Phase phase : kPhases) {
    const Next one = Conversation{phase, input}.next(sending, half_close_is_gone);
    all += "-SEOCX"[static_cast<int>(one)];
  }
  return all;
}

TEST(Conversation, WhatComesNextFollowsFromPhaseAndInput) {
  // - Wait, S Serve, E EndOfInput, O EndOurSide, C Close, X Cut
  // clang-format off
  //                                                RSIHAUXLC
  EXPECT_EQ(next(Input::Open, false, false),       "---S--O--");
  EXPECT_EQ(next(Input::Open, false, true),        "---S--O--");
  EXPECT_EQ(next(Input::HalfClosed, false, false), "---S--O--");
  EXPECT_EQ(next(Input::HalfClosed, false, true),  "---SX-O--");
  EXPECT_EQ(next(Input::Ended, false, false),      "E--S--CC-");
  EXPECT_EQ(next(Input::Ended, false, true),       "E--SX-CC-");
  // clang-format on
  for (const Input input : {Input::Open, Input::HalfClosed, Input::Ended})
    for (const bool gone : {false, true})
      EXPECT_EQ(next(input, true, gone), "---------") << "what is being sent comes first";
}

TEST(Conversation, OnlyOneThatWasGivenToAHandlerIsAnswered) {
  for (const Phase phase : kPhases) {
    const bool answering = phase == Phase::InHandler || phase == Phase::Answering;
    EXPECT_EQ(Conversation{phase}.answering(), answering);
    EXPECT_EQ(Conversation{phase}.close(), answering);
    EXPECT_EQ(Conversation{phase}.in_handler(), phase == Phase::InHandler);
    EXPECT_EQ(Conversation{phase}.takes_requests(),
              phase == Phase::Reading || phase == Phase::HeldUp);
    EXPECT_EQ(Conversation{phase}.past_requests(),
              phase == Phase::LastAnswer || phase == Phase::Lingering || phase == Phase::Closed);
  }
}

TEST(Conversation, CountsItsRequests) {
  Conversation conversation;
  EXPECT_EQ(conversation.serial(), 0U);
  for (const std::uint64_t serial : {1U, 2U}) {
    conversation.serve();
    conversation.give_to_handler();
    conversation.give_to_handler();
    EXPECT_EQ(conversation.serial(), serial);
    conversation.answered(true, false);
    conversation.served();
  }
}

TEST(Conversation, TheEndOfTheInputIsNotTakenBack) {
  Conversation conversation;
  conversation.half_closed();
  EXPECT_EQ(conversation.input(), Input::HalfClosed);
  conversation.input_ended();
  conversation.half_closed();
  EXPECT_EQ(conversation.input(), Input::Ended);
}

TEST(Conversation, ItsPatienceIsThatOfWhatItDoes) {
  Ticks ticks{ServerOptions{}};
  ticks.headers = 1;
  ticks.request = 2;
  ticks.keep_alive = 3;
  ticks.send = 4;
  ticks.half_close = 5;
  ticks.drain_quiet = 6;
  ticks.linger = 7;
  const auto patience = [&](Phase phase, const Conversation::Progress& progress,
                            Input input = Input::Open) {
    return Conversation{phase, input}.patience(ticks, progress);
  };
  EXPECT_EQ(patience(Phase::Reading, {}), ticks.headers);
  EXPECT_EQ(patience(Phase::Reading, {.inside_request = true}), ticks.headers);
  EXPECT_EQ(patience(Phase::Reading, {.inside_request = true, .header_done = true}), ticks.request);
  EXPECT_EQ(patience(Phase::Reading, {.ending = true}), ticks.drain_quiet);
  EXPECT_EQ(patience(Phase::HeldUp, {.sending = true}), ticks.send);
  EXPECT_EQ(patience(Phase::Answering, {.sending = true}, Input::Ended), ticks.send);
  EXPECT_EQ(patience(Phase::Answering, {.ending = true}), Ticks::kNever);
  EXPECT_EQ(patience(Phase::Answering, {}, Input::HalfClosed), ticks.half_close);
  EXPECT_EQ(patience(Phase::Answering, {}, Input::Ended), ticks.half_close);
  EXPECT_EQ(patience(Phase::LastAnswer, {.sending = true}), ticks.send);
  EXPECT_EQ(patience(Phase::Lingering, {}, Input::Ended), ticks.linger);
  Conversation second{Phase::Serving};
  second.give_to_handler();
  second.answered(true, false);
  second.served();
  EXPECT_EQ(second.patience(ticks, {}), ticks.keep_alive);
  EXPECT_EQ(second.patience(ticks, {.ending = true}), ticks.drain_quiet);
  ticks.request = 0;
  EXPECT_EQ(second.patience(ticks, {.inside_request = true}), ticks.request)
      << "a head is a part of the request";
}

}  // namespace
}  // namespace cohort::http
