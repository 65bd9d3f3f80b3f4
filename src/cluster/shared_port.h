// A port whose workers accept, or read datagrams, from one socket. The primary only hands off what
// a worker gives back.
//
// Owned by the Listeners; loop's executor only.
#pragma once

#include <vector>

#include "cluster/port.h"

namespace cohort::cluster {

class SharedPort final : public Port {
 public:
  SharedPort(const Loop& loop, Asked asked, OwnFd socket, net::SocketFile file);
  ~SharedPort() override { remove_file(); }

  int socket_of(int /*worker*/) const override { return socket_.get(); }
  Policy policy() const override { return Policy::Shared; }
  void welcome(HandoffPeer& worker) override;

 private:
  std::vector<int> sockets() const override { return {socket_.get()}; }

  OwnFd socket_;
};

}  // namespace cohort::cluster
