// When to look at the queues of an address's slots, and how long they are.
//
// While nothing waits it sleeps: a connection wakes it, and it looks again and again until the
// queues are empty; a little longer if many come.
//
// Owned by a SlotPort, as is the group; loop's executor only.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "base/callback_scope.h"
#include "base/loop.h"
#include "cohort/fd.h"
#include "net/slot_group.h"

namespace cohort::cluster {

class QueueWatch {
 public:
  /// Calls `look` every `look_every` or, while nothing happens, less often; after each look `go_on`
  /// or `pause` follows. Begins with `wake`.
  QueueWatch(const Loop& loop, const net::SlotGroup& group, std::chrono::milliseconds look_every,
             std::function<void()> look);

  /// How many connections wait in each slot's queue.
  std::vector<unsigned> lengths();
  /// Looks soon, and for a while: there may be something to do that the queues do not show.
  void wake();
  /// The same, and as often as ever.
  void wake_up_fully();
  /// A look is over. Looks later, or sleeps if nothing is left to do.
  void go_on(bool anything_happened, bool anything_left);
  /// Looks no more, whatever arrives, until `wake`.
  void pause() { awake_ = false; }

 private:
  using Clock = std::chrono::steady_clock;

  bool watch_all();
  void fall_asleep();
  void get_up();
  void look_later();

  Loop loop_;  // before what refers to it
  const net::SlotGroup& group_;
  std::chrono::milliseconds look_every_;
  std::function<void()> look_;
  boost::asio::steady_timer timer_;
  bool awake_ = false;
  int idle_looks_ = 0;
  Clock::time_point awake_until_;
  // An epoll of its own over every slot: the slots stay as blocking as they are, and one call tells
  // which of them to look at.
  OwnFd epoll_;
  std::size_t watched_ = 0;        // slots that are in it
  std::unique_ptr<Watch> asleep_;  // has it while nothing arrives
  Clock::time_point asleep_since_;
  CallbackScope callbacks_;
};

}  // namespace cohort::cluster
