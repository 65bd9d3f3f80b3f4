#include "cluster/port_book.h"

namespace cohort::cluster {

bool PortBook::close(int worker, bool for_good) {
  if (!users_.close(worker, for_good)) return false;
  held_.dispatcher().leave(worker);
  return true;
}

bool PortBook::hold(int worker, bool held) {
  if (!users_.hold(worker, held)) return false;
  if (held) held_.dispatcher().leave(worker);
  return true;
}

void PortBook::retire(int worker, bool for_good, bool accepts) {
  const bool may_accept = users_.contains(worker) && accepts;
  if (users_.retire(worker, for_good, may_accept)) held_.dispatcher().leave(worker);
}

bool PortBook::lose(int worker) {
  users_.lose(worker);
  return any_may_take();
}

bool PortBook::is_awaited(const std::function<bool()>& any_arrived) const {
  return !users_.empty() && (held_.dispatcher().waiting() > 0 || any_arrived());
}

std::optional<PortBook::TimePoint> PortBook::retry_at(TimePoint now) const {
  const Dispatcher& dispatcher = held_.dispatcher();
  if (dispatcher.room(now) > 0 && dispatcher.waiting() == 0) return std::nullopt;
  return dispatcher.retry_at(now);
}

}  // namespace cohort::cluster
