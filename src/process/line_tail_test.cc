#include "process/line_tail.h"

#include <gtest/gtest.h>

namespace cohort::process {
namespace {

using Lines = std::vector<std::string>;

TEST(LineTail, KeepsTheLastLines) {
  LineTail tail;
  EXPECT_EQ(tail.last_lines(5), Lines{});
  tail.append("one\ntwo\nth");
  EXPECT_EQ(tail.last_lines(5), (Lines{"one", "two", "th"}));
  tail.append("ree\n");
  EXPECT_EQ(tail.last_lines(2), (Lines{"two", "three"}));
  EXPECT_EQ(tail.last_lines(0), Lines{});
  tail.append("\n");
  EXPECT_EQ(tail.last_lines(2), (Lines{"three", ""}));
}

TEST(LineTail, KeepsWholeLinesOnly) {
  LineTail tail{10};
  tail.append("first\nsecond\nthird\n");
  EXPECT_EQ(tail.last_lines(9), Lines{"third"});
  tail.append("12345\n7890");  // ten bytes: a line may begin exactly where the text is cut
  EXPECT_EQ(tail.last_lines(9), (Lines{"12345", "7890"}));
}

TEST(LineTail, KeepsTheEndOfALineThatIsTooLong) {
  LineTail tail{10};
  tail.append("abcdefghijklmno");
  EXPECT_EQ(tail.last_lines(9), Lines{"fghijklmno"});
  tail.append("\n");
  EXPECT_EQ(tail.last_lines(9), Lines{"ghijklmno"});
}

TEST(LineTail, IsTheSameHoweverTheBytesArrive) {
  const std::string text = "alpha\nbeta\n\ngamma delta epsilon\nz\n";
  for (std::size_t size_max = 1; size_max < 40; ++size_max) {
    LineTail whole{size_max}, bytes{size_max};
    whole.append(text);
    for (const char byte : text) bytes.append({&byte, 1});
    EXPECT_EQ(whole.last_lines(99), bytes.last_lines(99)) << size_max;
  }
}

}  // namespace
}  // namespace cohort::process
