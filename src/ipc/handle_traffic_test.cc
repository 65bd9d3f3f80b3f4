#include "ipc/handle_traffic.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>

#include "base/sys.h"

namespace cohort::ipc {
namespace {

using Kind = Handle::Kind;

OwnFd bound(int family, int type, bool listens) {
  OwnFd fd = sys::socket(family, type, 0);
  sockaddr_storage any{};
  any.ss_family = static_cast<sa_family_t>(family);
  EXPECT_EQ(sys::bind(fd.get(), reinterpret_cast<sockaddr*>(&any),
                      family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in)),
            0);
  if (listens) {
    EXPECT_EQ(sys::listen(fd.get(), 1), 0);
  }
  return fd;
}

Incoming through(const Handle& handle) {
  Incoming incoming = classify(wrap(handle, "text"));
  EXPECT_TRUE(incoming.was_handle);
  EXPECT_EQ(incoming.value, "text");
  return incoming;
}

TEST(Handle, KnowsItsKindAndHowNodeCallsIt) {
  OwnFd pair[2], pipe[2];
  ASSERT_EQ(sys::socketpair(AF_UNIX, SOCK_STREAM, true, pair), 0);
  ASSERT_EQ(sys::pipe(pipe), 0);
  struct Case {
    OwnFd fd;
    Kind kind;
    const char* type;
    const char* dgram_type;
    bool for_node;
  };
  Case cases[] = {
      {bound(AF_INET, SOCK_STREAM, true), Kind::Server, "net.Server", "", true},
      {bound(AF_INET, SOCK_STREAM, false), Kind::Socket, "net.Socket", "", true},
      {std::move(pair[0]), Kind::Socket, "net.Socket", "", true},
      {std::move(pipe[0]), Kind::Socket, "net.Native", "", true},
      {bound(AF_INET, SOCK_DGRAM, false), Kind::Datagram, "dgram.Socket", "udp4", true},
      {bound(AF_INET6, SOCK_DGRAM, false), Kind::Datagram, "dgram.Socket", "udp6", true},
      {OwnFd{::open("/dev/null", O_RDONLY | O_CLOEXEC)}, Kind::Other, "cohort.Fd", "", false}};
  for (Case& c : cases) {
    const Handle handle{std::move(c.fd)};
    EXPECT_EQ(handle.kind(), c.kind) << c.type;
    EXPECT_EQ(suits_node(handle), c.for_node) << c.type;
    const Incoming incoming = through(handle);
    EXPECT_EQ(incoming.handle_type, c.type);
    EXPECT_EQ(incoming.dgram_type, c.dgram_type) << c.type;
  }
}

TEST(Handle, OfNothingIsNone) {
  Handle none;
  EXPECT_EQ(none.kind(), Kind::None);
  EXPECT_FALSE(none);
  EXPECT_EQ(none.native_handle(), -1);
  EXPECT_FALSE(none.duplicate());
}

TEST(Handle, CarriesAnyBytesThatWereReadBefore) {
  OwnFd pair[2];
  ASSERT_EQ(sys::socketpair(AF_UNIX, SOCK_STREAM, true, pair), 0);
  std::string head;
  for (int i = 0; i < 256; ++i) head += static_cast<char>(i);
  const Handle sent{std::move(pair[0]), head};
  EXPECT_FALSE(suits_node(sent));
  const auto json = parse_json(to_json(wrap(sent, 1)));
  ASSERT_TRUE(json);
  Incoming incoming = classify(*json);
  incoming.fd = std::move(pair[1]);
  boost::asio::io_context io;
  const auto traffic = std::make_shared<HandleTraffic>(Loop{io, io.get_executor()});
  const Handle received = traffic->receive(nullptr, incoming);
  EXPECT_EQ(received.head(), head);
  EXPECT_EQ(received.kind(), Kind::Socket);
}

TEST(Handle, OfSeveralIsSplitAgain) {
  OwnFd pair[2];
  ASSERT_EQ(sys::socketpair(AF_UNIX, SOCK_STREAM, true, pair), 0);
  std::vector<Handle> two;
  two.emplace_back(std::move(pair[0]), "head");
  two.emplace_back(std::move(pair[1]));
  Handle all = Handle::several(std::move(two));
  EXPECT_TRUE(all);
  EXPECT_EQ(all.kind(), Kind::Several);
  EXPECT_EQ(all.native_handle(), -1);
  EXPECT_FALSE(all.release()) << "there is not one to release";
  EXPECT_FALSE(suits_node(all));
  auto copies = all.duplicate();
  ASSERT_TRUE(copies);
  const auto split = all.split();
  ASSERT_EQ(split.size(), 2u);
  EXPECT_EQ(split[0].head(), "head");
  EXPECT_EQ(split[1].kind(), Kind::Socket);
  EXPECT_FALSE(all);
  EXPECT_EQ(all.kind(), Kind::None);
  EXPECT_TRUE(all.split().empty());
  EXPECT_EQ(copies->split().size(), 2u);
  EXPECT_FALSE(Handle::several({}));
}

TEST(Handle, IsReleasedOnceAndItsDuplicateStays) {
  OwnFd pair[2];
  ASSERT_EQ(sys::socketpair(AF_UNIX, SOCK_STREAM, true, pair), 0);
  Handle handle{std::move(pair[0]), "head"};
  auto copy = handle.duplicate();
  ASSERT_TRUE(copy);
  EXPECT_NE(copy->native_handle(), handle.native_handle());
  EXPECT_EQ(copy->head(), "head");
  EXPECT_TRUE(handle.release());
  EXPECT_FALSE(handle);
  EXPECT_EQ(handle.kind(), Kind::None);
  EXPECT_EQ(sys::send(copy->native_handle(), "x", 1), 1);
}

}  // namespace
}  // namespace cohort::ipc
