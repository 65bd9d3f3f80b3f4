#include "base/socket_table.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "base/sys.h"

namespace cohort {
namespace {

constexpr std::size_t kPieceMax = 32768;

struct Request {
  nlmsghdr header{};
  inet_diag_req_v2 wanted{};
};
static_assert(sizeof(Request) == sizeof(nlmsghdr) + sizeof(inet_diag_req_v2));

Request request_for(int family, int protocol, std::uint16_t port, std::uint32_t states) {
  Request request;
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.wanted.sdiag_family = static_cast<std::uint8_t>(family);
  request.wanted.sdiag_protocol = static_cast<std::uint8_t>(protocol);
  request.wanted.idiag_states = states;
  request.wanted.id.idiag_sport = htons(port);
  return request;
}

}  // namespace

HostBytes mapped_host(const void* in4) {
  HostBytes host{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  std::memcpy(&host[12], in4, 4);
  return host == HostBytes{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff} ? kAnyHost : host;
}

Listing parse_sockets(std::span<const std::byte> piece, std::vector<ListedSocket>& sockets) {
  while (piece.size() >= sizeof(nlmsghdr)) {
    nlmsghdr header;
    std::memcpy(&header, piece.data(), sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > piece.size()) return Listing::Failed;
    const auto body = piece.first(header.nlmsg_len).subspan(NLMSG_HDRLEN);
    if (header.nlmsg_type == NLMSG_ERROR) return Listing::Failed;
    if (header.nlmsg_type == NLMSG_DONE) {
      int error = 0;  // as where the kernel has no tcp_diag
      if (body.size() >= sizeof error) std::memcpy(&error, body.data(), sizeof error);
      return error < 0 ? Listing::Failed : Listing::Done;
    }
    inet_diag_msg found;
    if (body.size() >= sizeof found) {
      std::memcpy(&found, body.data(), sizeof found);
      ListedSocket socket{.inode = found.idiag_inode,
                          .uid = found.idiag_uid,
                          .state = found.idiag_state,
                          .port = ntohs(found.id.idiag_sport)};
      if (found.idiag_family == AF_INET)
        socket.host = mapped_host(found.id.idiag_src);
      else
        std::memcpy(socket.host.data(), found.id.idiag_src, socket.host.size());
      sockets.push_back(socket);
    }
    piece = piece.subspan(std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), piece.size()));
  }
  return Listing::More;
}

std::optional<std::vector<ListedSocket>> list_sockets(int protocol, std::uint16_t port,
                                                      std::uint32_t states) {
  const OwnFd netlink = sys::socket(AF_NETLINK, SOCK_DGRAM, NETLINK_SOCK_DIAG);
  if (!netlink) return std::nullopt;
  std::vector<ListedSocket> sockets;
  std::vector<std::byte> piece(kPieceMax);
  for (const int family : {AF_INET, AF_INET6}) {
    const Request request = request_for(family, protocol, port, states);
    if (sys::send(netlink.get(), &request, sizeof request, 0) == -1) return std::nullopt;
    for (Listing listing = Listing::More; listing != Listing::Done;) {
      const ssize_t size = sys::recv(netlink.get(), piece.data(), piece.size(), 0);
      if (size <= 0) return std::nullopt;
      listing = parse_sockets(std::span{piece}.first(static_cast<std::size_t>(size)), sockets);
      if (listing == Listing::Failed) return std::nullopt;
    }
  }
  return sockets;
}

}  // namespace cohort
