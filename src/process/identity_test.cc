#include "process/identity.h"

#include <grp.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "process/child_fixture_test.h"
#include "process/helpers_test.h"

namespace cohort::process {
namespace {

const Environment kNobodysVariables{
    {"HOME", "/nonexistent"}, {"USER", "nobody"}, {"LOGNAME", "nobody"}};

Identity identity_found(const std::string& user, const std::string& group = {}) {
  const auto who = identity_of(user, group);
  EXPECT_TRUE(who) << who.error();
  return who ? *who : Identity{};
}

std::string identity_problem(const std::string& user, const std::string& group = {}) {
  const auto who = identity_of(user, group);
  return who ? "found" : who.error().detail;
}

class IdentityOf : public testing::Test {
 protected:
  void SetUp() override {
    const passwd* nobody = ::getpwnam("nobody");
    if (nobody == nullptr || nobody->pw_uid != kNobody || nobody->pw_dir != home_)
      GTEST_SKIP() << "another nobody than Debian's";
  }
  const std::string home_ = "/nonexistent";
};

TEST_F(IdentityOf, AUserHasItsIdsItsGroupsAndItsVariables) {
  const Identity who = identity_found("nobody");
  EXPECT_EQ(who.uid, kNobody);
  EXPECT_EQ(who.gid, kNobody);
  EXPECT_EQ(who.groups, std::vector<gid_t>{kNobody});
  EXPECT_EQ(who.variables, kNobodysVariables);
}

TEST_F(IdentityOf, AUsersNumberIsThatUser) {
  const Identity who = identity_found(std::to_string(kNobody));
  EXPECT_EQ(who.uid, kNobody);
  EXPECT_EQ(who.gid, kNobody);
  EXPECT_EQ(who.variables, kNobodysVariables);
}

TEST_F(IdentityOf, AGroupIsInThePlaceOfTheUsersOwn) {
  const auto* root = ::getgrgid(0);
  ASSERT_NE(root, nullptr);
  const std::string name = root->gr_name;
  for (const std::string& text : {name, std::string{"0"}}) {
    const Identity who = identity_found("nobody", text);
    EXPECT_EQ(who.uid, kNobody);
    EXPECT_EQ(who.gid, 0U);
    EXPECT_EQ(who.groups, std::vector<gid_t>{0}) << "as initgroups(3)";
  }
}

TEST_F(IdentityOf, AGroupAloneLeavesTheUser) {
  const Identity who = identity_found("", std::to_string(kNobody));
  EXPECT_FALSE(who.uid);
  EXPECT_EQ(who.gid, kNobody);
  EXPECT_TRUE(who.groups.empty());
  EXPECT_TRUE(who.variables.empty());
}

TEST_F(IdentityOf, ANumberWithoutAUserNeedsAGroupAndHasTheRootAsItsHome) {
  ASSERT_EQ(::getpwuid(4000000001), nullptr);
  EXPECT_NE(identity_problem("4000000001").find("say which (--group)"), std::string::npos);
  const Identity who = identity_found("4000000001", "7");
  EXPECT_EQ(who.uid, 4000000001);
  EXPECT_EQ(who.gid, 7U);
  EXPECT_TRUE(who.groups.empty());
  EXPECT_EQ(who.variables,
            (Environment{{"HOME", "/"}, {"USER", "4000000001"}, {"LOGNAME", "4000000001"}}));
}

TEST_F(IdentityOf, WhatIsNotThereIsNamedInASentence) {
  EXPECT_EQ(identity_problem("no-such-user"),
            "user no-such-user: there is none called so here; see the others: getent passwd");
  EXPECT_EQ(identity_problem("nobody", "no-such-group"),
            "group no-such-group: there is none called so here; see the others: getent group");
  // The first is -1, which the kernel takes for "as it is": the child would stay root.
  for (const char* id : {"4294967295", "4294967296", "99999999999999999999"}) {
    EXPECT_NE(identity_problem(id, "0").find("ids go from 0 to 4294967294"), std::string::npos);
    EXPECT_NE(identity_problem("nobody", id).find("ids go from 0 to 4294967294"),
              std::string::npos);
  }
}

// Of every user here, against id(1).
TEST_F(IdentityOf, TheGroupsAreThoseThatIdHas) {
  std::vector<std::string> names;
  ::setpwent();
  while (const passwd* entry = ::getpwent()) names.emplace_back(entry->pw_name);
  ::endpwent();
  ASSERT_FALSE(names.empty());
  names.resize(std::min<std::size_t>(names.size(), 40));
  for (const std::string& name : names) {
    std::istringstream text{spawn_sync("id", {"-G", name}).stdout_};
    std::set<gid_t> expected;
    for (gid_t group = 0; text >> group;) expected.insert(group);
    const auto groups = identity_found(name).groups;
    EXPECT_EQ(std::set<gid_t>(groups.begin(), groups.end()), expected) << name;
  }
}

TEST_F(IdentityOf, ThatIsGivenNoMoreIsThisProcesssAgain) {
  SpawnOptions now;
  give_back_identity({}, now);
  EXPECT_FALSE(now.uid || now.gid || now.groups);
  give_back_identity({.uid = 7, .gid = 8, .groups = std::vector<gid_t>{9}}, now);
  EXPECT_EQ(now.uid, ::geteuid());
  EXPECT_EQ(now.gid, ::getegid());
  EXPECT_EQ(now.groups->size(), static_cast<std::size_t>(::getgroups(0, nullptr)));
  SpawnOptions others{.uid = 1, .gid = 2, .groups = std::vector<gid_t>{}};
  give_back_identity({.uid = 7, .gid = 8, .groups = std::vector<gid_t>{9}}, others);
  EXPECT_EQ(others.uid, 1U);
  EXPECT_EQ(others.gid, 2U);
  EXPECT_TRUE(others.groups->empty());
}

TEST_F(IdentityOf, WithoutPrivilegeIsOnlyItsOwn) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to become nobody";
  EXPECT_EQ(run(role_request("identity")).text,
            "root: only root may run workers as another user: it needs CAP_SETUID, CAP_SETGID and "
            "CAP_KILL\n"
            "group 0: only root may run workers with another group: it needs CAP_SETGID\n"
            "nobody: left as they are\n");
}

class SetUser : public ChildTest {};

TEST_F(SetUser, AChildHasTheIdsTheGroupsAndTheVariables) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may change the user";
  SpawnOptions options{.env = Environment{{"PATH", "/bin:/usr/bin"}, {"HOME", "/root"}}};
  const auto done = set_user(options, "nobody", "0");
  ASSERT_TRUE(done) << done.error();
  EXPECT_EQ(
      spawn_sync("sh", {"-c", "id -u; id -g; id -G; echo $HOME $USER $LOGNAME"}, options).stdout_,
      "65534\n0\n0\n/nonexistent nobody nobody\n");
  EXPECT_EQ(set_user(options, "no-such-user").error().code, Errc::InvalidArgument);
}

}  // namespace
}  // namespace cohort::process
