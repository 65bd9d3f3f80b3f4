// The handlers of one event, called in the order of addition. A handler may add others (called from
// the next event on) but not remove any; `clear` only when no call is running.
#pragma once

#include <functional>
#include <list>
#include <utility>

namespace cohort {

template <class... Args>
class Handlers {
 public:
  void add(std::function<void(Args...)> handler) {
    if (handler) handlers_.push_back(std::move(handler));
  }
  bool empty() const { return handlers_.empty(); }
  void clear() { handlers_.clear(); }

  void operator()(Args... args) const {
    auto left = handlers_.size();
    for (auto handler = handlers_.begin(); left > 0; ++handler, --left) (*handler)(args...);
  }

 private:
  // A list: additions move none that is running. And it costs nothing while it is empty, as most
  // are.
  std::list<std::function<void(Args...)>> handlers_;
};

}  // namespace cohort
