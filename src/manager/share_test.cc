#include "manager/share.h"

#include <gtest/gtest.h>

namespace cohort::manager {
namespace {

TEST(Share, IsANumberOfWorkersOrAPartOfThemRoundedUp) {
  EXPECT_EQ(share_from("3")->of(8), 3U);
  EXPECT_EQ(share_from("25%")->of(8), 2U);
  EXPECT_EQ(share_from("25%")->of(9), 3U);
  EXPECT_EQ(share_from("1%")->of(4), 1U);
  EXPECT_EQ(share_from("100%")->of(4), 4U);
  EXPECT_EQ(share_from("100%")->of(4'000'000'000), 4'000'000'000U);
}

TEST(Share, IsNothingElse) {
  for (const char* text :
       {"", "%", "0", "0%", "101%", "-1", "+1", " 1", "1 ", "1.5", "1%%", "two", "99999999999"})
    EXPECT_FALSE(share_from(text)) << text;
}

}  // namespace
}  // namespace cohort::manager
