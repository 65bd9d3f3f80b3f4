// The order in which one worker's events may come, whatever the table says.
#pragma once

#include "cluster/worker_life.h"
#include "sim/climate.h"

namespace cohort::cluster::sim {

class LifeReferee {
 public:
  /// `started`: there is a process. One that failed to start is only ever reported.
  explicit LifeReferee(bool started) : started_{started} {}
  bool starts() const { return started_; }
  /// It was to start, and was told to end before.
  void never_starts() { started_ = false; }

  void check(WorkerEvent event, std::uint16_t actions) {
    const auto has = [actions](int bits) { return (actions & bits) != 0; };
    require(!over_ || actions == 0, "nothing comes after the end");
    if (has(kEmitOnline | kEmitListening)) require(connected(), "it is heard while connected");
    if (has(kSettle)) require(!over_ && !disconnected_ && !on_purpose_, "it is asked to end once");
    if (has(kSendDisconnect)) {
      require(!over_ && !disconnected_ && on_purpose_ && !told_,
              "who is asked to end is told once");
      told_ = true;
    }
    require(has(kAnswerExiting) == (event == WorkerEvent::SaidExiting && connected()),
            "who waits for leave to end gets it");
    if (has(kReportError))
      require(event == (started_ ? WorkerEvent::ProtocolViolated : WorkerEvent::SpawnFailed),
              "an error has a cause");
    if (has(kMarkOnPurpose)) {
      require(has(kReleasePorts) || !connected(),
              "who ends on purpose gets no connection any more");
      on_purpose_ = true;
    }
    if (event == WorkerEvent::DisconnectAsked && !over_)
      require(on_purpose_ && has(kLeaveWorkers),
              "who is asked to end does so on purpose, and leaves");
    if (has(kEmitDisconnect)) {
      require(connected(), "one disconnect, of whoever was connected");
      disconnected_ = true;
    }
    if (has(kEmitExit)) {
      require(started_ && disconnected_, "exit comes after disconnect");
      require(event == WorkerEvent::Exited, "exit means that it is gone");
    }
    if (event == WorkerEvent::Exited) require(has(kEmitExit), "every exit is told");
    if (event == WorkerEvent::SpawnFailed) require(has(kReportError), "every failure is told");
    if (event == WorkerEvent::ChannelClosed || event == WorkerEvent::ProtocolViolated)
      require(disconnected_, "the end of a channel is told");
    over_ = over_ || event == WorkerEvent::Exited || event == WorkerEvent::SpawnFailed;
  }

  bool on_purpose() const { return on_purpose_; }
  bool over() const { return over_; }

 private:
  bool connected() const { return started_ && !disconnected_ && !over_; }

  bool started_;
  bool disconnected_ = false;
  bool on_purpose_ = false;
  bool told_ = false;
  bool over_ = false;
};

}  // namespace cohort::cluster::sim
