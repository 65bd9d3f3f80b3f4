#include "net/bind.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>

#include <fstream>

#include "net/socket_file.h"
#include "net/test_world.h"

namespace cohort::net {
namespace {

using test::request_for;
using test::TemporaryDirectory;

int option(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  sys::getsockopt(fd, level, name, &value, size);
  return value;
}

OwnFd listening(const ListenRequest& request) {
  auto fd = bind_socket(request);
  EXPECT_TRUE(fd) << fd.error();
  EXPECT_TRUE(listen_on(fd->get(), request.backlog));
  return std::move(*fd);
}

std::uint16_t port_of(const OwnFd& fd) { return local_address(fd.get()).value().port(); }

// True if a connection to `address` can be made.
bool connects(const Address& address) {
  test::World world;
  return test::Client{world, address}.connected();
}

TEST(Bind, GivesANonBlockingCloseOnExecSocketWithItsRealPort) {
  const OwnFd fd = bind_socket(request_for({"127.0.0.1", 0})).value();
  EXPECT_NE(::fcntl(fd.get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_NE(port_of(fd), 0);
  EXPECT_EQ(option(fd.get(), SOL_SOCKET, SO_ACCEPTCONN), 0) << "bound, not listening";
}

TEST(Bind, AcceptedConnectionsInheritNoDelay) {
  test::World world;
  const OwnFd fd = listening(request_for({"127.0.0.1", 0}));
  const test::Client client{world, local_address(fd.get()).value()};
  const OwnFd accepted = sys::accept(fd.get());
  ASSERT_TRUE(accepted);
  EXPECT_EQ(option(accepted.get(), IPPROTO_TCP, TCP_NODELAY), 1);
}

TEST(Bind, AnEmptyHostServesBothFamilies) {
  const OwnFd fd = listening(request_for({"", 0}));
  EXPECT_TRUE(connects({"127.0.0.1", port_of(fd)}));
  if (!test::has_ipv6()) GTEST_SKIP() << "no IPv6 here";
  EXPECT_EQ(local_address(fd.get()).value().host(), "::");
  EXPECT_TRUE(connects({"::1", port_of(fd)}));
}

TEST(Bind, AnEmptyHostIsIpv4WhereIpv6IsMissing) {
  const sys::FailNth no_ipv6{0, EAFNOSUPPORT};
  const OwnFd fd = bind_socket(request_for({"", 0})).value();
  EXPECT_EQ(local_address(fd.get()).value().host(), "0.0.0.0");
}

TEST(Bind, Ipv6OnlyDoesNotServeIpv4) {
  if (!test::has_ipv6()) GTEST_SKIP() << "no IPv6 here";
  auto request = request_for({"::", 0});
  request.ipv6_only = true;
  const OwnFd fd = listening(request);
  EXPECT_TRUE(connects({"::1", port_of(fd)}));
  EXPECT_FALSE(connects({"127.0.0.1", port_of(fd)}));
}

TEST(Bind, ANameIsResolved) {
  const OwnFd fd = listening(request_for({"localhost", 0}));
  EXPECT_TRUE(connects(local_address(fd.get()).value()));
}

TEST(Bind, ABusyPortIsAnErrorThatSaysHowToFindItsOwner) {
  const OwnFd fd = listening(request_for({"127.0.0.1", 0}));
  const std::string port = std::to_string(port_of(fd));
  const auto second = bind_socket(request_for({"127.0.0.1", port_of(fd)}));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code.value(), EADDRINUSE);
  EXPECT_EQ(second.error().message(),
            "listen 127.0.0.1:" + port +
                ": address already in use (see who: ss -ltnp 'sport = :" + port + "')");
}

TEST(Bind, TwoBoundSocketsLearnAtListenThatThePortIsBusy) {
  const OwnFd first = bind_socket(request_for({"127.0.0.1", 0})).value();
  const OwnFd second = bind_socket(request_for({"127.0.0.1", port_of(first)})).value();
  ASSERT_TRUE(listen_on(first.get(), 0));
  const auto result = listen_on(second.get(), 0);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code.value(), EADDRINUSE);
  EXPECT_EQ(result.error().op, "listen 127.0.0.1:" + std::to_string(port_of(first)));
}

TEST(Bind, AnAddressOfAnotherMachineIsNotAvailable) {
  const auto result = bind_socket(request_for({"192.0.2.1", 0}));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code.value(), EADDRNOTAVAIL);
}

TEST(Bind, ANameThatDoesNotResolveIsAnErrorOfListen) {
  const auto result = bind_socket(request_for({"no-such-host.invalid", 80}));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().op, "listen no-such-host.invalid:80");
}

