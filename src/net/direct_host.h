// The host of a process that has no primary: it binds its own ports and accepts its own
// connections.
//
// Owned by main, a test, or the Cluster; loop's executor only. Destroying it closes every listener
// and lets go of every server.
#pragma once

#include <memory>
#include <vector>

#include "net/listener.h"
#include "net/open_servers.h"
#include "net/socket_file.h"

namespace cohort::net {

class DirectHost final : public Host {
 public:
  explicit DirectHost(const Loop& loop);
  ~DirectHost();
  DirectHost(const DirectHost&) = delete;
  DirectHost& operator=(const DirectHost&) = delete;

  const Loop& loop() const override { return loop_; }
  /// Binds at once (and resolves a name, blocking); the answer comes in a later turn.
  std::unique_ptr<Listener> listen(const ListenRequest& request,
                                   std::shared_ptr<ListenerUser> user) override;
  std::unique_ptr<Listener> adopt(OwnFd listening, std::shared_ptr<ListenerUser> user) override;
  Result<int> listening_descriptor(const ListenRequest& request) override;

  /// Drains every server; `done` is called once, possibly before this returns. A server that wants
  /// to listen later is drained instead.
  void drain(std::function<void()> done) { servers_.drain_all(std::move(done)); }
  /// Closes every server at once, and drops their users' handlers.
  void abandon() { servers_.abandon_all(); }

 private:
  class Claim;
  class Handle;
  std::unique_ptr<Listener> add(const std::shared_ptr<Claim>& claim,
                                std::shared_ptr<ListenerUser> user);
  void remove(const Claim* claim);

  Loop loop_;
  OpenServers servers_;
  std::vector<std::shared_ptr<Claim>> claims_;  // shared with callbacks that are running
  std::vector<OwnFd> descriptors_;
  std::vector<SocketFile> socket_files_;  // of descriptors_
};

}  // namespace cohort::net
