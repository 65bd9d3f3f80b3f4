#include <gtest/gtest.h>

#include <algorithm>

#include "cli/verify_reload.h"

namespace cohort::cli {
namespace {

VerifyOptions taken(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "verify-reload");
  const auto parsed = parse_command_line(arguments);
  EXPECT_TRUE(std::holds_alternative<VerifyOptions>(parsed));
  const auto* options = std::get_if<VerifyOptions>(&parsed);
  return options == nullptr ? VerifyOptions{} : *options;
}
std::string said(const std::vector<std::string>& arguments) {
  const auto parsed = parse_verify(arguments);
  const auto* answer = std::get_if<Answer>(&parsed);
  return answer == nullptr ? "taken" : std::to_string(answer->code) + ' ' + answer->text;
}

TEST(VerifyLine, NamesAnApplicationOrNone) {
  EXPECT_EQ(taken({}).name, "");
  EXPECT_EQ(taken({}).reloads, 20);
  EXPECT_EQ(taken({}).connections, 16);
  const VerifyOptions options = taken({"shop", "--reloads", "3", "--connections", "5", "--path",
                                       "/a", "--expect", "404", "--json"});
  EXPECT_EQ(options.name, "shop");
  EXPECT_EQ(options.reloads, 3);
  EXPECT_EQ(options.connections, 5);
  EXPECT_EQ(options.path, "/a");
  EXPECT_EQ(options.expect, 404);
  EXPECT_TRUE(options.json);
  EXPECT_TRUE(options.run.empty());
}

TEST(VerifyLine, WhatIsBehindTheDashesIsOfCohortRun) {
  const VerifyOptions options = taken({"--reloads", "3", "--", "-w", "2", "server.js", "--json"});
  EXPECT_EQ(options.run, (std::vector<std::string>{"run", "-w", "2", "server.js", "--json"}));
  EXPECT_FALSE(options.json);
  EXPECT_EQ(said({"--", "-w", "none", "server.js"}).substr(0, 32),
            "100 cohort: -w takes a number fr");
  EXPECT_EQ(said({"--"}).substr(0, 28), "100 cohort: no program to ru");
  EXPECT_EQ(said({"shop", "--", "server.js"}),
            "100 cohort: either NAME, or -- PROGRAM\nTry: cohort verify-reload --help\n");
}

TEST(VerifyLine, AUrlMayHaveThePath) {
  EXPECT_EQ(taken({"--url", "http://h:1/a"}).path, "/a");
  EXPECT_EQ(taken({"--url", "http://h:1/a", "--path", "/b"}).path, "/b");
  EXPECT_EQ(taken({"--url", "unix:/a.sock"}).address, Address::from_path("/a.sock"));
  EXPECT_EQ(said({"--url", "https://h"}).substr(0, 33), "100 cohort: --url cannot be https");
}

TEST(VerifyLine, RefusesWhatCannotBe) {
  for (const std::vector<std::string>& bad : {std::vector<std::string>{"--reloads", "0"},
                                              {"--connections", "1001"},
                                              {"--expect", "100"},
                                              {"--path", "a"},
                                              {"--path", "/ b"},
                                              {"../x"},
                                              {"a", "b"},
                                              {"--retry"},
                                              {"--url", "x:y"}})
    EXPECT_EQ(said(bad).substr(0, 4), "100 ") << bad.front();
}

TEST(VerifyLine, HelpFitsAScreen) {
  const std::string help = said({"--help"});
  EXPECT_EQ(help.substr(0, 29), "0 Usage: cohort verify-reload");
  EXPECT_LE(std::count(help.begin(), help.end(), '\n'), 30);
  std::size_t width = 0;
  for (std::size_t begin = 2, end = 0; (end = help.find('\n', begin)) != help.npos; begin = end + 1)
    width = std::max(width, end - begin);
  EXPECT_LE(width, 80U);
}

}  // namespace
}  // namespace cohort::cli
