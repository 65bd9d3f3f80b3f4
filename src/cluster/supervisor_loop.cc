#include "cluster/supervisor_loop.h"

namespace cohort::cluster {

void SupervisorLoop::tell(const SupervisorEvent& event) {
  events_.push_back(event);
  if (events_.size() > 1) return;
  // Whatever a handler throws, who comes later is not behind an event that is never carried out.
  struct Cleared {
    std::deque<SupervisorEvent>& events;
    ~Cleared() { events.clear(); }
  };
  const Cleared cleared{events_};
  while (!events_.empty()) {
    const auto actions = step(state_, events_.front(), std::chrono::steady_clock::now());
    for (const auto& action : actions) carry_out_(action);
    events_.pop_front();
  }
  arm_timer();
}

void SupervisorLoop::arm_timer() {
  const auto at = next_wakeup(state_);
  if (!at) {
    timer_.cancel();
    return;
  }
  timer_.expires_at(*at);
  timer_.async_wait(callbacks_.wrap([this](boost::system::error_code error) {
    if (!error) loop_.run_here(callbacks_.wrap([this] { tell(event::TimePassed{}); }));
  }));
}

}  // namespace cohort::cluster
