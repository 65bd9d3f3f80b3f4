#include "process/child_channel.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/sys.h"

namespace cohort::process {
namespace {

using Strings = std::vector<std::string>;

TEST(ChildChannel, IsAPairThatOnlyTheChildMayBlockOn) {
  const auto channel = make_child_channel("a child's");
  ASSERT_TRUE(channel) << channel.error();
  ASSERT_EQ(sys::send(channel->childs.get(), "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(sys::recv(channel->ours.get(), &byte, 1, 0), 1);
  EXPECT_EQ(sys::recv(channel->ours.get(), &byte, 1, 0), -1);
  EXPECT_EQ(errno, EAGAIN);
  int size = 0;
  socklen_t length = sizeof size;
  ASSERT_EQ(sys::getsockopt(channel->childs.get(), SOL_SOCKET, SO_SNDBUF, &size, length), 0);
  int usual = 0;
  ASSERT_EQ(sys::getsockopt(channel->ours.get(), SOL_SOCKET, SO_SNDBUF, &usual, length), 0);
  EXPECT_GE(size, usual) << "as much as this user may have";
}

TEST(ChildChannel, SaysWhoseItWasToBe) {
  for (int n = 0;; ++n) {
    const sys::FailNth fail{n, ENFILE};
    const auto channel = make_child_channel("a worker's");
    if (!fail.fired()) break;
    if (channel) continue;  // a small buffer will do
    EXPECT_EQ(channel.error().op, "socketpair for a worker's channel");
  }
}

TEST(InheritedVariables, AreAllButThoseOfThisProcessItself) {
  char path[] = "PATH=/bin", channel[] = "NODE_CHANNEL_FD=9", id[] = "NODE_UNIQUE_ID=4";
  char lifeline[] = "COHORT_LIFELINE_FD=5", slot[] = "COHORT_SLOT=1", fds[] = "LISTEN_FDS=1";
  char pid[] = "LISTEN_PID=7", empty[] = "EMPTY=", odd[] = "no equals sign";
  char* inherited[] = {path, channel, id, lifeline, slot, fds, pid, empty, odd, nullptr};
  EXPECT_EQ(inherited_variables(inherited), (Strings{"PATH=/bin", "EMPTY="}));
  EXPECT_EQ(inherited_variables(nullptr), Strings{});
}

TEST(SetVariable, ReplacesWhatWasThere) {
  Strings env{"A=1", "AB=2"};
  set_variable(env, "A", "3");
  EXPECT_EQ(env, (Strings{"AB=2", "A=3"}));
}

TEST(NameChannel, TellsItsDescriptorAndItsFormat) {
  Strings env{"NODE_CHANNEL_FD=9"};
  name_channel(env, 3, Serialization::Advanced);
  EXPECT_EQ(env, (Strings{"NODE_CHANNEL_FD=3", "NODE_CHANNEL_SERIALIZATION_MODE=advanced"}));
}

}  // namespace
}  // namespace cohort::process
