#include "net/datagram.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/sys.h"
#include "net/sockaddr.h"

namespace cohort::net {
namespace {

Address address_of(const OwnFd& fd) { return local_address(fd.get()).value(); }

int option(const OwnFd& fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  sys::getsockopt(fd.get(), level, name, &value, size);
  return value;
}

TEST(Datagram, IsBoundNonBlockingAndClosedOnExec) {
  const auto fd = bind_datagram(Address{"127.0.0.1", 0}, false, false, false);
  ASSERT_TRUE(fd) << fd.error();
  EXPECT_EQ(option(*fd, SOL_SOCKET, SO_TYPE), SOCK_DGRAM);
  EXPECT_EQ(address_of(*fd).host(), "127.0.0.1");
  EXPECT_NE(address_of(*fd).port(), 0);
  EXPECT_TRUE(::fcntl(fd->get(), F_GETFD) & FD_CLOEXEC);
  EXPECT_TRUE(::fcntl(fd->get(), F_GETFL) & O_NONBLOCK);
}

TEST(Datagram, WithoutAHostIsBoundToAnyAddressOfItsFamily) {
  EXPECT_EQ(address_of(*bind_datagram(Address{"", 0}, false, false, false)).host(), "0.0.0.0");
  EXPECT_EQ(address_of(*bind_datagram(Address{"", 0}, true, false, false)).host(), "::");
}

TEST(Datagram, ServesIPv4TooUnlessToldNotTo) {
  for (const bool only : {false, true})
    EXPECT_EQ(
        option(*bind_datagram(Address{"::", 0}, true, only, false), IPPROTO_IPV6, IPV6_V6ONLY),
        only ? 1 : 0);
}

TEST(Datagram, APortIsSharedOnlyIfBothSaySo) {
  const auto first = bind_datagram(Address{"127.0.0.1", 0}, false, false, true);
  ASSERT_TRUE(first) << first.error();
  const Address address = address_of(*first);
  EXPECT_TRUE(bind_datagram(address, false, false, true));
  const auto refused = bind_datagram(address, false, false, false);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code.value(), EADDRINUSE);
}

TEST(Datagram, AFailureOfAnyStepIsItsErrorAndLeavesNoDescriptor) {
  int failed = 0;
  for (;; ++failed) {
    const int free_before = OwnFd{::dup(0)}.get();
    const sys::FailNth failing{failed, EACCES};
    const auto fd = bind_datagram(Address{"::1", 0}, true, true, true);
    if (!failing.fired()) break;
    ASSERT_FALSE(fd) << failed;
    EXPECT_EQ(fd.error().code.value(), EACCES) << failed;
    EXPECT_EQ(OwnFd{::dup(0)}.get(), free_before) << failed;
  }
  EXPECT_GE(failed, 4) << "a socket, two options, bind";
}

}  // namespace
}  // namespace cohort::net
