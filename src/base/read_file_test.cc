#include "base/read_file.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "base/sys.h"

namespace cohort {
namespace {

TEST(ReadFile, GivesAllOfAFileOfProc) {
  const auto text = read_file("/proc/self/stat");
  ASSERT_TRUE(text);
  EXPECT_TRUE(text->ends_with('\n')) << *text;
}

TEST(ReadFile, SaysThatThereIsNone) {
  EXPECT_FALSE(read_file("/no/such/file"));
  EXPECT_EQ(errno, ENOENT);
  EXPECT_FALSE(read_file("/proc/self"));
  EXPECT_EQ(errno, EISDIR);
}

// As the files of a process that ends between the two.
TEST(ReadFile, SaysThatItVanishedBetweenOpeningAndReading) {
  sys::FailNth fail{1, ESRCH};
  EXPECT_FALSE(read_file("/proc/self/stat"));
  EXPECT_EQ(errno, ESRCH);
  EXPECT_TRUE(fail.fired());
}

}  // namespace
}  // namespace cohort
