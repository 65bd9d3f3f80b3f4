#include "http/drain_waiters.h"

#include <utility>

namespace cohort::http {

std::vector<DrainWaiters::Callback> DrainWaiters::take(std::uint64_t current, bool answering) {
  const bool with_current = std::exchange(told_to_stop_, false) || !answering;
  std::vector<Callback> called;
  for (One& one : std::exchange(waiting_, {})) {
    if (with_current || one.serial != current)
      called.push_back(std::move(one.callback));
    else
      waiting_.push_back(std::move(one));
  }
  return called;
}

}  // namespace cohort::http
