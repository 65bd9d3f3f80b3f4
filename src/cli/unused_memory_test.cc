#include "cli/unused_memory.h"

#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <string>

namespace cohort::cli {
namespace {

// KiB of this process's code that are mapped.
long mapped_code() {
  std::ifstream maps{"/proc/self/smaps"};
  const std::regex begins{"^[0-9a-f]+-[0-9a-f]+ (....) .*"}, size{"^Rss: +([0-9]+) kB"};
  std::smatch found;
  bool is_code = false;
  long sum = 0;
  for (std::string line; std::getline(maps, line);) {
    if (std::regex_match(line, found, begins)) is_code = found[1] == "r-xp";
    if (is_code && std::regex_match(line, found, size)) sum += std::stol(found[1]);
  }
  return sum;
}

TEST(UnusedMemory, IsGivenBackAndComesBackWhenItIsNeeded) {
  const long before = mapped_code();
  give_back_unused_memory();
  const long after = mapped_code();
  EXPECT_GT(before, 0);
  EXPECT_LT(after, before);
}

}  // namespace
}  // namespace cohort::cli
