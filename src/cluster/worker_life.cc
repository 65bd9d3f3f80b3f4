#include "cluster/worker_life.h"

namespace cohort::cluster {
namespace {

using S = WorkerState;

// The process is gone, so is whatever end of the channel was still open.
constexpr std::uint16_t kEndConnected =
    kLosePorts | kLeaveWorkers | kCloseChannel | kEmitDisconnect | kEmitExit;
constexpr std::uint16_t kEndViolator =
    kReportError | kKill | kLosePorts | kCloseChannel | kEmitDisconnect;
constexpr std::uint16_t kEndOnPurpose = kMarkOnPurpose | kReleasePorts | kAnswerExiting;
constexpr std::uint16_t kAskToEnd = kMarkOnPurpose | kReleasePorts | kLeaveWorkers | kSettle;

// Rows: states. Columns: SaidOnline, SaidListening, SaidExiting, DisconnectAsked, Settled,
// ChannelClosed, ProtocolViolated, SpawnFailed, Exited.
constexpr WorkerStep kTable[kWorkerStates][kWorkerEvents] = {
    // Spawned
    {{S::Online, kEmitOnline},
     {S::Listening, kEmitListening},
     {S::Disconnecting, kEndOnPurpose},
     {S::Settling, kAskToEnd},
     {S::Spawned, 0},
     {S::Disconnected, kLosePorts | kEmitDisconnect},
     {S::Disconnected, kEndViolator},
     {S::Dead, kReportError | kLeaveWorkers},
     {S::Dead, kEndConnected}},
    // Online
    {{S::Online, 0},
     {S::Listening, kEmitListening},
     {S::Disconnecting, kEndOnPurpose},
     {S::Settling, kAskToEnd},
     {S::Online, 0},
     {S::Disconnected, kLosePorts | kEmitDisconnect},
     {S::Disconnected, kEndViolator},
     {S::Online, 0},  // it started: cannot happen
     {S::Dead, kEndConnected}},
    // Listening
    {{S::Listening, 0},
     {S::Listening, kEmitListening},  // one more server
     {S::Disconnecting, kEndOnPurpose},
     {S::Settling, kAskToEnd},
     {S::Listening, 0},
     {S::Disconnected, kLosePorts | kEmitDisconnect},
     {S::Disconnected, kEndViolator},
     {S::Listening, 0},
     {S::Dead, kEndConnected}},
    // Settling and Disconnecting: on purpose, so its ports were released already. What it still
    // holds unanswered is lost to it when its channel ends.
    // Settling
    {{S::Settling, kEmitOnline},  // it was asked to end while it started
     {S::Settling, kEmitListening},
     {S::Disconnecting, kAnswerExiting},  // it knows already
     {S::Settling, kLeaveWorkers},
     {S::Disconnecting, kSendDisconnect},
     {S::Disconnected, kLosePorts | kEmitDisconnect},
     {S::Disconnected, kEndViolator},
     {S::Dead, kReportError | kLeaveWorkers},  // before the failure was reported
     {S::Dead, kEndConnected}},
    // Disconnecting
    {{S::Disconnecting, kEmitOnline},
     {S::Disconnecting, kEmitListening},
     {S::Disconnecting, kAnswerExiting},
     {S::Disconnecting, kLeaveWorkers},
     {S::Disconnecting, 0},
     {S::Disconnected, kLosePorts | kEmitDisconnect},
     {S::Disconnected, kEndViolator},
     {S::Dead, kReportError | kLeaveWorkers},
     {S::Dead, kEndConnected}},
    // Disconnected
    {{S::Disconnected, 0},
     {S::Disconnected, 0},
     {S::Disconnected, 0},
     {S::Disconnected, kMarkOnPurpose | kLeaveWorkers},
     {S::Disconnected, 0},
     {S::Disconnected, 0},
     {S::Disconnected, 0},
     {S::Disconnected, 0},
     {S::Dead, kLeaveWorkers | kEmitExit}},
    // Dead
    {{S::Dead, 0},
     {S::Dead, 0},
     {S::Dead, 0},
     {S::Dead, 0},
     {S::Dead, 0},
     {S::Dead, 0},
     {S::Dead, 0},
     {S::Dead, 0},
     {S::Dead, 0}},
};

}  // namespace

WorkerStep step(WorkerState state, WorkerEvent event) {
  return kTable[static_cast<int>(state)][static_cast<int>(event)];
}

const char* to_string(WorkerState state) {
  constexpr const char* kNames[kWorkerStates] = {
      "spawned", "online", "listening", "settling", "disconnecting", "disconnected", "dead"};
  return kNames[static_cast<int>(state)];
}

const char* to_string(WorkerEvent event) {
  constexpr const char* kNames[kWorkerEvents] = {
      "said online",       "said listening", "said exiting",
      "disconnect asked",  "settled",        "channel closed",
      "protocol violated", "spawn failed",   "exited"};
  return kNames[static_cast<int>(event)];
}

}  // namespace cohort::cluster