TEST(Bind, EveryFailingCallIsAnErrorWithItsErrno) {
  TemporaryDirectory directory;
  auto unix_request = request_for(Address::from_path(directory.file("s")));
  unix_request.writable_all = true;
  for (const auto& request :
       {request_for({"::", 0}), request_for({"127.0.0.1", 0}), unix_request}) {
    int n = 0;
    for (;; ++n) {
      const sys::FailNth fail{n, ENOBUFS};
      const auto result = bind_socket(request);
      if (!fail.fired()) {
        EXPECT_TRUE(result) << result.error();
        break;
      }
      ASSERT_FALSE(result) << "call " << n;
      EXPECT_EQ(result.error().code.value(), ENOBUFS) << "call " << n;
    }
    EXPECT_GT(n, 2);
  }
}

TEST(Listen, AFailureNamesTheAddress) {
  const OwnFd fd = bind_socket(request_for({"127.0.0.1", 0})).value();
  const sys::FailNth fail{0, ENOBUFS};
  const auto result = listen_on(fd.get(), 0);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().op, "listen 127.0.0.1:" + std::to_string(port_of(fd)));
}

TEST(UnixSocket, IsServedUnderItsPathAndRemovedOnRequest) {
  TemporaryDirectory directory;
  const auto address = Address::from_path(directory.file("s"));
  const OwnFd fd = listening(request_for(address));
  EXPECT_EQ(local_address(fd.get()).value(), address);
  EXPECT_TRUE(connects(address));
  SocketFile{address}.remove();
  EXPECT_FALSE(std::filesystem::exists(address.path()));
}

TEST(UnixSocket, AnAbstractNameLeavesNoFile) {
  const auto address =
      Address::from_path('\0' + std::string{"cohort-net-test-"} + std::to_string(::getpid()));
  const OwnFd fd = listening(request_for(address));
  EXPECT_TRUE(connects(address));
  EXPECT_EQ(bind_socket(request_for(address)).error().code.value(), EADDRINUSE);
  SocketFile{address}.remove();
}

TEST(UnixSocket, AllMayWriteOrReadOnRequestOnly) {
  TemporaryDirectory directory;
  const mode_t before = ::umask(077);
  const auto mode = [&](bool readable, bool writable) {
    auto request = request_for(Address::from_path(directory.file("s")));
    request.readable_all = readable;
    request.writable_all = writable;
    const auto fd = bind_socket(request);
    struct stat info{};
    EXPECT_TRUE(fd);
    EXPECT_EQ(sys::stat(request.address.path().c_str(), info), 0);
    SocketFile{request.address}.remove();
    return info.st_mode & 0777u;
  };
  EXPECT_EQ(mode(false, false), 0700u);
  EXPECT_EQ(mode(true, false), 0744u);
  EXPECT_EQ(mode(false, true), 0722u);
  EXPECT_EQ(mode(true, true), 0766u);
  ::umask(before);
}

TEST(UnixSocket, AMissingDirectoryIsExplained) {
  const auto result = bind_socket(request_for(Address::from_path("/nowhere/at/all/s")));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message(),
            "listen /nowhere/at/all/s: no such file or directory (the directory does not exist)");
}

// One port is all that the system may choose.
TEST(BindDeathTest, WhenNoPortIsFreeTheErrorSaysSo) {
  const auto says_so = [] {
    const auto first = bind_socket(request_for({"127.0.0.1", 0}));
    if (!first || !listen_on(first->get(), 0)) return false;
    const auto second = bind_socket(request_for({"127.0.0.1", 0}));
    const auto listening = second ? listen_on(second->get(), 0) : second.error();
    std::cerr << (listening ? "it listens" : listening.error().message());
    return !listening;
  };
  EXPECT_EXIT(test::exit_from_own_network({{"ip_local_port_range", "40000 40000"}}, says_so),
              test::holds_or_is_not_allowed,
              "^$|no port is free that the system may choose: see net.ipv4.ip_local_port_range");
}

TEST(ErrorFor, SaysWhatToDo) {
  EXPECT_EQ(
      error_for({"127.0.0.1", 80}, EACCES).message(),
      "listen 127.0.0.1:80: permission denied (run with CAP_NET_BIND_SERVICE or choose a port "
      "above 1023)");
  EXPECT_EQ(error_for({"", 8000}, EADDRINUSE).message(),
            "listen *:8000: address already in use (see who: ss -ltnp 'sport = :8000')");
  EXPECT_EQ(error_for({"10.0.0.1", 80}, EADDRNOTAVAIL).detail,
            "no interface of this machine has this address; see: ip address");
  EXPECT_EQ(error_for(Address::from_path("/a/s"), EACCES).detail,
            "the directory must be writable for this user");
  EXPECT_EQ(error_for({"127.0.0.1", 8000}, EACCES).detail, "");
}

TEST(ErrorFor, KeepsTheErrnoForTheWire) {
  EXPECT_EQ(error_for({"", 1}, EACCES).code,
            boost::system::error_code(EACCES, boost::system::system_category()));
}

}  // namespace
}  // namespace cohort::net
