// How a process ends that may be a worker: from the wish to the last message. Pure.
//
//   Serving -> ClosingServers -> AwaitingReplies -> Handshaking -> Over
//
// - It closes its servers, which finish what they serve.
// - It waits for the replies to its queries: Node's primary dies of one that it cannot write. (A
//   primary that asked us to end may never send them.)
// - It says that it ends, and waits for the answer: until then the primary may hand it more. (A
//   primary that asked us knows.)
// - It closes its channel. A process that is to leave does so when the channel is closed.
#pragma once

#include <cstdint>

namespace cohort::cluster {

enum class OwnPhase : std::uint8_t { Serving, ClosingServers, AwaitingReplies, Handshaking, Over };

enum class OwnEvent : std::uint8_t {
  Asked,           ///< The user called `disconnect()`.
  AskedByPrimary,  ///< `{act: "disconnect"}`
  Killed,          ///< The user called `kill()`: it leaves, and waits for no server.
  Terminated,      ///< TERM or INT: as Asked, and it leaves. The second time at once.
  ServersClosed,
  Replied,        ///< Its primary has answered a query.
  Answered,       ///< Its primary has taken note of the end.
  ChannelClosed,  ///< By either side.
};

/// What to do, as a set of bits, in this order.
enum OwnAction : std::uint8_t {
  kSayLeaving = 1 << 0,  ///< Its ports stay open for a successor.
  kCloseServers = 1 << 1,
  kSayExiting = 1 << 2,  ///< `exitedAfterDisconnect`: `Answered` follows.
  kEndChannel = 1 << 3,  ///< If there is one: `ChannelClosed` follows.
  kLeave = 1 << 4,
};

/// What is known of the process beside.
struct OwnFacts {
  bool in_cluster = false;   ///< A worker, whose primary is there.
  bool has_channel = false;  ///< To its primary, or to a parent that forked it.
  bool of_cohort = false;    ///< The primary, or the parent.
  bool awaits_replies = false;
};

class OwnEnding {
 public:
  /// The actions, as bits. `is_worker`: it was forked by a primary, whether or not that is there.
  std::uint8_t step(OwnEvent event, const OwnFacts& facts);

  explicit OwnEnding(bool is_worker) : is_worker_{is_worker} {}
  OwnPhase phase() const { return phase_; }
  /// It ends because somebody asked it to.
  bool on_purpose() const { return on_purpose_; }
  /// It leaves when it is over.
  bool leaves() const { return leaves_; }

 private:
  std::uint8_t close_servers();
  std::uint8_t servers_closed(const OwnFacts& facts);
  std::uint8_t over(const OwnFacts& facts);

  const bool is_worker_;
  OwnPhase phase_ = OwnPhase::Serving;
  bool on_purpose_ = false;
  bool by_primary_ = false;
  bool leaves_ = false;
};

}  // namespace cohort::cluster
