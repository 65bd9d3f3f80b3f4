#include "net/inherited.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "net/bind.h"
#include "net/datagram.h"
#include "net/sockaddr.h"
#include "net/test_world.h"

namespace cohort::net {
namespace {

OwnFd listening_at(const Address& given) {
  ListenRequest request;
  request.address = given;
  OwnFd socket = bind_socket(request).value();
  EXPECT_TRUE(listen_on(socket.get(), 7));
  return socket;
}

// What a process finds that is started with this socket, or one of TCP at `given`. In a child of
// its own: the sockets are taken once.
class Started {
 public:
  explicit Started(const Address& given) : Started{listening_at(given)} {}
  explicit Started(OwnFd socket)
      : address{local_address(socket.get()).value()}, socket_{std::move(socket)} {}

  // Its exit code: 0 if `finds` holds there.
  void expect(const std::function<bool()>& finds, const std::string& pid = {}) const {
    const auto code = [&] {
      ::dup2(socket_.get(), 3);
      ::setenv("LISTEN_FDS", "1", 1);
      ::setenv("LISTEN_PID", pid.empty() ? std::to_string(::getpid()).c_str() : pid.c_str(), 1);
      return finds() ? 0 : 1;
    };
    EXPECT_EXIT(std::exit(code()), testing::ExitedWithCode(0), "");
  }

  Address address;

 private:
  OwnFd socket_;
};

bool found(const Address& address, int type = SOCK_STREAM) {
  const OwnFd fd = inherited_socket(address, type);
  return fd && local_address(fd.get()).value() == address;
}

TEST(InheritedDeathTest, AListeningSocketIsFoundByItsAddressAgainAndAgain) {
  const Started started{{"127.0.0.1", 0}};
  started.expect([&] { return found(started.address) && found(started.address); });
  started.expect([&] { return found(started.address) && std::getenv("LISTEN_PID") == nullptr; });
}

TEST(InheritedDeathTest, AnotherAddressOrKindIsNot) {
  const Started started{{"127.0.0.1", 0}};
  const Address& own = started.address;
  started.expect([&] { return !found({"127.0.0.2", own.port()}); });
  started.expect([&] { return !found({"127.0.0.1", static_cast<std::uint16_t>(own.port() ^ 1)}); });
  started.expect([&] { return !found(own, SOCK_DGRAM); });
  started.expect([&] { return !inherited_socket({"", own.port()}, SOCK_STREAM); });
}

TEST(InheritedDeathTest, AnyAddressIsAnyAddress) {
  const Started started{{"", 0}};
  started.expect([&] {
    const OwnFd fd = inherited_socket({"", started.address.port()}, SOCK_STREAM);
    return static_cast<bool>(fd);
  });
}

TEST(InheritedDeathTest, SoAreThoseOfIPv6AndUnix) {
  if (test::has_ipv6()) {
    const Started started{{"::1", 0}};
    started.expect([&] { return found(started.address); });
    started.expect([&] { return !found({"127.0.0.1", started.address.port()}); });
  }
  const test::TemporaryDirectory folder;
  const Started started{Address::from_path(folder.file("socket"))};
  started.expect([&] { return found(started.address); });
  started.expect([&] { return !found(Address::from_path(folder.file("other"))); });
}

TEST(InheritedDeathTest, AUdpSocketIsFoundAsOne) {
  const Started started{
      bind_datagram(Address::datagram("127.0.0.1", 0), false, false, false).value()};
  started.expect([&] { return found(started.address, SOCK_DGRAM); });
  started.expect([&] { return !found(started.address); });
}

TEST(InheritedDeathTest, OneThatDoesNotListenIsNot) {
  ListenRequest request;
  request.address = {"127.0.0.1", 0};
  const Started started{bind_socket(request).value()};
  started.expect([&] { return !found(started.address); });
}

TEST(InheritedDeathTest, WhatIsForAnotherProcessIsNotTaken) {
  const Started started{{"127.0.0.1", 0}};
  started.expect([&] { return !found(started.address); }, "1");
  started.expect([&] { return !found(started.address); }, "12x");
}

}  // namespace
}  // namespace cohort::net
