#include "cluster/shared_port.h"

#include <utility>

#include "base/sys.h"

namespace cohort::cluster {

SharedPort::SharedPort(const Loop& loop, Asked asked, OwnFd socket, net::SocketFile file)
    : Port{loop, std::move(asked), std::move(file)}, socket_{std::move(socket)} {
  // Once: what a worker sets later, it sets for all.
  if (this->asked().lent) sys::set_nonblocking(socket_.get(), false);
}

void SharedPort::welcome(HandoffPeer& worker) {
  if (users().takes(worker.id())) held().join(worker.id(), kMovedCredits);
  pump();
}

}  // namespace cohort::cluster
