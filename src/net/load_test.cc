#include "net/load.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sealed_memory.h"

namespace cohort::net {
namespace {

TEST(Load, IsSeenByOthersAsItIsWritten) {
  const auto shared = share_load();
  ASSERT_TRUE(shared);
  const auto seen = map_load(OwnFd{::dup(shared->fd.get())});
  ASSERT_TRUE(seen);
  EXPECT_EQ(Load::get((*seen)->connections), 0u);
  Load::set(shared->load->accepted, 1'000'000'000'000);
  Load::set(shared->load->connections, std::size_t{3});
  EXPECT_EQ(Load::get((*seen)->accepted), 1'000'000'000'000u);
  EXPECT_EQ(Load::get((*seen)->connections), 3u);
}

TEST(Load, OutlivesItsWriter) {
  auto shared = share_load();
  ASSERT_TRUE(shared);
  const pid_t child = fork();
  if (child == 0) {
    Load::set(shared->load->in_flight, 2);
    ::raise(SIGKILL);
  }
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  shared->load.reset();
  const auto seen = map_load(std::move(shared->fd));
  ASSERT_TRUE(seen);
  EXPECT_EQ(Load::get((*seen)->in_flight), 2u);
}

TEST(Load, IsNotReadFromWhatIsNone) {
  EXPECT_FALSE(map_load(OwnFd{}));
  auto larger = create_sealed_memory(2 * sizeof(Load));
  ASSERT_TRUE(larger);
  EXPECT_FALSE(map_load(*std::move(larger)));
}

}  // namespace
}  // namespace cohort::net
