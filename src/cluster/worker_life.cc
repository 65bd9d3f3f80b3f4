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
constexpr std::uint16_t kAskToEnd =
    kMarkOnPurpose | kReleasePorts | kSendDisconnect | kLeaveWorkers;

// Rows: states. Columns: SaidOnline, SaidListening, SaidExiting, DisconnectAsked, ChannelClosed,
// ProtocolViolated, SpawnFailed, Exited.
constexpr WorkerStep kTable[kWorkerStates][kWorkerEvents] = {
    // Spawned
    {{S::Online, kEmitOnline},
     {S::Listening, kEmitListening},
     {S::Disconnecting, kEndOnPurpose},
     {S::Disconnecting, kAskToEnd},
     {S::Disconnected, kLosePorts | kEmitDisconnect},
     {S::Disconnected, kEndViolator},
     {S::Dead, kReportError | kLeaveWorkers},
     {S::Dead, kEndConnected}},
    // Online
    {{S::Online, 0},
     {S::Listening, kEmitListening},
     {S::Disconnecting, kEndOnPurpose},
     {S::Disconnecting, kAskToEnd},
     {S::Disconnected, kLosePorts | kEmitDisconnect},
     {S::Disconnected, kEndViolator},
     {S::Online, 0},  // it started: cannot happen
     {S::Dead, kEndConnected}},
    // Listening
    {{S::Listening, 0},
     {S::Listening, kEmitListening},  // one more server
     {S::Disconnecting, kEndOnPurpose},
     {S::Disconnecting, kAskToEnd},
     {S::Disconnected, kLosePorts | kEmitDisconnect},
     {S::Disconnected, kEndViolator},
     {S::Listening, 0},
     {S::Dead, kEndConnected}},
    // Disconnecting: on purpose, so its ports were released already; what it still holds unanswered
    // is
    // lost to it when its channel ends
    {{S::Disconnecting, kEmitOnline},  // it was asked to end while it started
     {S::Disconnecting, kEmitListening},
     {S::Disconnecting, kAnswerExiting},
     {S::Disconnecting, kLeaveWorkers},
     {S::Disconnected, kLosePorts | kEmitDisconnect},
     {S::Disconnected, kEndViolator},
     {S::Dead,
      kReportError | kLeaveWorkers},  // it was asked to end before the failure was reported
     {S::Dead, kEndConnected}},
    // Disconnected
    {{S::Disconnected, 0},
     {S::Disconnected, 0},
     {S::Disconnected, 0},
     {S::Disconnected, kMarkOnPurpose | kLeaveWorkers},
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
     {S::Dead, 0}},
};

}  // namespace

WorkerStep step(WorkerState state, WorkerEvent event) {
  return kTable[static_cast<int>(state)][static_cast<int>(event)];
}

const char* to_string(WorkerState state) {
  constexpr const char* kNames[kWorkerStates] = {"spawned",       "online",       "listening",
                                                 "disconnecting", "disconnected", "dead"};
  return kNames[static_cast<int>(state)];
}

const char* to_string(WorkerEvent event) {
  constexpr const char* kNames[kWorkerEvents] = {
      "said online",    "said listening",    "said exiting", "disconnect asked",
      "channel closed", "protocol violated", "spawn failed", "exited"};
  return kNames[static_cast<int>(event)];
}

}  // namespace cohort::cluster
