#include "http/date.h"

#include <gtest/gtest.h>

namespace cohort::http {
namespace {

TEST(DateLine, IsTheFixedFormatOfRfc9110) {
  DateLine date;
  EXPECT_EQ(date.at(784111777), "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
  EXPECT_EQ(date.at(0), "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n");
  EXPECT_EQ(date.at(1709210096), "Date: Thu, 29 Feb 2024 12:34:56 GMT\r\n");
}

TEST(DateLine, FollowsTheClockInBothDirections) {
  DateLine date;
  const std::string first{date.at(1000)};
  EXPECT_NE(date.at(1001), first);
  EXPECT_EQ(date.at(1000), first);
}

}  // namespace
}  // namespace cohort::http
