#include "cohort/address.h"

#include <gtest/gtest.h>

#include <sstream>

namespace cohort {
namespace {

using namespace std::string_literals;

TEST(Address, PrintsAsPeopleWriteIt) {
  EXPECT_EQ(to_string(Address("127.0.0.1", 80)), "127.0.0.1:80");
  EXPECT_EQ(to_string(Address("::1", 80)), "[::1]:80");
  EXPECT_EQ(to_string(Address("fe80::1%eth0", 80)), "[fe80::1%eth0]:80");
  EXPECT_EQ(to_string(Address("example.org", 443)), "example.org:443");
  EXPECT_EQ(to_string(Address("", 8000)), "*:8000");
  EXPECT_EQ(to_string(Address()), "*:0");
  EXPECT_EQ(to_string(Address::from_path("/run/app.sock")), "/run/app.sock");
  EXPECT_EQ(to_string(Address::from_path("\0app"s)), "@app");
  std::ostringstream out;
  out << Address("::", 65535);
  EXPECT_EQ(out.str(), "[::]:65535");
}

TEST(Address, TypeIsNodesAddressType) {
  EXPECT_EQ(Address("10.0.0.1", 1).address_type(), 4);
  EXPECT_EQ(Address("::", 1).address_type(), 6);
  EXPECT_EQ(Address("::ffff:10.0.0.1", 1).address_type(), 6);
  EXPECT_EQ(Address("fe80::1%eth0", 1).address_type(), 6) << "with a zone, as net.isIPv6 says";
  EXPECT_EQ(Address("", 1).address_type(), 4);
  EXPECT_EQ(Address("localhost", 1).address_type(), 4);
  EXPECT_EQ(Address::from_path("/run/app.sock").address_type(), -1);
}

TEST(Address, IsUnixOnlyIfItHasAPath) {
  EXPECT_FALSE(Address().is_unix());
  EXPECT_FALSE(Address("/run/app.sock", 0).is_unix());
  EXPECT_TRUE(Address::from_path("app.sock").is_unix());
  EXPECT_TRUE(Address::from_path("\0"s).is_unix()) << "an abstract name";
}

TEST(Address, EqualIfAllOfItIs) {
  EXPECT_EQ(Address("::1", 80), Address("::1", 80));
  EXPECT_NE(Address("::1", 80), Address("::1", 81));
  EXPECT_NE(Address("::1", 80), Address("::", 80));
  EXPECT_NE(Address(), Address::from_path("a"));
}

}  // namespace
}  // namespace cohort
