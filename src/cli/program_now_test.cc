#include "cli/program_now.h"

#include <gtest/gtest.h>
#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <map>

namespace cohort::cli {
namespace {

using Variables = std::map<std::string, std::string>;

class ProgramNowTest : public testing::Test {
 protected:
  ProgramNowTest() {
    ::setenv("COHORT_TEST_KEPT", "1", 1);
    ::setenv("COHORT_TEST_SECRET", "2", 1);
  }
  ~ProgramNowTest() override {
    ::unsetenv("COHORT_TEST_KEPT");
    ::unsetenv("COHORT_TEST_SECRET");
  }
  static SpawnOptions spawn_of(RunOptions options) {
    options.program = "/bin/sh";
    const auto found = program_now(options);
    const auto* problem = std::get_if<CannotRun>(&found);
    EXPECT_EQ(problem, nullptr) << problem->text;
    return problem == nullptr ? std::get<ProgramNow>(found).settings.spawn : SpawnOptions{};
  }
  // As the child has it: what comes later counts.
  static Variables variables_of(const RunOptions& options) {
    Variables all;
    for (const auto& [name, value] : spawn_of(options).env.value_or(Environment{}))
      all[name] = value;
    return all;
  }
  static std::string why_not(RunOptions options) {
    options.program = "/bin/sh";
    const auto found = program_now(options);
    const auto* problem = std::get_if<CannotRun>(&found);
    return problem == nullptr ? "it can" : problem->text;
  }
  static bool is_debians_nobody() {
    const passwd* nobody = ::getpwnam("nobody");
    return nobody != nullptr && nobody->pw_uid == 65534;
  }
};

TEST_F(ProgramNowTest, WithoutOptionsWorkersAreAsThisProcess) {
  const SpawnOptions spawn = spawn_of({});
  EXPECT_FALSE(spawn.env);
  EXPECT_FALSE(spawn.uid || spawn.gid || spawn.groups);
  EXPECT_FALSE(spawn.no_new_privs);
}

TEST_F(ProgramNowTest, OnlyTheNamedVariablesAreInheritedAndThoseOfTheApplicationAdded) {
  const RunOptions options{
      .env = {{"MORE", "3"}},
      .env_only = std::vector<std::string>{"COHORT_TEST_KEPT", "COHORT_TEST_MISSING"}};
  EXPECT_EQ(variables_of(options), (Variables{{"COHORT_TEST_KEPT", "1"}, {"MORE", "3"}}));
  const auto all = variables_of({.env = {{"MORE", "3"}}});
  EXPECT_TRUE(all.contains("PATH") && all.contains("COHORT_TEST_SECRET"));
}

TEST_F(ProgramNowTest, NoNameIsNoVariable) {
  EXPECT_EQ(variables_of({.env_only = std::vector<std::string>{}}), Variables{});
  EXPECT_TRUE(spawn_of({.env_only = std::vector<std::string>{}}).env) << "else all are inherited";
}

TEST_F(ProgramNowTest, AUserBringsItsIdsAndItsVariablesAndTheApplicationsCountMore) {
  if (::geteuid() != 0 || !is_debians_nobody()) GTEST_SKIP() << "only root may change the user";
  const SpawnOptions spawn = spawn_of({.user = "nobody", .group = "0", .no_new_privs = true});
  EXPECT_EQ(spawn.uid, 65534U);
  EXPECT_EQ(spawn.gid, 0U);
  EXPECT_EQ(spawn.groups, std::vector<gid_t>{0});
  EXPECT_EQ(spawn.no_new_privs, true);
  const auto all = variables_of({.env = {{"HOME", "/srv"}}, .user = "nobody"});
  EXPECT_EQ(all.at("HOME"), "/srv");
  EXPECT_EQ(all.at("USER"), "nobody");
  EXPECT_EQ(all.at("LOGNAME"), "nobody");
  EXPECT_EQ(all.at("COHORT_TEST_SECRET"), "2");
  const std::vector<std::string> only{"HOME"};
  EXPECT_EQ(variables_of({.env_only = only, .user = "nobody"}),
            (Variables{{"HOME", "/nonexistent"}, {"USER", "nobody"}, {"LOGNAME", "nobody"}}));
}

TEST_F(ProgramNowTest, OfAFileWithoutTheKeyNewPrivilegesAreAllowedAgain) {
  EXPECT_EQ(spawn_of({.config = "/x/cohort.toml"}).no_new_privs, false);
}

TEST_F(ProgramNowTest, AUserThatIsNotThereIsWhyItCannotRun) {
  EXPECT_EQ(why_not({.user = "no-such-user"}),
            "user no-such-user: there is none called so here; see the others: getent passwd");
  EXPECT_EQ(why_not({.group = "no-such-group"}),
            "group no-such-group: there is none called so here; see the others: getent group");
}

}  // namespace
}  // namespace cohort::cli
