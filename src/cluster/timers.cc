#include "cluster/timers.h"

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <utility>

namespace cohort {

namespace asio = boost::asio;

struct Timer::Impl {
  Impl(const Loop& timer_loop, std::chrono::milliseconds timer_period, bool again,
       std::function<void()> timer_task)
      : loop{timer_loop},
        timer{timer_loop.context()},
        period{timer_period},
        repeats{again},
        task{std::move(timer_task)} {}

  void start(const std::shared_ptr<Impl>& self) {
    timer.expires_at(next);
    timer.async_wait([self](boost::system::error_code error) {
      if (!error) self->loop.run_here([self] { self->fire(self); });
    });
  }
  void fire(const std::shared_ptr<Impl>& self) {
    if (cancelled) return;
    if (!repeats) return task();
    // From the time it was due, so that it keeps its rate; ticks that a busy loop missed are
    // skipped.
    next += period;
    const auto now = std::chrono::steady_clock::now();
    if (next < now) next = now;
    start(self);
    task();
  }

  Loop loop;
  asio::steady_timer timer;
  std::chrono::milliseconds period;
  bool repeats;
  std::function<void()> task;
  std::chrono::steady_clock::time_point next = std::chrono::steady_clock::now() + period;
  bool cancelled = false;
};

void Timer::cancel() const {
  impl_->cancelled = true;
  impl_->timer.cancel();
}

namespace cluster {

Timer Timers::add(std::chrono::milliseconds period, bool repeats, std::function<void()> task) {
  std::erase_if(timers_, [](const auto& weak) { return weak.expired(); });
  const auto shortest = std::chrono::milliseconds{repeats ? 1 : 0};
  auto timer =
      std::make_shared<Timer::Impl>(loop_, std::max(period, shortest), repeats, std::move(task));
  timer->start(timer);
  timers_.push_back(timer);
  return Timer{timer};
}

void Timers::cancel_all() {
  for (const auto& weak : timers_)
    if (const auto timer = weak.lock()) Timer{timer}.cancel();
}

}  // namespace cluster
}  // namespace cohort
