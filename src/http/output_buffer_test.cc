#include "http/output_buffer.h"

#include <gtest/gtest.h>

namespace cohort::http {
namespace {

TEST(OutputBuffer, KeepsWhatWasSentUntilAllWas) {
  OutputBuffer output;
  EXPECT_TRUE(output.empty());
  output.bytes() += "hello";
  output.sent(2);
  EXPECT_EQ(output.unsent(), "llo");
  output.bytes() += " you";
  EXPECT_EQ(output.unsent(), "llo you");
  EXPECT_EQ(output.size(), 9U);
  output.sent(7);
  EXPECT_TRUE(output.empty());
  EXPECT_EQ(output.unsent(), "");
  output.bytes() += "next";
  EXPECT_EQ(output.unsent(), "next");
}

TEST(OutputBuffer, GivesALargeBufferBackAndNoSmallOne) {
  OutputBuffer output;
  output.bytes().assign(kKeptCapacity, 'x');
  const std::size_t small = output.bytes().capacity();
  output.sent(output.size());
  EXPECT_EQ(output.bytes().capacity(), small);
  output.bytes().assign(2 * kKeptCapacity, 'x');
  output.sent(output.size());
  EXPECT_LT(output.bytes().capacity(), small);
}

}  // namespace
}  // namespace cohort::http
