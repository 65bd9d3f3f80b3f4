#include "cluster/port_users.h"

#include <algorithm>

namespace cohort::cluster {
namespace {

// Of processes that the user forks himself, nobody says that they have no successor.
constexpr std::size_t kRememberedMax = 1024;

}  // namespace

void PortUsers::join(int worker, User user) {
  to_be_closed_ = false;
  predecessors_.erase(worker);
  users_.insert_or_assign(worker, user);
}

bool PortUsers::hold(int worker, bool held) {
  const auto user = users_.find(worker);
  if (user == users_.end()) return false;
  user->second.held = held;
  return true;
}

bool PortUsers::remove(int worker, bool for_good) {
  if (users_.erase(worker) == 0) return false;
  if (for_good) {
    if (users_.empty()) to_be_closed_ = true;
    return true;
  }
  predecessors_.insert(worker);
  if (predecessors_.size() > kRememberedMax) predecessors_.erase(predecessors_.begin());
  return true;
}

bool PortUsers::close(int worker, bool for_good) {
  retired_.erase(worker);
  return remove(worker, for_good);
}

bool PortUsers::retire(int worker, bool for_good, bool may_accept) {
  if (!remove(worker, for_good)) return false;
  if (may_accept) retired_.insert(worker);
  return true;
}

void PortUsers::lose(int worker) { close(worker, false); }

void PortUsers::expect_no_successor(int worker) {
  if (predecessors_.erase(worker) > 0 && predecessors_.empty()) close_if_unused();
}

bool PortUsers::close_if_unused() {
  if (!users_.empty()) return false;
  return to_be_closed_ = true;
}

bool PortUsers::none_takes() const {
  return !users_.empty() && std::all_of(users_.begin(), users_.end(),
                                        [](const auto& user) { return user.second.only_accepts; });
}

}  // namespace cohort::cluster
