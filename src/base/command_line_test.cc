#include "base/command_line.h"

#include <gtest/gtest.h>

namespace cohort {
namespace {

using Words = std::vector<std::string>;

TEST(ParseWords, EndInNul) {
  EXPECT_EQ(parse_words(std::string_view{"node\0server.js\0\0x\0", 18}),
            (Words{"node", "server.js", "", "x"}));
  EXPECT_EQ(parse_words("title without end"), Words{"title without end"});
  EXPECT_TRUE(parse_words("").empty());
}

TEST(CommandText, IsWhatOneWouldType) {
  EXPECT_EQ(command_text({"/usr/bin/node", "server.js"}), "node server.js");
  EXPECT_EQ(command_text({"prog", "a b", "it's", ""}), R"(prog 'a b' 'it'\''s' '')");
  EXPECT_EQ(command_text({}), "");
  EXPECT_EQ(command_text({"app/"}), "app/") << "a directory, to `cohort run`";
}

}  // namespace
}  // namespace cohort
