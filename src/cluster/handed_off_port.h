// A port that the primary accepts from: it hands each connection to a free worker, or to the one
// that the user's own policy names. Under round-robin, and wherever the workers must not accept.
//
// What no worker is free for stays in the kernel's queue. Owned by the Listeners; loop's executor
// only.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "cluster/port.h"
#include "cohort/cluster.h"

namespace cohort::cluster {

class HandedOffPort final : public Port {
 public:
  /// A policy of the user's own.
  struct Pick {
    std::function<std::optional<std::size_t>(const Arrival&)> slot{};  ///< None: any free worker.
    std::size_t peek_size = 0;                                         ///< Bytes that it is shown.
  };

  /// The socket listens.
  HandedOffPort(const Loop& loop, Asked asked, OwnFd socket, net::SocketFile file, Pick pick);
  ~HandedOffPort() override { remove_file(); }
  /// Another that listens, on another spelling of the same name.
  void accept_too(OwnFd socket);

  int socket_of(int /*worker*/) const override { return -1; }
  Policy policy() const override { return pick_.slot ? Policy::Own : Policy::RoundRobin; }
  void complete(Value& reply, int worker) const override;
  void welcome(HandoffPeer& worker) override;

 private:
  std::vector<int> sockets() const override;
  void await_arrivals(bool room) override;
  OwnFd accept() const;
  void accept_ready();
  void no_descriptors(int reason);
  int picked(int connection);

  Watch watch_;
  std::unique_ptr<Watch> also_;
  Pick pick_;
  bool complained_ = false;  // of having no descriptors, since the last connection
};

}  // namespace cohort::cluster
