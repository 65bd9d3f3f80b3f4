#include "cluster/supervisor_loop.h"

namespace cohort::cluster {

void SupervisorLoop::tell(const SupervisorEvent& event) {
  if (queue_.tell(event)) arm_timer();
}

void SupervisorLoop::arm_timer() {
  const auto at = next_wakeup(state());
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
