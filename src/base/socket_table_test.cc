#include "base/socket_table.h"

#include <gtest/gtest.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace cohort {
namespace {

std::string piece_of(const inet_diag_msg& found, std::uint16_t type = 20) {
  nlmsghdr header{};
  header.nlmsg_len = NLMSG_LENGTH(sizeof found);
  header.nlmsg_type = type;
  std::string piece(NLMSG_ALIGN(header.nlmsg_len), '\0');
  std::memcpy(piece.data(), &header, sizeof header);
  std::memcpy(piece.data() + NLMSG_HDRLEN, &found, sizeof found);
  return piece;
}

inet_diag_msg listening_at(std::uint32_t host, std::uint32_t inode, std::uint32_t uid) {
  inet_diag_msg found{};
  found.idiag_family = AF_INET;
  found.idiag_state = TCP_LISTEN;
  found.id.idiag_src[0] = htonl(host);
  found.id.idiag_sport = htons(8000);
  found.idiag_inode = inode;
  found.idiag_uid = uid;
  return found;
}

Listing parse(const std::string& piece, std::vector<ListedSocket>& sockets) {
  return parse_sockets(std::as_bytes(std::span{piece}), sockets);
}

TEST(ParseSockets, ReadsEachAndTheEnd) {
  std::vector<ListedSocket> sockets;
  EXPECT_EQ(
      parse(piece_of(listening_at(0, 7, 1000)) + piece_of(listening_at(0x7f000001, 8, 0)), sockets),
      Listing::More);
  ASSERT_EQ(sockets.size(), 2U);
  EXPECT_EQ(sockets[0].inode, 7U);
  EXPECT_EQ(sockets[0].uid, 1000U);
  EXPECT_EQ(sockets[0].state, TCP_LISTEN);
  EXPECT_EQ(sockets[0].host, HostBytes{});
  EXPECT_EQ(sockets[0].port, 8000);
  EXPECT_EQ(sockets[1].host, (HostBytes{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1}));
  EXPECT_EQ(parse(piece_of({}, NLMSG_DONE), sockets), Listing::Done);
  EXPECT_EQ(parse(piece_of({}, NLMSG_ERROR), sockets), Listing::Failed);
  inet_diag_msg failed{};
  const int error = -ENOENT;
  std::memcpy(&failed, &error, sizeof error);
  EXPECT_EQ(parse(piece_of(failed, NLMSG_DONE), sockets), Listing::Failed) << "no tcp_diag";
  EXPECT_EQ(sockets.size(), 2U);
}

TEST(ParseSockets, EndsAtBrokenPieces) {
  const std::string whole = piece_of(listening_at(0, 7, 0));
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    std::vector<ListedSocket> sockets;
    parse(whole.substr(0, size), sockets);
    EXPECT_EQ(sockets.size(), size == whole.size() ? 1U : 0U) << size;
  }
  std::vector<ListedSocket> sockets;
  EXPECT_EQ(parse(std::string(64, '\0'), sockets), Listing::Failed) << "a length of 0";
}

}  // namespace
}  // namespace cohort
