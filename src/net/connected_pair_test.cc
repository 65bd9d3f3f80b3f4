#include "net/connected_pair.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <string>

#include "net/test_world.h"

namespace cohort::net {
namespace {

class ConnectedPairTest : public testing::TestWithParam<bool> {};

TEST_P(ConnectedPairTest, CarriesBytesBothWays) {
  auto pair = connected_pair(GetParam());
  ASSERT_TRUE(pair) << pair.error();
  for (const auto* ends : {&*pair}) {
    char byte = 0;
    ASSERT_EQ(sys::send(ends->client.get(), "a", 1), 1);
    ASSERT_GT(sys::poll(ends->server.get(), POLLIN, 1000), 0);
    ASSERT_EQ(sys::recv(ends->server.get(), &byte, 1, 0), 1);
    EXPECT_EQ(byte, 'a');
    ASSERT_EQ(sys::send(ends->server.get(), "b", 1), 1);
    ASSERT_GT(sys::poll(ends->client.get(), POLLIN, 1000), 0);
    ASSERT_EQ(sys::recv(ends->client.get(), &byte, 1, 0), 1);
    EXPECT_EQ(byte, 'b');
  }
}

TEST_P(ConnectedPairTest, BlocksNowhereAndLeaksNothingToChildren) {
  const auto pair = connected_pair(GetParam());
  ASSERT_TRUE(pair) << pair.error();
  for (const int fd : {pair->client.get(), pair->server.get()}) {
    EXPECT_NE(::fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Of, ConnectedPairTest, testing::Bool(), [](const auto& each) {
  return std::string{each.param ? "UnixSockets" : "Tcp"};
});

}  // namespace
}  // namespace cohort::net
