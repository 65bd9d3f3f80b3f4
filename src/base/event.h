// The handlers of one event, and the operations that wait for it once.
#pragma once

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/append.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <functional>
#include <type_traits>
#include <utility>

#include "base/handlers.h"
#include "base/loop.h"
#include "base/parking.h"

namespace cohort {

/// `Args` as the handlers take them (often const references); waiting operations get copies.
template <class... Args>
class Event {
 public:
  using Waiting = boost::asio::any_completion_handler<void(boost::system::error_code,
                                                           std::remove_cvref_t<Args>...)>;

  void on(std::function<void(Args...)> handler) { handlers_.add(std::move(handler)); }
  /// `cancelled` is called, too, where the user gave the operation up: nobody may listen any more.
  void once(const Loop& loop, Waiting waiting, std::function<void()> cancelled = {}) {
    waiting_.park(loop, std::move(waiting),
                  [loop, cancelled = std::move(cancelled)](
                      Waiting parked, bool woken, boost::system::error_code error, auto... values) {
                    if (!woken) error = boost::asio::error::operation_aborted;
                    if (!woken && cancelled) cancelled();
                    // There, on the handler's own executor.
                    boost::asio::dispatch(
                        loop.executor(),
                        boost::asio::append(std::move(parked), error, std::move(values)...));
                  });
  }
  bool has_listener() const { return !handlers_.empty() || !waiting_.empty(); }

  /// Calls the handlers that were there when it began; they may add others. Waiting operations end
  /// in a later turn.
  void emit(const Args&... args) {
    waiting_.wake_all({}, args...);
    handlers_(args...);
  }

  /// The event can come no more; true if an operation waited for it.
  bool abort(boost::system::error_code why = boost::asio::error::operation_aborted) {
    return waiting_.wake_all(why, std::remove_cvref_t<Args>{}...);
  }

 private:
  Handlers<Args...> handlers_;
  Parking<boost::system::error_code, std::remove_cvref_t<Args>...> waiting_;
};

}  // namespace cohort
