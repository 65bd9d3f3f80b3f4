#include "cluster/left_queues.h"

#include <chrono>
#include <utility>

#include "base/assert.h"
#include "base/sys.h"

namespace cohort::cluster {
namespace {

constexpr std::chrono::milliseconds kInheritAgain{100};

}  // namespace

void LeftQueues::watch(const std::set<std::size_t>& queues) {
  std::erase_if(watches_, [&](const auto& watch) { return !queues.contains(watch.first); });
  for (const std::size_t queue : queues) {
    if (watches_.contains(queue)) continue;
    // A watch has a descriptor of its own. If there is none, the next change of workers may find
    // one.
    OwnFd socket = sys::duplicate(group_.fd(queue));
    if (!socket) continue;
    watches_.emplace(queue, std::make_unique<Watch>(loop_, std::move(socket)));
    wait(queue);
  }
}

void LeftQueues::wait(std::size_t queue) {
  Watch& watch = *known(watches_, queue);
  watch.set_ref(false);
  watch.wait_readable([this, queue] {
    arrived_(queue);
    if (!watches_.contains(queue)) return;
    if (group_.waiting(queue) == 0)
      wait(queue);
    else
      wait_later();  // there are no descriptors: it stays readable, and only time helps
  });
}

void LeftQueues::wait_later() {
  retry_.expires_after(kInheritAgain);
  retry_.async_wait(callbacks_.wrap([this](boost::system::error_code error) {
    if (error) return;
    for (const auto& [queue, watch] : watches_)
      if (!watch->waiting_readable()) wait(queue);
  }));
}

}  // namespace cohort::cluster
