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

TEST(OutputBuffer, KeepsItsMemoryForTheNextAnswerUntilItIsAtRest) {
  OutputBuffer output;
  output.bytes().assign(2 * kKeptCapacity, 'x');
  const std::size_t large = output.bytes().capacity();
  free_if_large(output.bytes());
  EXPECT_EQ(output.size(), 2 * kKeptCapacity) << "it is in use";
  output.sent(output.size());
  EXPECT_EQ(output.bytes().capacity(), large);
  free_if_large(output.bytes());
  EXPECT_LT(output.bytes().capacity(), kKeptCapacity);
  output.bytes().assign(kKeptCapacity, 'x');
  output.sent(output.size());
  free_if_large(output.bytes());
  EXPECT_EQ(output.bytes().capacity(), kKeptCapacity);
}

}  // namespace
}  // namespace cohort::http
