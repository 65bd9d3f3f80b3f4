#include "cluster/stop_control.h"

#include <boost/asio/io_context.hpp>
#include <csignal>
#include <utility>

namespace cohort::cluster {

StopControl::StopControl(const Loop& loop, std::function<void(const Stopping&)> stop)
    : loop_{loop}, stop_{std::move(stop)}, signals_{loop.context()} {}

void StopControl::listen() {
  if (std::exchange(listens_, true)) return;
  boost::system::error_code ignored;
  signals_.add(SIGTERM, ignored);
  signals_.add(SIGINT, ignored);
  await_signal();
}

void StopControl::await_signal() {
  auto executor = loop_.context().get_executor();
  signals_.async_wait([this, executor](auto error, int number) {
    executor.on_work_started();  // see below
    if (error) return;
    loop_.run_here(callbacks_.wrap([this, number] { wish(number); }));
    await_signal();
  });
  // Waiting for a signal does not keep the loop running; as in base/loop.h.
  executor.on_work_finished();
}

void StopControl::wish(std::optional<int> signal) {
  const auto now = std::chrono::steady_clock::now();
  const bool again = wishes_.any();
  if (!wishes_.is_one(now)) return;
  if (!again) deadline_ = now + grace_;
  const Stopping stopping{signal, again, again ? now : deadline_};
  on_stopping.emit(stopping);
  stop_(stopping);
}

}  // namespace cohort::cluster
