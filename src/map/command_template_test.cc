#include "map/command_template.h"

#include <gtest/gtest.h>

namespace cohort::map {
namespace {

using Words = std::vector<std::string>;

Words argv_of(const Words& command, const Words& values, bool each_in_context = false) {
  return CommandTemplate::parse(command, each_in_context).value().argv({7, 2, values});
}

TEST(CommandTemplate, WordsAreAProgramAndItsArguments) {
  EXPECT_EQ(argv_of({"gzip", "-k", "{}"}, {"a b.txt"}), (Words{"gzip", "-k", "a b.txt"}));
  EXPECT_EQ(argv_of({"cp", "{}", "{}.bak"}, {"$(x)"}), (Words{"cp", "$(x)", "$(x).bak"}));
}

TEST(CommandTemplate, WithoutAPlaceTheArgumentsComeLast) {
  EXPECT_EQ(argv_of({"echo", "-n"}, {"a", "b c"}), (Words{"echo", "-n", "a", "b c"}));
}

TEST(CommandTemplate, PartsOfAPath) {
  const Words parts{"x", "{.}", "{/}", "{//}", "{/.}"};
  EXPECT_EQ(argv_of(parts, {"dir/a.tar.gz"}),
            (Words{"x", "dir/a.tar", "a.tar.gz", "dir", "a.tar"}));
  EXPECT_EQ(argv_of(parts, {"plain"}), (Words{"x", "plain", "plain", ".", "plain"}));
  EXPECT_EQ(argv_of(parts, {"/a.d/x"}), (Words{"x", "/a.d/x", "x", "/a.d", "x"}));
  EXPECT_EQ(argv_of(parts, {"/x"}), (Words{"x", "/x", "x", "/", "x"}));
}

TEST(CommandTemplate, NumbersOfArgumentsJobAndPlace) {
  EXPECT_EQ(argv_of({"x", "{2}-{1}", "{1/.}", "{3}", "{#}", "{%}"}, {"a/b.c", "d"}),
            (Words{"x", "d-a/b.c", "b", "", "7", "2"}));
}

TEST(CommandTemplate, WhatIsNoPlaceStaysAsItIs) {
  EXPECT_EQ(argv_of({"x", "{0}", "{a}", "{", "}{", "{1#}", "{}"}, {"v"}),
            (Words{"x", "{0}", "{a}", "{", "}{", "{1#}", "v"}));
}

TEST(CommandTemplate, SeveralArgumentsAreOneWordWhereOthersStandBesideThem) {
  EXPECT_EQ(argv_of({"x", "{}", "<{}>"}, {"a", "b"}), (Words{"x", "a", "b", "<a b>"}));
  EXPECT_EQ(argv_of({"x", "<{}>", "{1}"}, {"a", "b"}, true), (Words{"x", "<a>", "<b>", "a"}));
}

TEST(CommandTemplate, ATextThatNeedsNoShellIsSplit) {
  const auto plain = CommandTemplate::parse({"gzip -k {}"}, false).value();
  EXPECT_FALSE(plain.needs_shell());
  EXPECT_EQ(plain.argv({1, 1, {"a b"}}), (Words{"gzip", "-k", "a b"}));
  for (const char* text : {"cd {}", "a | b", "echo 'x'", "A=1 env", "ls *", "a; b", "exit 1"})
    EXPECT_TRUE(CommandTemplate::parse({text}, false).value().needs_shell()) << text;
}

TEST(CommandTemplate, ToAShellArgumentsArePositionalParametersWithinAnyQuotes) {
  EXPECT_EQ(argv_of({"wc -l <{} >'{.}.n' \"{/}\""}, {"a;b.c"}),
            (Words{"sh", "-c", "wc -l <\"${1}\" >''\"${2}\"'.n' \"${3}\"", "sh", "a;b.c", "a;b",
                   "a;b.c"}));
  EXPECT_EQ(argv_of({"echo \"$(cat {} \"{}\")\" {}"}, {"v"}),
            (Words{"sh", "-c", "echo \"$(cat \"${1}\" \"${2}\")\" \"${3}\"", "sh", "v", "v", "v"}));
  EXPECT_EQ(argv_of({"echo \\\" {}"}, {"v"}), (Words{"sh", "-c", "echo \\\" \"${1}\"", "sh", "v"}));
  EXPECT_EQ(argv_of({"cat | sort"}, {"a", "b"}),
            (Words{"sh", "-c", "cat | sort \"${1}\" \"${2}\"", "sh", "a", "b"}));
}

TEST(CommandTemplate, IsShownAsAShellWouldReadIt) {
  const auto shown = [](const Words& command) {
    return CommandTemplate::parse(command, false).value().shown({1, 1, {"it's", "b"}});
  };
  EXPECT_EQ(shown({"echo", "{}"}), "echo 'it'\\''s' b");
  EXPECT_EQ(shown({"echo {2} | cat"}), "echo b | cat");
}

TEST(CommandTemplate, WithoutACommandIsRefused) {
  for (const Words& words : {Words{}, Words{""}, Words{"  "}, Words{"", "x"}})
    EXPECT_FALSE(CommandTemplate::parse(words, false));
  const auto repeats = CommandTemplate::parse({"a | b"}, true);
  ASSERT_FALSE(repeats);
  EXPECT_NE(repeats.error().message().find("-X"), std::string::npos);
}

}  // namespace
}  // namespace cohort::map
