#include "cluster/stop_control.h"

#include <boost/asio/io_context.hpp>
#include <csignal>
#include <utility>

namespace cohort::cluster {

StopControl::StopControl(const Loop& loop, std::function<void(const Stopping&)> stop)
    : loop_{loop}, stop_{std::move(stop)}, signals_{loop.context()}, timer_{loop.context()} {}

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
  const bool was_lame_duck = is_lame_duck();
  if (!stages_.wish(std::chrono::steady_clock::now())) return;
  switch (stages_.stage()) {
    case StopStages::Stage::LameDuck:
      return be_lame_duck(signal);
    case StopStages::Stage::Hurrying:
      return hurry(signal, was_lame_duck);
    default:
      return end(signal);
  }
}

void StopControl::be_lame_duck(std::optional<int> signal) {
  timer_.expires_at(stages_.ends_at());
  timer_.async_wait(callbacks_.wrap([this, signal](boost::system::error_code error) {
    if (error) return;
    loop_.run_here(callbacks_.wrap([this, signal] {
      if (stages_.time_passed(std::chrono::steady_clock::now())) end(signal);
    }));
  }));
  on_stopping.emit(
      {.signal = signal, .lame_duck = stages_.lame_duck_time(), .deadline = stages_.deadline()});
}

void StopControl::end(std::optional<int> signal) {
  const Stopping stopping{.signal = signal, .deadline = stages_.deadline()};
  on_stopping.emit(stopping);
  stop_(stopping);
}

// Who has not begun to end cannot be hurried.
void StopControl::hurry(std::optional<int> signal, bool was_lame_duck) {
  const auto now = std::chrono::steady_clock::now();
  const Stopping stopping{.signal = signal, .at_once = true, .deadline = now};
  on_stopping.emit(stopping);
  timer_.cancel();
  if (was_lame_duck) stop_({.signal = signal, .deadline = now});
  stop_(stopping);
}

}  // namespace cohort::cluster
