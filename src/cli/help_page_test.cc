#include "cli/help_page.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace cohort::cli {
namespace {

constexpr const char* kText =
    R"(Usage: cohort bake [OPTION...] PROGRAM [ARG...]
       cohort bake [NAME]

Bakes a program. Then it cools.

Options:
  -w, --workers N|auto    How many. They bake, e.g. bread. Default: auto, all of
                          them. Not more than 8.
  -b, --balance POLICY    How they share the oven:
                          fair         in turn, and
                                       again
                          greedy       the first one
      --ready-within SECONDS
                          How long.
      --lame-duck SECONDS How long it cools.
      --watch             Looks through the window.
      and those of `cohort run` (cohort run --help)

  fair   a block
         that stays

Examples:
  cohort bake x           bakes x

Exit codes: 0 done, 100 burnt,
111 not yet.
)";

TEST(HelpPage, IsTakenApart) {
  const HelpPage page = parse_help(kText);
  EXPECT_EQ(page.usage,
            (HelpPage::Lines{"cohort bake [OPTION...] PROGRAM [ARG...]", "cohort bake [NAME]"}));
  EXPECT_EQ(page.paragraphs,
            (std::vector<HelpPage::Lines>{{"Bakes a program. Then it cools."},
                                          {"  fair   a block", "         that stays"}}));
  EXPECT_EQ(page.examples, HelpPage::Lines{"cohort bake x           bakes x"});
  EXPECT_EQ(page.exit_codes, (HelpPage::Lines{"Exit codes: 0 done, 100 burnt,", "111 not yet."}));
  EXPECT_TRUE(page.takes_options_of_run);
  ASSERT_EQ(page.options.size(), 5U);
}

TEST(HelpPage, OptionsHaveALetterAValueAndASummary) {
  const HelpPage page = parse_help(kText);
  const HelpOption& workers = *page.option("--workers");
  EXPECT_EQ(workers.letter, "-w");
  EXPECT_EQ(workers.value, "N|auto");
  EXPECT_EQ(workers.summary(), "How many. Default: auto, all of them.");
  EXPECT_EQ(workers.choices(), std::vector<std::string>{"auto"});
  const HelpOption& balance = *page.option("--balance");
  EXPECT_EQ(balance.prose(), "How they share the oven:");
  EXPECT_EQ(balance.summary(), "How they share the oven");
  EXPECT_EQ(balance.list().size(), 3U);
  EXPECT_EQ(balance.choices(), (std::vector<std::string>{"fair", "greedy"}));
  EXPECT_EQ(page.option("--ready-within")->value, "SECONDS");
  EXPECT_EQ(page.option("--ready-within")->summary(), "How long.");
  EXPECT_EQ(page.option("--lame-duck")->value, "SECONDS");
  EXPECT_EQ(page.option("--watch")->value, "");
  EXPECT_EQ(page.option("--watch")->summary(), "Looks through the window.");
  EXPECT_EQ(page.option("--nothing"), nullptr);
}

TEST(HelpPage, WhatIsLongIsCutToItsSummariesForAScreen) {
  EXPECT_EQ(for_screen(kText), R"(Usage: cohort bake [OPTION...] PROGRAM [ARG...]
       cohort bake [NAME]

Bakes a program.

Options:
  -w, --workers N|auto    How many. Default: auto, all of them.
  -b, --balance POLICY    How they share the oven: fair, greedy.
      --ready-within SECONDS How long.
      --lame-duck SECONDS How long it cools.
      --watch             Looks through the window.
      and those of `cohort run` (cohort run --help)

Examples:
  cohort bake x           bakes x

All of it, and the exit codes: cohort help bake, or man cohort-bake
)");
  const std::string brief = "Usage: cohort bake\n\nBakes. Cools.\n";
  EXPECT_EQ(for_screen(brief), brief);
}

TEST(HelpPage, ListsTheCommands) {
  const auto commands =
      commands_of(parse_help("Usage: x\n\nCommands:\n  run   Run it\n  ls    Li\n"));
  ASSERT_EQ(commands.size(), 2U);
  EXPECT_EQ(commands[0].name + '/' + commands[0].summary, "run/Run it");
  EXPECT_EQ(commands[1].name + '/' + commands[1].summary, "ls/Li");
}

TEST(HelpPage, OfTheConfigurationHasTheKeysOfRun) {
  const HelpPage page = parse_help(help_of_config(kText, {"--workers", "--watch"}));
  ASSERT_EQ(page.options.size(), 2U);
  EXPECT_EQ(page.options[0].summary(), "How many. Default: auto, all of them.");
  EXPECT_EQ(page.options[1].name, "--watch");
}

TEST(HelpPage, NothingIsAPageToo) {
  const HelpPage page = parse_help("");
  EXPECT_TRUE(page.usage.empty() && page.options.empty() && page.paragraphs.empty());
}

}  // namespace
}  // namespace cohort::cli
