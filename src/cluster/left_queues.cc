#include "cluster/left_queues.h"

#include <utility>

#include "base/sys.h"

namespace cohort::cluster {

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
  Watch& watch = *watches_.at(queue);
  watch.set_ref(false);
  watch.wait_readable([this, queue] {
    arrived_(queue);
    if (watches_.contains(queue)) wait(queue);
  });
}

}  // namespace cohort::cluster
