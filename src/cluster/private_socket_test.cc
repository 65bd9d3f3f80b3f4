#include "cluster/private_socket.h"

#include <gtest/gtest.h>

namespace cohort::cluster {
namespace {

TEST(PrivateSocket, HasThePidOfItsWorkerInItsName) {
  EXPECT_TRUE(is_private(Address::from_path("/tmp/tsx-0/4711.pipe"), 4711));
  EXPECT_TRUE(is_private(Address::from_path("/run/a-1-4711"), 4711));
  EXPECT_TRUE(is_private(Address::from_path("/14711/4711"), 4711));
  EXPECT_TRUE(is_private(Address::from_path(std::string{"\0a4711", 6}), 4711));
  EXPECT_TRUE(is_private(Address::from_path("4711"), 4711));
}

TEST(PrivateSocket, IsNoneThatClientsKnow) {
  EXPECT_FALSE(is_private(Address::from_path("/run/app.sock"), 4711));
  EXPECT_FALSE(is_private(Address::from_path("/run/app47110.sock"), 4711));
  EXPECT_FALSE(is_private(Address::from_path("/run/14711.sock"), 4711));
  EXPECT_FALSE(is_private(Address::from_path("/run/4711.sock"), 4712)) << "of another worker";
  EXPECT_FALSE(is_private({"127.0.0.1", 4711}, 4711));
  EXPECT_FALSE(is_private({"4711", 1}, 4711));
}

}  // namespace
}  // namespace cohort::cluster
