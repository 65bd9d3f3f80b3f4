#include "cluster/port_opener.h"

#include <sys/un.h>

#include <filesystem>
#include <utility>

#include "base/notices.h"
#include "base/sys.h"
#include "cluster/handed_off_port.h"
#include "cluster/shared_port.h"
#include "cluster/slot_port.h"
#include "net/bind.h"
#include "net/datagram.h"
#include "net/inherited.h"

namespace cohort::cluster {
namespace {

// A socket that there is already: a descriptor of the primary's, or one that it was started with.
// None: one has to be bound.
Result<OwnFd> given_socket(const QueryServer& query) {
  if (!query.fd) {
    Address address = query.listen_address();
    if (query.is_datagram() && address.host().empty())
      address = Address::datagram(query.v6 ? "::" : "0.0.0.0", address.port());
    return net::inherited_socket(address, query.is_datagram() ? SOCK_DGRAM : SOCK_STREAM);
  }
  OwnFd fd = sys::duplicate(*query.fd);
  if (!fd || sys::set_nonblocking(fd.get(), true) == -1)
    return errno_error("listen on descriptor " + std::to_string(*query.fd));
  return fd;
}

// Workers give absolute paths, of which a socket's address holds 107 bytes: where that is too
// little, the way from here may be shorter. As Node does.
Address within_reach(const Address& address) {
  constexpr std::size_t kPathMax = 107;
  if (!address.is_unix() || address.path().size() <= kPathMax) return address;
  std::error_code error;
  const auto here = std::filesystem::current_path(error);
  const auto way = std::filesystem::path(address.path()).lexically_relative(here).string();
  return error || way.empty() || way.size() > kPathMax ? address : Address::from_path(way);
}

net::ListenRequest listen_request(const QueryServer& query) {
  return {.address = within_reach(query.listen_address()),
          .backlog = query.wishes.backlog,
          .ipv6_only = query.wishes.ipv6_only,
          .readable_all = query.wishes.readable_all,
          .writable_all = query.wishes.writable_all};
}

Result<OwnFd> bind(const QueryServer& query) {
  return query.is_datagram()
             ? net::bind_datagram(query.listen_address(), query.v6, query.wishes.ipv6_only,
                                  query.wishes.reuse_address)
             : net::bind_socket(listen_request(query));
}

bool has_slots(Policy policy) {
  return policy != Policy::RoundRobin && policy != Policy::Shared && policy != Policy::Own;
}

}  // namespace

PortOpener::PortOpener(const Loop& loop, ChosenPolicy policy, Decided decided)
    : loop_{loop}, policy_{std::move(policy)}, decided_{std::move(decided)} {}

Result<std::unique_ptr<Port>> PortOpener::open(const QueryServer& query, std::string key) {
  return open(query,
              {.key = std::move(key), .address = query.listen_address(), .data = query.data});
}

Result<std::unique_ptr<Port>> PortOpener::open_lent(const Address& address, std::string key) {
  QueryServer query;
  query.type = address.is_unix() ? SocketType::Unix : SocketType::Tcp;
  query.address = address.is_unix() ? address.path() : address.host();
  query.port = address.port();
  return open(query,
              {.key = std::move(key), .address = query.listen_address(), .data{}, .lent = true});
}

Result<std::unique_ptr<Port>> PortOpener::open(const QueryServer& query, Port::Asked asked) {
  auto given = given_socket(query);
  if (!given) return given.error();
  asked.given = static_cast<bool>(*given);
  Policy policy = policy_for(query, asked.given);
  const Policy without_slots =
      asked.lent || query.is_datagram() ? Policy::Shared : Policy::RoundRobin;
  if (asked.lent && policy == Policy::RoundRobin) {
    if (policy_.policy == Policy::RoundRobin || policy_.policy == Policy::Own)
      return make_error(
          Errc::InvalidArgument, "listen " + to_string(asked.address),
          std::string{"policy "} + to_string(policy_.policy) +
              " hands connections over a channel, which a program that takes LISTEN_FDS need not "
              "have: use adaptive, hash, sticky or shared");
    policy = without_slots;
  }
  if (has_slots(policy)) {
    auto opened = open_slots(query, asked, policy);
    if (opened || opened.error().code != Errc::NoDescriptor) return opened;
    say_without_slots(policy, without_slots, opened.error().detail);
    policy = without_slots;
  }
  return open_one(query, std::move(asked), policy, *std::move(given));
}

// Fails with NoDescriptor where the kernel does not steer.
Result<std::unique_ptr<Port>> PortOpener::open_slots(const QueryServer& query, Port::Asked asked,
                                                     Policy policy) {
  auto group = query.is_datagram() ? net::SlotGroup::open_datagram(query.listen_address(), query.v6,
                                                                   query.wishes.ipv6_only)
                                   : net::SlotGroup::open(listen_request(query));
  if (!group) return group.error();
  auto steering = SlotSteering::open(*std::move(group), policy, query.is_datagram());
  if (!steering) return steering.error();
  const auto decided = [tell = decided_, policy,
                        bound = bound_to(steering->group().fd(0), asked.address)](
                           const std::string& why) { tell(bound, policy, why); };
  return std::make_unique<SlotPort>(loop_, std::move(asked), *std::move(steering),
                                    SlotPort::Choice{policy, policy_.rescue_after}, decided);
}

// The primary accepts from one socket, or the workers do.
Result<std::unique_ptr<Port>> PortOpener::open_one(const QueryServer& query, Port::Asked asked,
                                                   Policy policy, OwnFd given) {
  const bool is_given = asked.given, is_lent = asked.lent;
  OwnFd fd = std::move(given);
  net::SocketFile file;
  if (!is_given) {
    auto bound = bind(query);
    if (!bound) return bound.error();
    fd = *std::move(bound);
    file = net::SocketFile{asked.address};
  }
  const bool listens_here = policy == Policy::RoundRobin || is_lent;
  // One that this process was started with listens.
  if (listens_here && (!is_given || query.fd))
    if (auto listening = net::listen_on(fd.get(), query.wishes.backlog); !listening) {
      file.remove();
      return listening.error();
    }
  // Then there is something to see, or to serve, when it is accepted.
  // (A socket that is given keeps the option when this service has ended.)
  if (listens_here && !is_lent &&
      (policy_.peek_size > 0 || (query.wishes.defer_accept && !is_given)))
    net::defer_accept(fd.get());
  const bool picked = policy_.pick && policy == Policy::RoundRobin;
  decided_(bound_to(fd.get(), asked.address), picked ? Policy::Own : policy,
           why(query, policy, is_given));
  if (policy != Policy::RoundRobin)
    return std::make_unique<SharedPort>(loop_, std::move(asked), std::move(fd), std::move(file));
  auto port =
      std::make_unique<HandedOffPort>(loop_, std::move(asked), std::move(fd), std::move(file),
                                      HandedOffPort::Pick{policy_.pick, policy_.peek_size});
  if (query.padded_too) {
    auto padded = open_padded(query);
    if (!padded) return padded.error();
    if (*padded) port->accept_too(*std::move(padded));
  }
  return port;
}

// Node 20 takes an abstract name with NULs up to the length of an address, also where it connects;
// Node 26, and all others, as it is. So clients of both come. None if both are the same.
Result<OwnFd> PortOpener::open_padded(const QueryServer& query) const {
  constexpr std::size_t kPathSize = sizeof(sockaddr_un::sun_path);
  std::string name = query.listen_address().path();
  if (name.size() >= kPathSize) return OwnFd{};
  name.resize(kPathSize, '\0');
  auto bound = net::bind_socket({.address = Address::from_path(name)});
  if (!bound) return bound;
  if (auto listening = net::listen_on(bound->get(), query.wishes.backlog); !listening)
    return listening.error();
  return bound;
}

// What it is to be.

// Slots are for addresses of TCP and UDP: a Unix socket is one of its name, and one that is given
// is what it is.
Policy PortOpener::policy_for(const QueryServer& query, bool given) const {
  const Policy policy = policy_.policy;
  const bool wants_slots = has_slots(policy) && !given;
  if (query.is_datagram())
    return wants_slots && !query.wishes.reuse_address ? Policy::Sticky : Policy::Shared;
  if (policy == Policy::Shared && !query.padded_too) return policy;
  if (!wants_slots || query.type == SocketType::Unix || is_limited(query))
    return Policy::RoundRobin;
  return policy == Policy::Auto ? Policy::Adaptive : policy;
}

// A Node worker closes what exceeds its limit, while others may have room: so it is asked first.
bool PortOpener::is_limited(const QueryServer& query) const {
  const bool free_to_choose = policy_.policy == Policy::Auto || policy_.policy == Policy::Adaptive;
  return query.connections_max > 0 && free_to_choose;
}

// Where the primary's own choice was not the user's.
std::string PortOpener::why(const QueryServer& query, Policy policy, bool given) const {
  if (query.is_datagram()) return "datagrams: the workers read from one socket";
  if (policy_.policy == Policy::Own && policy == Policy::RoundRobin) return "the user's own choice";
  std::string why = policy == Policy::Shared ? "the workers accept from one queue"
                                             : "the primary hands each one to a free worker";
  if (policy == policy_.policy) return why;
  if (query.padded_too) return "Node's abstract names have two spellings: " + why;
  if (is_limited(query)) return "it has maxConnections: the primary finds a worker that has room";
  if (complained_) return "this kernel does not steer: " + why;
  if (!given) return "a Unix socket has one queue: " + why;
  return (query.fd ? "a descriptor has one queue: " : "an inherited socket has one queue: ") + why;
}

// Once: it is so for every port.
void PortOpener::say_without_slots(Policy wanted, Policy instead, const std::string& reason) {
  if (std::exchange(complained_, true)) return;
  say(loop_,
      {"policy_unavailable",
       std::string{"policy "} + to_string(wanted) + ": " + reason + "; going on with " +
           to_string(instead),
       {{"wanted", std::string{to_string(wanted)}}, {"policy", std::string{to_string(instead)}}}});
}

}  // namespace cohort::cluster
