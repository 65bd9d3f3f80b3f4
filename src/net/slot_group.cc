#include "net/slot_group.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "base/sys.h"
#include "net/bind.h"

namespace cohort::net {

Result<SlotGroup> SlotGroup::open(const ListenRequest& request) {
  SlotGroup group{request.backlog};
  auto bound = bind_socket(request);
  if (!bound) return bound.error();
  if (sys::set_int_option(bound->get(), SOL_SOCKET, SO_REUSEPORT, 1) == -1)
    return errno_error("SO_REUSEPORT");
  if (auto listening = listen_on(bound->get(), group.backlog_); !listening)
    return listening.error();
  group.sockets_.push_back(std::move(*bound));
  return group;
}

Result<void> SlotGroup::add() {
  if (size() == kSlotsMax)
    return make_error(Errc::InvalidArgument, "listen",
                      "one address has at most " + std::to_string(kSlotsMax) + " slots");
  auto bound = bind_beside(sockets_.front().get());
  if (!bound) return bound.error();
  if (auto listening = listen_on(bound->get(), backlog_); !listening) return listening.error();
  // Where that is not allowed any more the next steering loads it again, or fails.
  if (by_queues_ && !by_queues_->set_socket(size(), bound->get())) by_queues_.reset();
  sockets_.push_back(std::move(*bound));
  return {};
}

Result<void> SlotGroup::steer(const SteeringProgram& program) {
  // The kernel only reads it.
  const sock_fprog attached{static_cast<unsigned short>(program.size()),
                            const_cast<sock_filter*>(program.data())};
  if (sys::setsockopt(sockets_.front().get(), SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &attached,
                      sizeof attached) == -1)
    return errno_error("attach a steering program");
  by_queues_.reset();
  return {};
}

Result<void> SlotGroup::steer_by_queues(const std::vector<bool>& eligible) {
  if (by_queues_) return by_queues_->choose_among(eligible);
  auto steering = QueueSteering::load();
  if (!steering) return steering.error();
  for (std::size_t slot = 0; slot < size(); ++slot)
    if (auto set = steering->set_socket(slot, fd(slot)); !set) return set.error();
  if (auto chosen = steering->choose_among(eligible); !chosen) return chosen.error();
  if (auto attached = steering->attach(fd(0)); !attached) return attached.error();
  by_queues_ = std::move(*steering);
  return {};
}

unsigned SlotGroup::waiting(std::size_t slot) const {
  tcp_info info{};
  socklen_t size = sizeof info;
  // Of a listening socket, these are the lengths of its queue: now, and at most.
  if (sys::getsockopt(sockets_[slot].get(), IPPROTO_TCP, TCP_INFO, &info, size) == -1) return 0;
  return info.tcpi_unacked;
}

}  // namespace cohort::net
