// The servers of one process: kept alive while they listen, drained together.
//
// Owned by a Host; loop's executor only.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "net/listener.h"

namespace cohort::net {

class OpenServers {
 public:
  OpenServers() = default;
  OpenServers(const OpenServers&) = delete;
  OpenServers& operator=(const OpenServers&) = delete;

  /// One `listen`. A user that listens once more before its former Listener is gone counts twice.
  void add(std::shared_ptr<ListenerUser> user) { users_.push_back(std::move(user)); }
  /// One Listener is gone. May destroy the user.
  void closed(const ListenerUser* user);
  bool empty() const { return users_.empty(); }

  /// Drains every server; calls `done` once, when all are done, possibly before this returns. A
  /// server added later is the caller's to refuse: see `draining`.
  void drain_all(std::function<void()> done);
  /// As ListenerUser::rest, for every server.
  void rest_all(bool on);
  bool draining() const { return draining_; }
  /// The host ends.
  void abandon_all();

 private:
  std::vector<std::shared_ptr<ListenerUser>> users_;  // shared with their handles
  bool draining_ = false;
};

}  // namespace cohort::net
