// What kind of world one run has: how often each thing goes wrong. Drawn from the seed, so that
// some runs are calm, some crash all the time, and some do nothing but refuse connections.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <stdexcept>

#include "cluster/slot_book.h"
#include "sim/random.h"

namespace cohort::cluster::sim {

/// A broken invariant. What it says is printed with the seed.
class Violation : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

inline void require(bool holds, const char* what) {
  if (!holds) throw Violation{what};
}

inline constexpr int kListeners = 3;

/// How connections come to the workers of one listener.
struct PortClimate {
  bool has_slots = false;  ///< Else they are handed off.
  SlotBook::Rules rules{};
  bool to_shortest = false;  ///< The kernel takes the shortest queue...
  bool migrates = false;     ///< ... and moves what waits in one.
  bool publishes = false;    ///< Workers of cohort say how many they took.
};

/// Chances per mille: of each fork, of each thing that a process does, or of each step.
struct Climate {
  explicit Climate(Random& random) {
    for (unsigned* chance : {&spawn_fails, &exits_at_once, &never_listens, &is_slow, &is_silent,
                             &fork_on_exit, &leaves_some, &lingers})
      *chance = pick(random, 0, 100, 600);
    for (unsigned* chance : {&crash, &garbage, &drop_channel, &hang, &block, &close_server})
      *chance = pick(random, 0, 5, 60);
    only_accepts = pick(random, 0, 100, 300);
    kept_alive = pick(random, 0, 200, 600);
    says_ready = pick(random, 0, 100, 600);
    waits = pick(random, 0, 100, 600);
    leave = pick(random, 0, 5, 200);
    permanent = pick(random, 0, 30, 500);
    for (unsigned* chance : {&keep, &fork, &disconnect, &kill}) *chance = pick(random, 0, 10, 80);
    terminate = pick(random, 1, 2, 10);
    reload = pick(random, 0, 2, 20);
    connect = pick(random, 20, 200, 500);
    long_naps = pick(random, 0, 100, 500);
    limit = random.chance(500) ? 1 + random.below(3) : 1000;
    credits = random.chance(500) ? 1 : 1 + static_cast<unsigned>(random.below(8));
    for (std::size_t i = 1; i < ports.size(); ++i) ports[i] = with_slots(random);
    if (random.chance(200)) calm(random);
    if (random.chance(300)) drain_timeout = std::chrono::milliseconds{1 + random.below(2000)};
  }

  /// Workers come and go by themselves, and only so.
  void calm(Random& random) {
    spawn_fails = exits_at_once = never_listens = fork_on_exit = 0;
    crash = garbage = drop_channel = hang = block = keep = fork = disconnect = kill = terminate =
        reload = 0;
    leave = close_server = lingers = permanent = 0;
    if (random.chance(500))
      close_server = 50;
    else
      leave = 200, lingers = 900;
    long_naps = 200;
  }

  /// Nothing goes wrong any more, and workers take every connection.
  void clear_up() {
    spawn_fails = exits_at_once = never_listens = is_slow = is_silent = fork_on_exit = leaves_some =
        lingers = permanent = 0;
    crash = garbage = drop_channel = hang = block = leave = close_server = 0;
    limit = 1000;
  }

  // Of a fork.
  unsigned spawn_fails, exits_at_once, never_listens, is_slow, is_silent;
  unsigned lingers;   ///< Its clients stay when it leaves, while this is not 0.
  std::size_t limit;  ///< Connections that a worker takes at a time.
  unsigned credits;   ///< Of one of cohort.
  unsigned only_accepts, kept_alive;
  unsigned says_ready;  ///< Otherwise than by living for long.
  unsigned waits;       ///< Its process is started later.
  // Of what a process does.
  unsigned crash, garbage, drop_channel, hang, block, leave, close_server;
  unsigned permanent;  ///< Of an exit by itself: that it is for good.
  // Of a step.
  unsigned keep, fork, disconnect, kill, terminate, reload, connect, long_naps;
  // Of an exit.
  unsigned fork_on_exit, leaves_some;
  std::chrono::milliseconds drain_timeout{25000};
  std::array<PortClimate, kListeners> ports{};

 private:
  static PortClimate with_slots(Random& random) {
    using std::chrono::milliseconds;
    PortClimate port{.has_slots = true};
    port.rules.rescue_after = milliseconds{random.chance(700) ? 6 : 1000};  // adaptive, hash
    if (random.chance(200)) {                                               // sticky
      port.rules.steer_around = false;
      if (random.chance(500)) port.rules.rescue_after.reset();
    }
    port.to_shortest = port.rules.steer_around && random.chance(500);
    port.migrates = port.to_shortest && random.chance(500);
    port.publishes = random.chance(500);
    return port;
  }
  static unsigned pick(Random& random, unsigned never, unsigned seldom, unsigned often) {
    const std::size_t die = random.below(4);
    return die == 0 ? never : die == 3 ? often : seldom;
  }
};

}  // namespace cohort::cluster::sim
