// How one worker is ended when the service ends: what it is told, in which order. Pure.
//
// Whoever has a handler for the signal gets it, once what can be finished is finished, and ends as
// it would alone. Whoever has none is told to disconnect, and gets the signal when nothing is left
// to serve: it would kill before. docs/signals.md has the table. At the end of the grace time the
// supervisor kills whoever is left.
//
// Node's `disconnect` closes the worker's servers. Before the handler it makes
// `server.close(err => process.exit(err ? 1 : 0))` fail (ERR_SERVER_NOT_RUNNING), so it comes last.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <vector>

namespace cohort::cluster {

/// What is known of a worker that is to end.
struct EndingFacts {
  /// Whether the program has a handler for the signal. `Unknown`: Node without the preload, whose
  /// own handlers hide it.
  enum class Handler { Yes, No, Unknown };
  /// Of a worker that never said anything there is none that it would heed.
  enum class Channel { None, Open, Closed };

  bool serves = false;  ///< It listens, or did.
  Channel channel = Channel::None;
  Handler handler = Handler::Unknown;
  /// Its preload drains it: `requests` says what is left of HTTP that ends by itself.
  bool drains = false;
  std::optional<std::size_t> requests = {};
  std::optional<std::size_t> connections = {};  ///< Of its servers; nothing: not to be seen.
  /// It has a handler of the channel's end, which may take its time.
  bool minds_disconnect = false;
  /// It was handed connections, or accepted some, that it has not looked at.
  bool settled = true;
  int signal = 0;  ///< The one that it would get.
};

enum class EndingAct {
  Drain,       ///< Its answers say that they are the last ones; idle connections are closed.
  Disconnect,  ///< Node's `disconnect`: it closes its servers, then its channel.
  Signal,
};

class Ending {
 public:
  using Clock = std::chrono::steady_clock;

  Ending(Clock::time_point start, Clock::duration grace) : start_{start}, grace_{grace} {}

  /// What is to be done now; each act comes once. To be asked whenever something may have changed,
  /// and every `kEndingLook` meanwhile.
  std::vector<EndingAct> step(const EndingFacts& facts, Clock::time_point now);

 private:
  bool signal_is_due(const EndingFacts& facts, Clock::time_point now) const;
  bool disconnect_is_due(const EndingFacts& facts, Clock::time_point now) const;
  bool finished(const EndingFacts& facts, Clock::time_point now) const;
  Clock::time_point after(int quarters) const { return start_ + grace_ * quarters / 4; }

  const Clock::time_point start_;
  const Clock::duration grace_;
  bool drained_ = false;
  bool disconnected_ = false;
  bool signalled_ = false;
  std::optional<Clock::time_point> idle_since_;  ///< Disconnected, and nothing is left to serve.
};

inline constexpr std::chrono::milliseconds kEndingLook{50};
/// A process that has nothing left to do ends by itself within this time, with an exit code of its
/// own; one that a timer keeps alive gets the signal.
inline constexpr std::chrono::milliseconds kEndsByItself{300};

}  // namespace cohort::cluster
