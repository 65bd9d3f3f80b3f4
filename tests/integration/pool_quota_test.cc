// A pool in a container: its width follows the CPU quota both ways, and its tasks go on.
#include <gtest/gtest.h>

#include <string>

#include "harness/control_group.h"
#include "harness/places.h"
#include "harness/program.h"

namespace harness {
namespace {

class PoolInAContainer : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Of, PoolInAContainer, testing::Values("thread", "process"),
                         [](const auto& test) { return std::string{test.param}; });

TEST_P(PoolInAContainer, HasAsManyWorkersAsTheQuotaAllows) {
  const ControlGroup group{"cpu", "cgroup.procs"};
  if (!group.is_there() || !group.set_cpus({})) GTEST_SKIP() << "no cgroup with a quota here";
  auto words = group.enter();
  words.insert(words.end(), {helper("always_busy"), GetParam()});
  Program program{words};
  const auto has = [&](unsigned width) {
    return program.wait_until("that width", [&] {
      const auto lines = program.lines();
      return !lines.empty() && lines.back() == "width " + std::to_string(width);
    });
  };
  ASSERT_TRUE(program.wait_for_match("^width ")) << program.transcript();
  if (program.lines().front() == "width 1") GTEST_SKIP() << "there is one CPU";
  for (const double cpus : {0.5, 2.0, 1.0, 2.0}) {
    ASSERT_TRUE(group.set_cpus(cpus));
    EXPECT_TRUE(has(cpus < 2 ? 1 : 2)) << cpus << " CPUs\n" << program.transcript();
  }
}

}  // namespace
}  // namespace harness
