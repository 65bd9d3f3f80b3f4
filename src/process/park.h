// A user's operation that waits for something of ours.
//
// It is the wait of a timer that never expires, so the io_context owns its handler, and with it the
// coroutine that waits, which often owns a handle to the very object that it waits for: held by
// that object it would be a circle.
#pragma once

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <utility>

#include "base/loop.h"

namespace cohort::process {

/// Operations that wait for the same thing, oldest first. Loop's executor only.
class Parking {
 public:
  /// Calls `then(handler, woken)` once, on the loop's executor: after `wake...()`, or with false
  /// when the handler's cancellation slot was signalled.
  template <class Handler, class Then>
  void park(const Loop& loop, Handler handler, Then then) {
    const auto place = std::make_shared<Place>(
        Place{{loop.executor(), boost::asio::steady_timer::time_point::max()}});
    places_.push_back(place);
    const auto slot = boost::asio::get_associated_cancellation_slot(handler);
    auto work = boost::asio::make_work_guard(
        boost::asio::get_associated_executor(handler, loop.executor()));
    auto woken = [place, work = std::move(work), handler = std::move(handler),
                  then = std::move(then)](const boost::system::error_code&) mutable {
      then(std::move(handler), place->called);
    };
    place->timer.async_wait(boost::asio::bind_cancellation_slot(
        slot, boost::asio::bind_executor(loop.executor(), std::move(woken))));
  }

  /// Nobody waits. One that was cancelled counts until somebody is woken in its place.
  bool empty() const { return places_.empty(); }
  /// Every operation looks again.
  void wake_all() {
    for (const auto& place : std::exchange(places_, {})) {
      place->called = true;
      place->timer.cancel();
    }
  }

 private:
  struct Place {
    boost::asio::steady_timer timer;
    bool called = false;  // else its wait was cancelled by the user
  };
  std::deque<std::shared_ptr<Place>> places_;  // shared with the pending wait
};

}  // namespace cohort::process
