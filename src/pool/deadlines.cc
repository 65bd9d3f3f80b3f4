#include "pool/deadlines.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "base/signals_blocked.h"

namespace cohort::pool {

Deadlines::~Deadlines() {
  {
    const std::lock_guard lock{mutex_};
    ends_ = true;
    sooner_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void Deadlines::add(TimePoint when, std::weak_ptr<const void> owner, std::function<void()> task) {
  const std::lock_guard lock{mutex_};
  if (tasks_.size() >= look_at_) drop_orphans();
  const auto added = tasks_.emplace(when, Entry{std::move(owner), std::move(task)});
  if (!thread_.joinable()) {
    const SignalsBlocked blocked;
    thread_ = std::thread{[this] { run(); }};
  } else if (added == tasks_.begin()) {
    sooner_.notify_one();
  }
}

// Each time there are twice as many as were left: that costs each of them a look or two.
void Deadlines::drop_orphans() {
  std::erase_if(tasks_, [](const auto& each) { return each.second.owner.expired(); });
  look_at_ = std::max(kLookMin, 2 * tasks_.size());
}

void Deadlines::run() {
  ::pthread_setname_np(::pthread_self(), name_.substr(0, 15).c_str());
  std::unique_lock lock{mutex_};
  while (!ends_) {
    if (tasks_.empty()) {
      sooner_.wait(lock);
      continue;
    }
    // A copy: while this waits, the entry may be dropped.
    const TimePoint first = tasks_.begin()->first;
    if (first > std::chrono::steady_clock::now()) {
      sooner_.wait_until(lock, first);
    } else {
      const auto task = tasks_.extract(tasks_.begin());
      lock.unlock();
      if (const auto owner = task.mapped().owner.lock()) task.mapped().task();
      lock.lock();
    }
  }
}

}  // namespace cohort::pool
