#include <gtest/gtest.h>

#include "cli/map_command.h"

namespace cohort::cli {
namespace {

using Words = std::vector<std::string>;

bool no_terminal(int) { return false; }
bool terminal(int) { return true; }

MapOptions options_of_map(const Words& words, bool (*is_terminal)(int) = no_terminal) {
  auto parsed = parse_map(words, is_terminal);
  if (const auto* answer = std::get_if<Answer>(&parsed)) ADD_FAILURE() << answer->text;
  return std::get<MapOptions>(parsed);
}

TEST(MapArguments, EndAtTheCommandWhoseWordsAreItsOwn) {
  const MapOptions options = options_of_map({"-j", "3", "-k", "grep", "-k", "--tag", "{}"});
  EXPECT_EQ(options.jobs, 3u);
  EXPECT_TRUE(options.keep_order);
  EXPECT_FALSE(options.tag);
  EXPECT_EQ(options.command, (Words{"grep", "-k", "--tag", "{}"}));
  EXPECT_EQ(options_of_map({"--", "-x", "y"}).command, (Words{"-x", "y"}));
}

TEST(MapArguments, ListsStandBehindThreeColons) {
  const MapOptions options = options_of_map({"echo", ":::", "a", "b", ":::", "-k", ":::"});
  EXPECT_EQ(options.command, (Words{"echo"}));
  EXPECT_EQ(options.lists, (std::vector<Words>{{"a", "b"}, {"-k"}, {}}));
}

TEST(MapArguments, OnATerminalTheOrderIsKeptAndThereIsABar) {
  EXPECT_TRUE(options_of_map({"x"}, terminal).keep_order);
  EXPECT_TRUE(options_of_map({"x"}, terminal).progress);
  EXPECT_FALSE(options_of_map({"x"}).keep_order);
  EXPECT_FALSE(options_of_map({"x"}).progress);
  EXPECT_FALSE(options_of_map({"--no-keep-order", "x"}, terminal).keep_order);
  EXPECT_FALSE(options_of_map({"--no-progress", "x"}, terminal).progress);
  EXPECT_FALSE(options_of_map({"-u", "x"}, terminal).keep_order);
  EXPECT_FALSE(options_of_map({"--dry-run", "x"}, terminal).progress);
}

TEST(MapArguments, AllAreRead) {
  const MapOptions options = options_of_map({"-a",
                                             "one",
                                             "-a",
                                             "-",
                                             "-0",
                                             "--colsep",
                                             ",",
                                             "-n",
                                             "2",
                                             "-X",
                                             "--tag",
                                             "--results",
                                             "dir",
                                             "--joblog",
                                             "log",
                                             "--resume",
                                             "--retries",
                                             "3",
                                             "--timeout",
                                             "1.5",
                                             "--halt",
                                             "soon,fail=20%",
                                             "--delay",
                                             "10ms",
                                             "--memfree",
                                             "2G",
                                             "--load",
                                             "1.5",
                                             "--resume-failed",
                                             "x"});
  EXPECT_EQ(options.files, (Words{"one", "-"}));
  EXPECT_EQ(options.record_end, '\0');
  EXPECT_EQ(options.column_separator, ",");
  EXPECT_EQ(options.rows, 2u);
  EXPECT_TRUE(options.fill && options.each_in_context && options.tag && options.resume &&
              options.resume_failed && options.grouped);
  EXPECT_EQ(options.results, "dir");
  EXPECT_EQ(options.job_log, "log");
  EXPECT_EQ(options.tries, 3u);
  EXPECT_EQ(options.timeout, std::chrono::milliseconds{1500});
  EXPECT_EQ(options.delay, std::chrono::milliseconds{10});
  EXPECT_EQ(options.halt, map::HaltRule::parse("soon,fail=20%").value());
  EXPECT_EQ(options.memory_free, std::uint64_t{2} << 30);
  EXPECT_EQ(options.load_max, 1.5);
}

TEST(MapArguments, WhatMakesNoSenseIsSaidWithGnuParallelsCode) {
  for (const Words& words : std::vector<Words>{{},
                                               {"-w", "0", "x"},
                                               {"-w", "2x", "x"},
                                               {"-n", "0", "x"},
                                               {"--retries", "0", "x"},
                                               {"-k", "--no-keep-order", "x"},
                                               {"--results", "d", "-u", "x"},
                                               {"--load", "y", "x"},
                                               {"--resume", "x"},
                                               {"-w"}}) {
    const auto parsed = parse_map(words, no_terminal);
    const auto* answer = std::get_if<Answer>(&parsed);
    ASSERT_NE(answer, nullptr) << (words.empty() ? "" : words.front());
    EXPECT_EQ(answer->code, 255);
    EXPECT_NE(answer->text.find("Try: cohort map --help"), std::string::npos);
  }
}

}  // namespace
}  // namespace cohort::cli
