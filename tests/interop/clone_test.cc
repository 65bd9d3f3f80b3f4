// The advanced serialization against real Node, 20 and 26: what it sends comes back the same, and
// what is made here is what it would have made itself. Compared on Node's side.
#include <gtest/gtest.h>

#include <string>

#include "interop/interop.h"

namespace harness {
namespace {

class CloneWithNode : public testing::TestWithParam<std::string> {
 protected:
  const NodeInPath node_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Of, CloneWithNode, testing::Values("node20", "node26"),
                         [](const auto& test) { return std::string{test.param}; });

TEST_P(CloneWithNode, GivesNodeBackEveryValueThatItSendsAndMakesTheSameItself) {
  Program primary({node_.node(), script("primaries/clone.js"), interop_program("clone_echo")},
                  node_.options({}));
  ASSERT_TRUE(ends_well(primary));
  const std::string count = GetParam() == "node26" ? "111" : "110";
  EXPECT_EQ(primary.lines(), std::vector<std::string>{count + " of " + count + " came back, " +
                                                      count + " the same, exit 0"})
      << primary.transcript();
}

}  // namespace
}  // namespace harness
