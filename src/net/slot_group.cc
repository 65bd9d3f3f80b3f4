#include "net/slot_group.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <string>
#include <tuple>
#include <utility>

#include "base/sys.h"
#include "net/bind.h"
#include "net/datagram.h"
#include "net/sockaddr.h"

namespace cohort::net {

namespace {

// From here on others may bind the address, too: those of the same user, with the option.
Result<OwnFd> share_port(Result<OwnFd> bound) {
  if (bound && sys::set_int_option(bound->get(), SOL_SOCKET, SO_REUSEPORT, 1) == -1)
    return errno_error("SO_REUSEPORT");
  return bound;
}

// A socket that is to be connected to a listening one of this machine.
struct Client {
  OwnFd socket;
  std::uint16_t port;  // its own
  SockAddr server;
};

Result<Client> bind_client_to(const std::string& host, std::uint16_t port) {
  const auto server = to_sockaddr({host, port});
  const auto own = to_sockaddr({host, 0});
  if (!server || !own) return server ? own.error() : server.error();
  OwnFd socket = sys::socket(server->family(), SOCK_STREAM, 0);
  if (!socket) return errno_error("connect to a worker");
  if (sys::bind(socket.get(), own->get(), own->size) == -1)
    return errno_error("connect to a worker");
  const auto bound = local_address(socket.get());
  if (!bound) return bound.error();
  return Client{std::move(socket), bound->port(), *server};
}

// `::` takes IPv4, too, where this machine has no IPv6 address.
Result<Client> bind_client(int listening) {
  const auto address = local_address(listening);
  if (!address) return address.error();
  const bool any = address->host() == "::";
  if (any)
    if (auto client = bind_client_to("::1", address->port())) return client;
  const bool ipv4 = any || address->host() == "0.0.0.0";
  return bind_client_to(ipv4 ? "127.0.0.1" : address->host(), address->port());
}

}  // namespace

Result<SlotGroup> SlotGroup::open(const ListenRequest& request) {
  auto bound = share_port(bind_socket(request));
  // A socket forgets a port that the system chose when it is shut down (`migrate`); not so one that
  // asked for that port.
  if (bound && request.address.port() == 0) bound = bind_beside(bound->get());
  SlotGroup group{request.backlog};
  if (auto added = group.append(std::move(bound)); !added) return added.error();
  return group;
}

Result<SlotGroup> SlotGroup::open_datagram(const Address& address, bool v6, bool ipv6_only) {
  auto bound = share_port(bind_datagram(address, v6, ipv6_only, false));
  // One that had the option only later is no group of its own.
  if (bound) bound = bind_beside(bound->get());
  SlotGroup group{std::nullopt};
  if (auto added = group.append(std::move(bound)); !added) return added.error();
  return group;
}

Result<void> SlotGroup::add() {
  if (size() == kSlotsMax)
    return make_error(Errc::InvalidArgument, "listen",
                      "one address has at most " + std::to_string(kSlotsMax) + " slots");
  return append(bind_beside(sockets_.front().get()));
}

// The kernel's group grows at its end, too.
Result<void> SlotGroup::append(Result<OwnFd> bound) {
  if (!bound) return bound.error();
  if (backlog_)
    if (auto listening = listen_on(bound->get(), *backlog_); !listening) return listening.error();
  // Where that is not allowed any more the next steering loads it again, or fails.
  if (by_queues_ && !by_queues_->set_socket(size(), bound->get())) by_queues_.reset();
  order_.push_back(size());
  sockets_.push_back(std::move(*bound));
  return {};
}

Result<void> SlotGroup::steer(const SteeringProgram& program) {
  if (auto attached = attach(program); !attached) return attached;
  program_ = program;
  by_queues_.reset();
  return {};
}

Result<void> SlotGroup::attach(const SteeringProgram& program) {
  // The kernel only reads it.
  const sock_fprog attached{static_cast<unsigned short>(program.size()),
                            const_cast<sock_filter*>(program.data())};
  if (sys::setsockopt(sockets_.front().get(), SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &attached,
                      sizeof attached) == -1)
    return errno_error("attach a steering program");
  return {};
}

// 0: nobody any more.
Result<void> SlotGroup::lead(std::uint16_t source_port, std::size_t slot) {
  if (by_queues_) return by_queues_->lead(source_port, slot);
  return attach(source_port == 0 ? program_ : but_from(source_port, position(slot), program_));
}

Result<OwnFd> SlotGroup::connect(std::size_t slot) {
  constexpr std::chrono::milliseconds kPatience{20};  // over the loopback interface
  auto client = bind_client(fd(slot));
  if (!client) return client.error();
  const int socket = client->socket.get();
  if (auto led = lead(client->port, slot); !led) return led.error();
  const bool fails =
      sys::connect(socket, client->server.get(), client->server.size) == -1 && errno != EINPROGRESS;
  const int error = fails ? errno : 0;
  const bool done =
      !fails && sys::wait_for(socket, POLLOUT, std::chrono::steady_clock::now() + kPatience);
  if (auto led = lead(0, slot); !led) return led.error();
  if (fails) return system_error(error, "connect to a worker");
  if (!done) return system_error(EAGAIN, "connect to a worker", "its queue is full");
  return std::move(client->socket);
}

Result<void> SlotGroup::steer_by_queues(const Shares& shares) {
  shares_ = shares;
  if (by_queues_) return by_queues_->choose_among(shares_, positions());
  auto steering = QueueSteering::load();
  if (!steering) return steering.error();
  for (std::size_t slot = 0; slot < size(); ++slot)
    if (auto set = steering->set_socket(slot, fd(slot)); !set) return set.error();
  if (auto chosen = steering->choose_among(shares_, positions()); !chosen) return chosen.error();
  if (auto attached = steering->attach(fd(0)); !attached) return attached.error();
  by_queues_ = std::move(*steering);
  return {};
}

std::size_t SlotGroup::position(std::size_t slot) const {
  const auto found = std::find(order_.begin(), order_.end(), slot);
  return found == order_.end() ? kSlotsMax : static_cast<std::size_t>(found - order_.begin());
}

std::vector<std::size_t> SlotGroup::positions() const {
  std::vector<std::size_t> result;
  for (std::size_t slot = 0; slot < size(); ++slot) result.push_back(position(slot));
  return result;
}

// The kernel fills the position of a socket that is shut down with the last one, and puts one that
// listens again at the end.
Result<void> SlotGroup::migrate(std::size_t slot) {
  if (sys::shutdown(fd(slot), SHUT_RD) == -1) return errno_error("move connections");
  order_[position(slot)] = order_.back();
  order_.pop_back();
  if (auto listening = listen_again(slot); !listening) {
    if (position(slot) == kSlotsMax) closed_.push_back(slot);
    return listening;
  }
  return by_queues_->choose_among(shares_, positions());
}

Result<void> SlotGroup::listen_again(std::size_t slot) {
  if (auto listening = listen_on(fd(slot), *backlog_); !listening) return listening;
  order_.push_back(slot);
  return by_queues_ ? by_queues_->set_socket(slot, fd(slot)) : Result<void>{};
}

void SlotGroup::reopen() {
  std::erase_if(closed_, [&](std::size_t slot) {
    std::ignore = listen_again(slot);
    return position(slot) != kSlotsMax;
  });
}

unsigned SlotGroup::waiting(std::size_t slot) const {
  if (!backlog_) return sys::poll(fd(slot), POLLIN, 0) > 0 ? 1 : 0;
  tcp_info info{};
  socklen_t size = sizeof info;
  // Of a listening socket, these are the lengths of its queue: now, and at most.
  if (sys::getsockopt(sockets_[slot].get(), IPPROTO_TCP, TCP_INFO, &info, size) == -1) return 0;
  return info.tcpi_unacked;
}

}  // namespace cohort::net
