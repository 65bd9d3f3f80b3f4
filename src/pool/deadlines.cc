#include "pool/deadlines.h"

#include <pthread.h>

#include <utility>

#include "thread/signals_blocked.h"

namespace cohort::pool {

Deadlines::~Deadlines() {
  {
    const std::lock_guard lock{mutex_};
    ends_ = true;
    sooner_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void Deadlines::add(TimePoint when, std::function<void()> task) {
  const std::lock_guard lock{mutex_};
  const auto added = tasks_.emplace(when, std::move(task));
  if (!thread_.joinable()) {
    const thread::SignalsBlocked blocked;
    thread_ = std::thread{[this] { run(); }};
  } else if (added == tasks_.begin()) {
    sooner_.notify_one();
  }
}

void Deadlines::run() {
  ::pthread_setname_np(::pthread_self(), name_.substr(0, 15).c_str());
  std::unique_lock lock{mutex_};
  while (!ends_) {
    if (tasks_.empty()) {
      sooner_.wait(lock);
    } else if (tasks_.begin()->first > std::chrono::steady_clock::now()) {
      sooner_.wait_until(lock, tasks_.begin()->first);
    } else {
      const auto task = tasks_.extract(tasks_.begin());
      lock.unlock();
      task.mapped()();
      lock.lock();
    }
  }
}

}  // namespace cohort::pool
