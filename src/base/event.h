// The handlers of one event, and the operations that wait for it once.
#pragma once

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/append.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <functional>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/handlers.h"
#include "base/loop.h"

namespace cohort {

/// `Args` as the handlers take them (often const references); waiting operations get copies.
template <class... Args>
class Event {
 public:
  using Waiting = boost::asio::any_completion_handler<void(boost::system::error_code,
                                                           std::remove_cvref_t<Args>...)>;

  void on(std::function<void(Args...)> handler) { handlers_.add(std::move(handler)); }
  void once(Waiting waiting) { waiting_.push_back(std::move(waiting)); }
  bool has_listener() const { return !handlers_.empty() || !waiting_.empty(); }

  /// Calls the handlers that were there when it began; they may add others.
  void emit(const Loop& loop, const Args&... args) {
    for (auto& waiting : std::exchange(waiting_, {}))
      complete(loop, std::move(waiting), {}, std::remove_cvref_t<Args>(args)...);
    handlers_(args...);
  }

  /// The event can come no more; true if an operation waited for it.
  bool abort(const Loop& loop,
             boost::system::error_code why = boost::asio::error::operation_aborted) {
    auto aborted = std::exchange(waiting_, {});
    for (auto& waiting : aborted)
      complete(loop, std::move(waiting), why, std::remove_cvref_t<Args>{}...);
    return !aborted.empty();
  }

 private:
  static void complete(const Loop& loop, Waiting waiting, boost::system::error_code error,
                       std::remove_cvref_t<Args>... values) {
    // Never inside the call that emits; there, on the handler's own executor.
    boost::asio::post(loop.executor(),
                      boost::asio::append(std::move(waiting), error, std::move(values)...));
  }

  Handlers<Args...> handlers_;
  std::vector<Waiting> waiting_;
};

}  // namespace cohort
