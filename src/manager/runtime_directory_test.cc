#include "manager/runtime_directory.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace cohort::manager {
namespace {

namespace fs = std::filesystem;

class Directory : public testing::Test {
 protected:
  Directory() { EXPECT_NE(::mkdtemp(path_.data()), nullptr); }
  ~Directory() override { fs::remove_all(path_); }

  std::string path_ = "/tmp/cohort-test-XXXXXX";
};

TEST(RuntimeDirectory, IsTheUsersOwn) {
  EXPECT_EQ(runtime_directory({.cohort_runtime_dir = "/a", .xdg_runtime_dir = "/b", .uid = 7}),
            "/a");
  EXPECT_EQ(runtime_directory({.xdg_runtime_dir = "/run/user/7", .uid = 7}), "/run/user/7/cohort");
  EXPECT_EQ(runtime_directory({.xdg_runtime_dir = "/run/user/0", .uid = 0}), "/run/cohort");
  EXPECT_EQ(runtime_directory({.uid = 7}), "/tmp/cohort-7");
}

TEST(RuntimeDirectory, IsLookedForWhereAServiceAndWhereALoginHasIt) {
  using Paths = std::vector<std::string>;
  EXPECT_EQ(search_directories({.cohort_runtime_dir = "/a", .uid = 7}), Paths{"/a"});
  EXPECT_EQ(search_directories({.uid = 0}), Paths{"/run/cohort"});
  const Paths all{"/run/user/7/cohort", "/run/cohort-7", "/tmp/cohort-7"};
  EXPECT_EQ(search_directories({.uid = 7}), all);
  EXPECT_EQ(search_directories({.xdg_runtime_dir = "/run/user/7", .uid = 7}), all);
  EXPECT_EQ(search_directories({.xdg_runtime_dir = "/x", .uid = 7}).front(), "/x/cohort");
}

TEST(Names, NeverLeaveTheDirectory) {
  for (const char* good : {"shop", "shop-2", "Shop_2.js", "7"}) EXPECT_TRUE(is_name(good)) << good;
  for (const std::string& bad : {std::string{}, std::string{".."}, std::string{"../a"},
                                 std::string{"a/b"}, std::string{".hidden"}, std::string{"a b"},
                                 std::string{"a\0b", 3}, std::string{"a\n"}, std::string(65, 'a')})
    EXPECT_FALSE(is_name(bad)) << bad;
}

TEST(Names, OfProgramsAreNames) {
  EXPECT_EQ(name_of_program("/srv/shop/server.js"), "server");
  EXPECT_EQ(name_of_program("/srv/shop"), "shop");
  EXPECT_EQ(name_of_program("/srv/shop/"), "shop");
  EXPECT_EQ(name_of_program("/srv/my shop/../das da.js"), "das-da");
  EXPECT_EQ(name_of_program("/"), "app");
  EXPECT_EQ(name_of_program("/-.-"), "app");
  EXPECT_TRUE(is_name(name_of_program("/srv/" + std::string(200, 'x')) + "-999"));
}

TEST_F(Directory, IsMadeForNobodyElse) {
  const std::string ours = path_ + "/run/cohort";
  ASSERT_TRUE(make_directory(ours));
  EXPECT_TRUE(make_directory(ours)) << "again";
  EXPECT_EQ(fs::status(ours).permissions(), fs::perms::owner_all);
}

TEST_F(Directory, WhereOthersMayWriteIsNotTaken) {
  ASSERT_EQ(::chmod(path_.c_str(), 0777), 0);
  const auto made = make_directory(path_);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, boost::system::errc::operation_not_permitted);
}

TEST_F(Directory, ALinkIsNone) {
  fs::create_directory(path_ + "/mine");
  fs::permissions(path_ + "/mine", fs::perms::owner_all);
  ASSERT_TRUE(make_directory(path_ + "/mine"));
  fs::create_directory_symlink("mine", path_ + "/link");
  EXPECT_FALSE(make_directory(path_ + "/link"));
}

TEST_F(Directory, AFileIsNone) {
  std::ofstream{path_ + "/file"} << "x";
  EXPECT_FALSE(make_directory(path_ + "/file"));
  EXPECT_FALSE(make_directory(path_ + "/file/below"));
}

TEST_F(Directory, ANameIsTakenOnce) {
  auto first = take_name(path_, "shop");
  ASSERT_TRUE(first);
  const auto second = take_name(path_, "shop");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, boost::system::errc::operation_would_block);
  EXPECT_TRUE(take_name(path_, "other"));
  give_name_back(path_, "shop", std::move(*first));
  EXPECT_FALSE(fs::exists(path_ + "/shop.lock"));
  EXPECT_TRUE(take_name(path_, "shop"));
}

TEST_F(Directory, WhatIsInItThatIsNoNameIsLeftOut) {
  for (const char* file : {"shop.sock", "a.sock", ".sock", "..sock", "a b.sock", "shop.lock", "x"})
    std::ofstream{path_ + '/' + file} << "x";
  EXPECT_EQ(names_in(path_), (std::vector<std::string>{"a", "shop"}));
  EXPECT_EQ(names_in(path_ + "/none"), std::vector<std::string>{});
}

}  // namespace
}  // namespace cohort::manager
