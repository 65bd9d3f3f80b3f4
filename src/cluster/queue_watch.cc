#include "cluster/queue_watch.h"

#include <algorithm>
#include <utility>

#include "base/sys.h"

namespace cohort::cluster {
namespace {

// While the workers change; and after connections that came sooner than the next look would have.
constexpr std::chrono::seconds kAwakeFor{1};
constexpr int kLooksWhileBusy = 16;
// After so many looks at which nothing happened, half as often; up to so many times.
constexpr int kIdleLooks = 8;
constexpr int kHalvedAtMost = 4;

}  // namespace

QueueWatch::QueueWatch(const Loop& loop, const net::SlotGroup& group,
                       std::chrono::milliseconds look_every, std::function<void()> look)
    : loop_{loop},
      group_{group},
      look_every_{look_every},
      look_{std::move(look)},
      timer_{loop_.executor()} {
  watch_all();  // now, so that later no descriptor more is held
}

// False if there are no descriptors for it; the next time there may be.
bool QueueWatch::watch_all() {
  if (!epoll_) {
    epoll_ = sys::epoll_create();
    watched_ = 0;
  }
  for (; epoll_ && watched_ < group_.size(); ++watched_)
    if (sys::epoll_add_readable(epoll_.get(), group_.fd(watched_), watched_) == -1) return false;
  return static_cast<bool>(epoll_);
}

std::vector<unsigned> QueueWatch::lengths() {
  std::vector<unsigned> lengths(group_.size());
  std::vector<epoll_event> ready(group_.size());
  const int count = watch_all() ? sys::epoll_ready(epoll_.get(), ready) : -1;
  if (count == -1) {
    for (std::size_t slot = 0; slot < lengths.size(); ++slot) lengths[slot] = group_.waiting(slot);
    return lengths;
  }
  ready.resize(static_cast<std::size_t>(count));
  for (const epoll_event& event : ready) lengths[event.data.u64] = group_.waiting(event.data.u64);
  return lengths;
}

void QueueWatch::fall_asleep() {
  if (!watch_all()) return look_later();
  awake_ = false;
  asleep_since_ = Clock::now();
  asleep_ = std::make_unique<Watch>(loop_, std::move(epoll_));
  asleep_->set_ref(false);
  asleep_->wait_readable([this] {
    const auto now = Clock::now();
    // It would be woken by each of many.
    if (now - asleep_since_ < look_every_)
      awake_until_ = std::max(awake_until_, now + kLooksWhileBusy * look_every_);
    get_up();
    look_();
  });
}

void QueueWatch::get_up() {
  if (asleep_) epoll_ = asleep_->release();
  asleep_.reset();
  awake_ = true;
}

void QueueWatch::wake() {
  awake_until_ = Clock::now() + kAwakeFor;
  if (awake_) return;
  get_up();
  look_later();
}

void QueueWatch::wake_up_fully() {
  wake();
  if (std::exchange(idle_looks_, 0) >= kIdleLooks) look_later();  // sooner than it would
}

void QueueWatch::go_on(bool anything_happened, bool anything_left) {
  idle_looks_ = anything_happened ? 0 : std::min(idle_looks_ + 1, kIdleLooks * kHalvedAtMost);
  if (anything_left || Clock::now() < awake_until_)
    look_later();
  else
    fall_asleep();
}

void QueueWatch::look_later() {
  timer_.expires_after(look_every_ * (1 << std::min(idle_looks_ / kIdleLooks, kHalvedAtMost)));
  timer_.async_wait(callbacks_.wrap([this](boost::system::error_code error) {
    if (!error) look_();
  }));
}

}  // namespace cohort::cluster
