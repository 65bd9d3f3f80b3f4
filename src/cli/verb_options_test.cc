#include <gtest/gtest.h>

#include <algorithm>

#include "cli/verb.h"

namespace cohort::cli {
namespace {

using Verb = VerbOptions::Verb;

VerbOptions options(const std::string& verb, const std::vector<std::string>& arguments) {
  const auto parsed = parse_verb(verb, arguments);
  EXPECT_TRUE(parsed && std::holds_alternative<VerbOptions>(*parsed)) << verb;
  return parsed && std::holds_alternative<VerbOptions>(*parsed) ? std::get<VerbOptions>(*parsed)
                                                                : VerbOptions{};
}
std::string refusal(const std::string& verb, const std::vector<std::string>& arguments) {
  const auto parsed = parse_verb(verb, arguments);
  const auto* answer = parsed ? std::get_if<Answer>(&*parsed) : nullptr;
  return answer == nullptr ? "taken" : std::to_string(answer->code) + ' ' + answer->text;
}

TEST(VerbLine, NamesAnApplicationOrNone) {
  EXPECT_EQ(options("status", {}).name, "");
  EXPECT_EQ(options("status", {"shop"}).name, "shop");
  EXPECT_EQ(options("reload", {"shop", "--no-wait", "--json"}).verb, Verb::Reload);
  EXPECT_FALSE(options("reload", {"shop", "--no-wait"}).wait);
  EXPECT_TRUE(options("stop", {"--json"}).json);
  EXPECT_EQ(refusal("status", {"../shop"}),
            "100 cohort: `../shop` is no name of an application\nTry: cohort status --help\n");
  EXPECT_EQ(refusal("status", {"a", "b"}),
            "100 cohort: one application at a time\nTry: cohort status --help\n");
}

TEST(VerbLine, ScaleTakesANumberAndADifference) {
  for (const char* workers : {"4", "+1", "-2"}) {
    EXPECT_EQ(options("scale", {workers}).workers, workers);
    EXPECT_EQ(options("scale", {"shop", workers}).workers, workers);
    EXPECT_EQ(options("scale", {"shop", workers}).name, "shop");
  }
  EXPECT_EQ(options("scale", {"shop", "-1", "--no-wait"}).workers, "-1");
  EXPECT_TRUE(options("scale", {"--json", "4", "shop"}).json);
  EXPECT_EQ(options("scale", {"1025"}).workers, "1025") << "the application says that it cannot";
  for (const std::vector<std::string>& bad :
       {std::vector<std::string>{}, {"shop"}, {"shop", "four"}, {"9999999999"}, {"-"}})
    EXPECT_EQ(refusal("scale", bad).substr(0, 4), "100 ");
}

TEST(VerbLine, EachHasOptionsOfItsOwn) {
  EXPECT_TRUE(options("events", {"-f"}).follow);
  EXPECT_EQ(options("events", {"-n", "5"}).last, 5U);
  EXPECT_EQ(options("why", {"--slot", "2"}).slot, 2);
  EXPECT_EQ(refusal("ls", {"-f"}).substr(0, 4), "100 ");
  EXPECT_EQ(refusal("reload", {"--slot", "2"}).substr(0, 4), "100 ");
  EXPECT_EQ(options("doctor", {"--json"}).verb, Verb::Doctor);
  EXPECT_TRUE(options("doctor", {"--json"}).json);
  EXPECT_EQ(refusal("doctor", {"shop"}).substr(0, 4), "100 ") << "it asks no application";
}

TEST(VerbLine, HelpOfEachFitsAScreen) {
  for (const char* verb : {"ls", "status", "events", "why", "reload", "scale", "stop", "doctor"}) {
    const std::string help = refusal(verb, {"--help"});
    EXPECT_EQ(help.substr(0, 16 + std::string{verb}.size()),
              "0 Usage: cohort " + std::string{verb});
    EXPECT_LT(std::count(help.begin(), help.end(), '\n'), 24);
  }
  EXPECT_FALSE(parse_verb("start", {}));
}

}  // namespace
}  // namespace cohort::cli
