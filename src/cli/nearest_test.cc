#include "cli/nearest.h"

#include <gtest/gtest.h>

namespace cohort::cli {
namespace {

TEST(Nearest, HasTheFewestLettersToChange) {
  const std::vector<std::string> known{"prove", "park", "batch"};
  EXPECT_EQ(nearest_to("prof", known), "prove");
  EXPECT_EQ(nearest_to("bark", known), "park");
  EXPECT_EQ(nearest_to("batches", known), "batch");
  EXPECT_EQ(nearest_to("", known), "park") << "the shortest";
}

}  // namespace
}  // namespace cohort::cli
