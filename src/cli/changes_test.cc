#include "cli/changes.h"

#include <gtest/gtest.h>

#include <csignal>

namespace cohort::cli {
namespace {

using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

TEST(Changes, AreNoneWhereNothingChanged) {
  EXPECT_EQ(changes({.env = {{"A", "1"}}, .program = "p"}, {.env = {{"A", "1"}}, .program = "p"}),
            Lines{});
}

TEST(Changes, NameWhatWasAndWhatIs) {
  const RunOptions was{.workers = 2, .program = "server.js"};
  const RunOptions is{.grace = 1500ms,
                      .stop_signal = SIGINT,
                      .prove = 1s,
                      .preload = false,
                      .cwd = "/srv",
                      .program = "server.js",
                      .args = {"a b"}};
  EXPECT_EQ(changes(was, is),
            (Lines{"command server.js -> server.js 'a b'", "cwd  -> /srv", "workers 2 -> auto",
                   "grace default -> 1.5 s", "stop-signal default -> SIGINT", "prove 5 s -> 1 s",
                   "preload yes -> no"}));
}

TEST(Changes, NameTheInterpreterAndWhatAnEmptyPortDoes) {
  EXPECT_EQ(changes({.when_empty = 5s},
                    {.when_empty = 0s, .interpreter = "python3", .interpreter_args = {"-u", "-O"}}),
            (Lines{"interpreter default -> python3 -u -O", "when-empty hold=5 -> refuse"}));
}

TEST(Changes, NameWhoseTheWorkersAre) {
  EXPECT_EQ(changes({.user = "shop", .no_new_privs = true},
                    {.env_only = std::vector<std::string>{"A", "B"}, .group = "33"}),
            (Lines{"user shop -> cohort's", "group cohort's -> 33", "no-new-privs yes -> no",
                   "env-only all -> A,B"}));
  EXPECT_EQ(changes({.env_only = std::vector<std::string>{}}, {}),
            Lines{"env-only nothing -> all"});
}

TEST(Changes, NameWhenWorkersAreReplaced) {
  EXPECT_EQ(changes({.max_age = 60s, .max_requests = 1000}, {.max_age = 60s}),
            Lines{"max-requests 1000 -> none"});
  EXPECT_EQ(changes({.kill_hung = 30s}, {.kill_hung = 30s, .js_stack = true}),
            Lines{"hung-stack native -> js"});
}

TEST(Changes, OfVariablesKeepTheirValuesSecret) {
  EXPECT_EQ(changes({.env = {{"A", "1"}, {"B", "2"}}}, {.env = {{"B", "3"}, {"C", "4"}}}),
            (Lines{"env A is gone", "env B has changed", "env C is new"}));
}

TEST(Changes, ThatAReloadCannotMakeSayWhenTheyCount) {
  const Lines all =
      changes({}, {.policy = Policy::Sticky, .listen = {Address{"", 80}}, .json = true});
  ASSERT_EQ(all.size(), 3U);
  for (const std::string& each : all) EXPECT_NE(each.find("cohort restart"), std::string::npos);
}

}  // namespace
}  // namespace cohort::cli
