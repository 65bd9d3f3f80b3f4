#include "net/sockaddr.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include "base/sys.h"

namespace cohort::net {
namespace {

Address there_and_back(const Address& address) {
  const auto result = to_sockaddr(address);
  EXPECT_TRUE(result) << address;
  return result ? from_sockaddr(*result) : Address{};
}

TEST(SockAddr, LiteralsAndPathsSurviveTheConversion) {
  for (const Address& address :
       {Address{"127.0.0.1", 80}, Address{"255.255.255.255", 65535}, Address{"::", 0},
        Address{"::1", 8080}, Address{"2001:db8::1", 1}, Address{"fe80::1%lo", 9},
        Address{"::ffff:1.2.3.4", 5}, Address::from_path("/run/a.sock"),
        Address::from_path(std::string{"\0name", 5}),
        Address::from_path(std::string{"\0with\0nul\0", 10})})
    EXPECT_EQ(there_and_back(address), address);
}

TEST(SockAddr, AZoneMayBeANumber) {
  EXPECT_EQ(there_and_back({"fe80::1%1", 9}), Address("fe80::1%lo", 9));
  EXPECT_EQ(there_and_back({"fe80::1%99999", 9}), Address("fe80::1%99999", 9));
}

TEST(SockAddr, AnUnknownZoneIsAnError) {
  const auto result = to_sockaddr({"fe80::1%nowhere0", 9});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code.value(), ENODEV);
}

TEST(SockAddr, AnIpv6LiteralWithAZoneIsOfType6) {
  EXPECT_EQ(Address("fe80::1%lo", 1).address_type(), 6);
}

TEST(SockAddr, AUnixPathHasAtMost107Bytes) {
  EXPECT_EQ(there_and_back(Address::from_path(std::string(107, 'x'))).path().size(), 107u);
  const auto result = to_sockaddr(Address::from_path(std::string(108, 'x')));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code.value(), ENAMETOOLONG);
}

TEST(SockAddr, AnAbstractNameMayFillTheWholeField) {
  const auto longest = Address::from_path('\0' + std::string(107, 'x'));
  EXPECT_EQ(there_and_back(longest), longest);
  EXPECT_FALSE(to_sockaddr(Address::from_path('\0' + std::string(108, 'x'))));
}

TEST(SockAddr, APathWithANulByteIsAnError) {
  const auto result = to_sockaddr(Address::from_path(std::string{"a\0b", 3}));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, make_error_code(Errc::AddressMismatch));
}

TEST(SockAddr, AnUnnamedUnixSocketIsTheEmptyAddress) {
  OwnFd pair[2];
  ASSERT_EQ(sys::socketpair(AF_UNIX, SOCK_STREAM, true, pair), 0);
  EXPECT_EQ(peer_address(pair[0].get()).value(), Address{});
}

TEST(Resolve, AnEmptyHostIsAnyAddressIpv6First) {
  const auto all = resolve({"", 81}).value();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(from_sockaddr(all[0]), Address("::", 81));
  EXPECT_EQ(from_sockaddr(all[1]), Address("0.0.0.0", 81));
}

TEST(Resolve, LocalhostIsALoopbackAddressWithThePort) {
  const auto all = resolve({"localhost", 4711}).value();
  ASSERT_FALSE(all.empty());
  for (const SockAddr& one : all) {
    const Address address = from_sockaddr(one);
    EXPECT_TRUE(address.host() == "127.0.0.1" || address.host() == "::1") << address;
    EXPECT_EQ(address.port(), 4711);
  }
}

TEST(Resolve, ANameThatDoesNotResolveIsAnErrorThatNamesIt) {
  const auto result = resolve({"no-such-host.invalid", 80});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, make_error_code(Errc::AddressMismatch));
  EXPECT_EQ(result.error().op, "no-such-host.invalid:80");
  EXPECT_FALSE(result.error().detail.empty());
}

TEST(LocalAddress, OfSomethingThatIsNoSocketIsAnError) {
  EXPECT_EQ(local_address(-1).error().code.value(), EBADF);
  EXPECT_EQ(peer_address(-1).error().code.value(), EBADF);
}

}  // namespace
}  // namespace cohort::net
