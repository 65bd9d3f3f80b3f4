#include "cli/unit_file.h"

#include <gtest/gtest.h>

namespace cohort::cli {
namespace {

UnitOptions unit_options(std::vector<std::string> words) {
  words.insert(words.begin(), "systemd");
  auto parsed = parse_command_line(words);
  if (const Answer* answer = std::get_if<Answer>(&parsed)) ADD_FAILURE() << answer->text;
  return std::get<UnitOptions>(parsed);
}
Answer unit_answer(std::vector<std::string> words) {
  words.insert(words.begin(), "systemd");
  const auto parsed = parse_command_line(words);
  const auto* answer = std::get_if<Answer>(&parsed);
  return answer == nullptr ? Answer{-1, "was understood"} : *answer;
}
UnitPlace place() {
  return {.cohort = "/usr/bin/cohort",
          .directory = "/srv/shop/current",
          .path = "/usr/bin:/bin",
          .uid = 1000,
          .user = "shop"};
}
std::string unit(std::vector<std::string> words, const UnitPlace& where = place()) {
  return unit_text(unit_options(std::move(words)), "shop", where);
}
testing::AssertionResult has_line(const std::string& text, const std::string& line) {
  if (text.find('\n' + line + '\n') != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "no line " << line << " in:\n" << text;
}

TEST(UnitLine, HasTheWordsOfCohortRun) {
  const UnitOptions options = unit_options({"-w", "4", "server.js", "-w", "9"});
  EXPECT_EQ(options.words, (std::vector<std::string>{"-w", "4", "server.js", "-w", "9"}));
  EXPECT_EQ(options.run.workers, 4U);
  EXPECT_FALSE(options.for_user);
}

TEST(UnitLine, UserUnitIsTheFirstWordAndNoneOfCohortRun) {
  const UnitOptions options = unit_options({"--user-unit", "server.js", "--user-unit"});
  EXPECT_TRUE(options.for_user);
  EXPECT_EQ(options.words, (std::vector<std::string>{"server.js", "--user-unit"}));
}

TEST(UnitLine, MistakesAreThoseOfCohortRun) {
  EXPECT_EQ(unit_answer({}).code, kExitPermanent);
  EXPECT_EQ(unit_answer({"-w", "0", "server.js"}).code, kExitPermanent);
  EXPECT_EQ(unit_answer({"-w", "2", "--user-unit", "server.js"}).code, kExitPermanent);
  EXPECT_EQ(unit_answer({"--help"}).code, 0);
  EXPECT_EQ(unit_answer({"--user-unit", "-h"}).text.rfind("Usage: cohort systemd", 0), 0U);
  EXPECT_EQ(unit_answer({"--version"}).text.rfind("cohort ", 0), 0U);
}

TEST(UnitWord, StandsForItself) {
  EXPECT_EQ(unit_word("server.js"), "server.js");
  EXPECT_EQ(unit_word(""), "\"\"");
  EXPECT_EQ(unit_word("two words"), "\"two words\"");
  EXPECT_EQ(unit_word("100%"), "100%%");
  EXPECT_EQ(unit_word("it's"), "\"it's\"");
  EXPECT_EQ(unit_word("say \"hi\""), R"("say \"hi\"")");
  EXPECT_EQ(unit_word("a\\b"), R"("a\\b")");
  EXPECT_EQ(unit_word("a\nb\t"), R"("a\x0ab\x09")");
  EXPECT_EQ(unit_word(";"), "\";\"") << "else the next command begins";
  EXPECT_EQ(unit_word("$HOME"), "$HOME");
  EXPECT_EQ(unit_word("grün"), "grün");
}

TEST(UnitArgument, IsNoVariableEither) {
  EXPECT_EQ(unit_argument("$HOME"), "$$HOME");
  EXPECT_EQ(unit_argument("${A} $"), "\"$${A} $$\"");
}

TEST(UnitFile, RunsTheSameCommandHere) {
  const std::string text = unit({"-w", "4", "server.js", "a b", "50%"});
  EXPECT_TRUE(has_line(text, "ExecStart=/usr/bin/cohort run -w 4 server.js \"a b\" 50%%"));
  EXPECT_TRUE(has_line(text, "WorkingDirectory=/srv/shop/current"));
  EXPECT_TRUE(has_line(text, "Environment=PWD=/srv/shop/current"));
  EXPECT_TRUE(has_line(text, "Environment=PATH=/usr/bin:/bin"));
  EXPECT_TRUE(has_line(text, "Type=notify"));
  EXPECT_TRUE(has_line(text, "WatchdogSec=10s"));
  EXPECT_TRUE(has_line(text, "RestartPreventExitStatus=100"));
}

TEST(UnitFile, ADirectoryIsNotQuoted) {
  UnitPlace odd = place();
  odd.directory = "/srv/my 100% shop";
  odd.cohort = "/opt/my tools/cohort$1";
  const std::string text = unit({"server.js"}, odd);
  EXPECT_TRUE(has_line(text, "WorkingDirectory=/srv/my 100%% shop"));
  EXPECT_TRUE(has_line(text, "Environment=\"PWD=/srv/my 100%% shop\""));
  EXPECT_TRUE(has_line(text, "ExecStart=\"/opt/my tools/cohort$1\" run server.js"));
}

TEST(UnitFile, WaitsALittleLongerThanTheGraceTime) {
  EXPECT_TRUE(has_line(unit({"server.js"}), "TimeoutStopSec=30"));
  EXPECT_TRUE(has_line(unit({"--grace", "9", "server.js"}), "TimeoutStopSec=14"));
  EXPECT_TRUE(has_line(unit({"--grace", "0.5", "server.js"}), "TimeoutStopSec=6"));
}

TEST(UnitFile, HasTheControlSocketWhereTheUserLooksForIt) {
  const std::string text = unit({"server.js"});
  EXPECT_TRUE(has_line(text, "User=shop"));
  EXPECT_TRUE(has_line(text, "RuntimeDirectory=cohort-1000"));
  EXPECT_TRUE(has_line(text, "Environment=COHORT_RUNTIME_DIR=/run/cohort-1000"));
  UnitPlace root = place();
  root.uid = 0;
  root.user = "root";
  const std::string of_root = unit({"server.js"}, root);
  EXPECT_EQ(of_root.find("RuntimeDirectory"), std::string::npos) << "/run/cohort is there anyway";
  EXPECT_EQ(of_root.find("User="), std::string::npos);
  EXPECT_TRUE(has_line(of_root,
                       "# A user of its own is better than root: cohort systemd, as that "
                       "user."));
  EXPECT_TRUE(has_line(unit({"--user", "shop", "server.js"}, root),
                       "# Root opens the ports; the workers are of the user of --user."));
}

TEST(UnitFile, OfALimitOfMemoryHasItsCgroupDelegated) {
  EXPECT_TRUE(has_line(unit({"--max-memory", "512M,1G", "server.js"}), "Delegate=memory"));
  EXPECT_TRUE(
      has_line(unit({"--user-unit", "--max-memory", "1G", "server.js"}), "Delegate=memory"));
  EXPECT_EQ(unit({"server.js"}).find("Delegate"), std::string::npos);
}

TEST(UnitFile, HidesNoTmpThatTheProgramUses) {
  EXPECT_TRUE(has_line(unit({"server.js"}), "PrivateTmp=yes"));
  EXPECT_EQ(unit({"--listen", "/tmp/a.sock", "server.js"}).find("PrivateTmp"), std::string::npos);
  UnitPlace there = place();
  there.directory = "/tmp";
  EXPECT_EQ(unit({"server.js"}, there).find("PrivateTmp"), std::string::npos);
}

TEST(UnitFile, OfAUserHasWhatAUserMayHave) {
  const std::string text = unit({"--user-unit", "server.js"});
  EXPECT_TRUE(has_line(text, "WantedBy=default.target"));
  for (const char* systems : {"User=", "PrivateTmp", "ProtectSystem", "After=", "RuntimeDirectory"})
    EXPECT_EQ(text.find(systems), std::string::npos) << systems;
}

}  // namespace
}  // namespace cohort::cli
