#include "net/open_servers.h"

#include <algorithm>
#include <utility>

namespace cohort::net {

void OpenServers::closed(const ListenerUser* user) {
  const auto found = std::find_if(users_.begin(), users_.end(),
                                  [user](const auto& entry) { return entry.get() == user; });
  if (found == users_.end()) return;
  // Its destructor may come back here: out of the list first.
  const auto last = std::move(*found);
  users_.erase(found);
}

void OpenServers::drain_all(std::function<void()> done) {
  draining_ = true;
  // One more than there are servers, so that it cannot end while they are still being told.
  auto left = std::make_shared<std::size_t>(users_.size() + 1);
  const auto one_done = [left, done = std::move(done)] {
    if (--*left == 0) done();
  };
  const auto users = users_;  // draining takes them out of the list
  for (const auto& user : users) user->drain(one_done);
  one_done();
}

void OpenServers::rest_all(bool on) {
  for (const auto& user : std::vector{users_}) user->rest(on);
}

void OpenServers::abandon_all() {
  for (const auto& user : std::exchange(users_, {})) user->abandon();
}

}  // namespace cohort::net
