// Operations of the user's that wait for something of ours: `co_await child.async_exit()`.
//
// Each is the wait of a timer that never expires. So the io_context owns its handler, and with it
// the coroutine that waits, which often owns a handle to the very object that it waits for: held by
// that object it would be a circle. As every operation of Asio it keeps the loop running, and can
// be cancelled.
#pragma once

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <list>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>

#include "base/loop.h"

namespace cohort {

/// Operations that wait for the same thing, oldest first, and what they are woken with. Those that
/// wait at its end count as cancelled. Loop's executor only.
template <class... Values>
class Parking {
 public:
  /// Calls `then(handler, woken, values...)` once, on the loop's executor, in a turn of its own:
  /// after `wake...(values...)`; or, when the handler's cancellation slot was signalled, with false
  /// and values made from nothing.
  template <class Handler, class Then>
  void park(const Loop& loop, Handler handler, Then then) {
    if (!places_) places_ = std::make_shared<Places>();
    const auto place = std::make_shared<Place>(loop);
    places_->waiting.push_back(place);
    const auto slot = boost::asio::get_associated_cancellation_slot(handler);
    auto work = boost::asio::make_work_guard(
        boost::asio::get_associated_executor(handler, loop.executor()));
    auto woken = [place, places = std::weak_ptr{places_}, work = std::move(work),
                  handler = std::move(handler),
                  then = std::move(then)](const boost::system::error_code&) mutable {
      const bool called = place->values.has_value();
      if (const auto left = places.lock(); left && !called) left->waiting.remove(place);
      auto values = called ? *std::move(place->values) : std::tuple<Values...>{};
      std::apply([&](Values&... each) { then(std::move(handler), called, std::move(each)...); },
                 values);
    };
    place->timer.async_wait(boost::asio::bind_cancellation_slot(
        slot, boost::asio::bind_executor(loop.executor(), std::move(woken))));
  }

  std::size_t size() const { return places_ ? places_->waiting.size() : 0; }
  bool empty() const { return size() == 0; }
  /// False: nobody waits.
  bool wake_one(const Values&... values) {
    if (empty()) return false;
    const auto place = std::move(places_->waiting.front());
    places_->waiting.pop_front();
    place->values.emplace(values...);
    place->timer.cancel();
    return true;
  }
  /// Whether anybody waited.
  bool wake_all(const Values&... values) {
    const bool any = wake_one(values...);
    while (wake_one(values...)) continue;
    return any;
  }

 private:
  struct Place {
    explicit Place(const Loop& loop)
        : timer{loop.executor(), boost::asio::steady_timer::time_point::max()} {}
    boost::asio::steady_timer timer;
    std::optional<std::tuple<Values...>> values;  // none: its wait was cancelled by the user
  };
  struct Places {
    ~Places() {
      for (const auto& place : waiting) place->timer.cancel();
    }
    std::list<std::shared_ptr<Place>> waiting;  // shared with the pending wait
  };

  std::shared_ptr<Places> places_;  // seen by those that are cancelled; none until somebody waits
};

}  // namespace cohort
