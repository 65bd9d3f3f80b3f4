#include "cluster/supervisor_queue.h"

namespace cohort::cluster {

bool SupervisorQueue::tell(const SupervisorEvent& event) {
  events_.push_back(event);
  if (events_.size() > 1) return false;
  // Whatever a handler throws, who comes later is not behind an event that is never carried out.
  struct Cleared {
    std::deque<SupervisorEvent>& events;
    ~Cleared() { events.clear(); }
  };
  const Cleared cleared{events_};
  while (!events_.empty()) {
    const auto actions = step(state_, events_.front(), hands_.now());
    if (hands_.decided) hands_.decided(events_.front(), actions);
    for (const auto& action : actions) hands_.carry_out(action);
    events_.pop_front();
  }
  return true;
}

}  // namespace cohort::cluster
