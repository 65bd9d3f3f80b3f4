// The life of one worker as the primary sees it: a pure, total table. Every state and event pair
// has an entry; what must be done is in the actions, which the primary carries out in the order
// listed.
#pragma once

#include <cstdint>

namespace cohort::cluster {

enum class WorkerState : std::uint8_t {
  Spawned,        ///< The process was started; nothing was heard of it.
  Online,         ///< It said `online`.
  Listening,      ///< At least one of its servers listens.
  Settling,       ///< It is asked to end, and told so when it has looked at what it was handed.
  Disconnecting,  ///< It was told to end, or said that it does; the channel is still open.
  Disconnected,   ///< The channel is closed; the process lives.
  Dead,           ///< It exited, or never started.
};
inline constexpr int kWorkerStates = 7;

enum class WorkerEvent : std::uint8_t {
  SaidOnline,     ///< `{act: "online"}`
  SaidListening,  ///< `{act: "listening"}`
  SaidExiting,  ///< `{act: "exitedAfterDisconnect"}`: it ends on purpose and waits for our answer.
  DisconnectAsked,   ///< The user called `disconnect()`, or the cluster drains.
  Settled,           ///< It can be told now.
  ChannelClosed,     ///< End of the channel.
  ProtocolViolated,  ///< It sent what no peer may send.
  SpawnFailed,       ///< The process could not be started.
  Exited,            ///< The process was reaped; all that it had written was read before.
};
inline constexpr int kWorkerEvents = 9;

/// What to do, as a set of bits, in this order.
enum WorkerAction : std::uint16_t {
  kReportError = 1 << 0,    ///< Emit `error`.
  kKill = 1 << 1,           ///< SIGKILL: it cannot be talked to any more.
  kMarkOnPurpose = 1 << 2,  ///< `exitedAfterDisconnect` is true from here on.
  kReleasePorts = 1 << 3,   ///< It gets no connection any more; ports that only it used are closed.
  /// It cannot answer any more: what it held unanswered goes to others. If it died, its ports stay
  /// open for a successor.
  kLosePorts = 1 << 4,
  kAnswerExiting = 1 << 5,  ///< Answer `exitedAfterDisconnect`.
  kLeaveWorkers = 1 << 6,   ///< It is no longer in `workers()`.
  /// Wait until it has answered what it was handed, and read what it accepted: `Settled` follows.
  kSettle = 1 << 7,
  kEmitOnline = 1 << 8,
  kEmitListening = 1 << 9,
  kCloseChannel = 1 << 10,
  kEmitDisconnect = 1 << 11,
  kEmitExit = 1 << 12,
  kSendDisconnect = 1 << 13,  ///< `{act: "disconnect"}`
};

struct WorkerStep {
  WorkerState next;
  std::uint16_t actions;
};

/// The table. `SaidOnline` and `SaidListening` may come in any order and any number (one that says
/// `online` after it listens, or twice, changes nothing, unless it ends: then it is believed).
WorkerStep step(WorkerState state, WorkerEvent event);

const char* to_string(WorkerState state);
const char* to_string(WorkerEvent event);

}  // namespace cohort::cluster
