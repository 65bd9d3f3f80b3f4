#include "base/assert.h"

#include <gtest/gtest.h>

#include <map>

namespace cohort {
namespace {

TEST(AssertDeathTest, SaysWhatWasWrongWithWhichValues) {
  const int slot = 3, size = 2;
  COHORT_ASSERT(slot > size, slot);
  EXPECT_DEATH(COHORT_ASSERT(slot < size, slot, size),
               "assert_test.cc:[0-9]+: slot < size is false; slot, size = 3, 2");
  EXPECT_DEATH(COHORT_ASSERT(slot < size), "slot < size is false\n");
}

TEST(AssertDeathTest, AKnownKeyIsThere) {
  std::map<int, char> map{{1, 'a'}};
  known(map, 1) = 'b';
  EXPECT_EQ(map[1], 'b');
  EXPECT_DEATH(known(map, 7), "key = 7");
}

}  // namespace
}  // namespace cohort
