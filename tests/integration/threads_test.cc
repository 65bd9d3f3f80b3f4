// A thread that a Cluster's loop has.
#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

#include "cohort/cluster.h"
#include "cohort/thread.h"

namespace cohort {
namespace {

TEST(ThreadOfACluster, KeepsItRunning) {
  Cluster cluster;
  const Thread thread{cluster, [](ThisThread& self) { self.post_message("from the thread"); }};
  Value got;
  thread.on_message([&](const Value& message) { got = message; });
  EXPECT_EQ(cluster.run(), 0);
  EXPECT_EQ(got, Value("from the thread"));
}

TEST(ThreadOfACluster, ErrorsNobodyHandlesAreANotice) {
  Cluster cluster;
  std::vector<Notice> notices;
  cluster.on_notice([&](const Notice& notice) { notices.push_back(notice); });
  const Thread thread{
      cluster, [](ThisThread&) { throw std::runtime_error{"lost"}; }, {.name = "x"}};
  EXPECT_EQ(cluster.run(), 0);
  ASSERT_EQ(notices.size(), 1u);
  EXPECT_EQ(notices[0].code, "thread_failed");
  EXPECT_EQ(notices[0].text, "in thread x: the method failed (lost)");
}

#ifndef NDEBUG
void use_it_from_a_thread() {
  Cluster cluster;
  const Thread thread{cluster, [&](ThisThread&) { cluster.workers(); }, {.name = "stranger"}};
  cluster.run();
}

TEST(ThreadOfACluster, MayNotUseItAndTheDebugBuildSaysWhichThreadDid) {
  EXPECT_DEATH(use_it_from_a_thread(), "used by its thread only is false; this thread = stranger");
}
#endif

}  // namespace
}  // namespace cohort
