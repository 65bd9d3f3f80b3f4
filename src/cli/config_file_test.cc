#include "cli/config_file.h"

#include <gtest/gtest.h>

#include <csignal>

namespace cohort::cli {
namespace {

using namespace std::chrono_literals;

std::vector<RunOptions> applications(std::string_view text) {
  auto parsed = parse_config(text, "/srv/shop/cohort.toml");
  if (const auto* problem = std::get_if<ConfigProblem>(&parsed)) {
    ADD_FAILURE() << problem->text;
    return {};
  }
  return std::get<std::vector<RunOptions>>(std::move(parsed));
}

std::string problem(std::string_view text) {
  const auto parsed = parse_config(text, "cohort.toml");
  const auto* found = std::get_if<ConfigProblem>(&parsed);
  return found == nullptr ? "" : found->text;
}

TEST(ConfigFile, HasApplicationsInItsOrder) {
  const auto all = applications("[shop]\nprogram = 'server.js'\n[api]\nprogram = './api'\n");
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].name, "shop");
  EXPECT_EQ(all[0].program, "server.js");
  EXPECT_EQ(all[0].config, "/srv/shop/cohort.toml");
  EXPECT_EQ(all[1].name, "api");
}

TEST(ConfigFile, HasTheOptionsOfTheCommandLine) {
  const auto all = applications(R"([shop]
program = "server.js"
args = ["--port", 3000]
workers = 4
balance = "sticky"
listen = [8000, "[::1]:8001"]
grace = 7.5
stop-signal = "INT"
ready-within = 30
prove = 2
no-preload = true
json = true
env = {NODE_ENV = "production", PORT = 8000}
env-only = ["PATH", "LANG"]
user = "shop"
group = 33
no-new-privs = true
)");
  ASSERT_EQ(all.size(), 1U);
  const RunOptions& shop = all[0];
  EXPECT_EQ(shop.args, (std::vector<std::string>{"--port", "3000"}));
  EXPECT_EQ(shop.workers, 4U);
  EXPECT_EQ(shop.policy, Policy::Sticky);
  EXPECT_EQ(shop.listen, (std::vector{Address{"", 8000}, Address{"::1", 8001}}));
  EXPECT_EQ(shop.grace, 7500ms);
  EXPECT_EQ(shop.stop_signal, SIGINT);
  EXPECT_EQ(shop.ready_within, 30s);
  EXPECT_EQ(shop.prove, 2s);
  EXPECT_FALSE(shop.preload);
  EXPECT_TRUE(shop.json);
  EXPECT_EQ(shop.env.at("NODE_ENV"), "production");
  EXPECT_EQ(shop.env.at("PORT"), "8000");
  EXPECT_EQ(shop.env_only, (std::vector<std::string>{"PATH", "LANG"}));
  EXPECT_EQ(shop.user, "shop");
  EXPECT_EQ(shop.group, "33");
  EXPECT_TRUE(shop.no_new_privs);
}

TEST(ConfigFile, WithoutAnyNameWorkersInheritNothing) {
  using Names = std::vector<std::string>;
  EXPECT_FALSE(applications("[a]\nprogram = 'x'\n")[0].env_only);
  EXPECT_EQ(applications("[a]\nprogram = 'x'\nenv-only = []\n")[0].env_only, Names{});
  EXPECT_EQ(applications("[a]\nprogram = 'x'\nenv-only = 'A,B'\n")[0].env_only, (Names{"A", "B"}));
}

TEST(ConfigFile, WorkersRunInItsFolderOrFromThereOn) {
  EXPECT_EQ(applications("[a]\nprogram = 'x'\n")[0].cwd, "/srv/shop/");
  EXPECT_EQ(applications("[a]\nprogram = 'x'\ncwd = 'web'\n")[0].cwd, "/srv/shop/web");
  EXPECT_EQ(applications("[a]\nprogram = 'x'\ncwd = '/srv/b'\n")[0].cwd, "/srv/b");
}

TEST(ConfigFile, WhatIsWrongIsNamedWithItsLine) {
  const std::pair<const char*, const char*> wrong[] = {
      {"[shop]\nprogram = 'x'\nworker = 4\n",
       "cohort.toml:3: [shop] has no `worker`; the nearest that there is: `workers`"},
      {"[shop]\nprogram = 'x'\nname = 'y'\n", "cohort.toml:3: [shop] has no `name`; the nearest"},
      {"[shop]\nprogram = 'x'\nworkers = 0\n",
       "cohort.toml:3: workers of [shop] takes a number from 1 to 1024, or auto; not `0`"},
      {"[shop]\nprogram = 'x'\nworkers = [1]\n",
       "cohort.toml:3: workers of [shop] takes one text or number"},
      {"[shop]\nprogram = 'x'\njson = 'yes'\n",
       "cohort.toml:3: json of [shop] takes true or false"},
      {"[shop]\nprogram = 'x'\nenv = ['A']\n",
       "cohort.toml:3: env of [shop] takes NAME=VALUE; not `A`"},
      {"[shop]\nprogram = 'x'\nenv-only = {A = '1'}\n",
       "cohort.toml:3: env-only of [shop] takes names of variables, as PATH,LANG; not `A=1`"},
      {"[shop]\nprogram = 'x'\nuser = ''\n",
       "cohort.toml:3: user of [shop] takes a name or a number; not ``"},
      {"[shop]\nprogram = 7\n", "cohort.toml:2: program of [shop] takes a text"},
      {"\n[shop]\nworkers = 4\n", "cohort.toml:2: [shop] needs a program"},
      {"[shop]\nprogram = 'x'\nlisten = 80\nbalance = 'round-robin'\n",
       "cohort.toml:1: [shop]: --listen is for programs"},
      {"[\"../x\"]\nprogram = 'x'\n", "cohort.toml:1: the name of an application is of letters"},
      {"program = 'x'\n", "cohort.toml:1: `program` stands outside of any application"},
      {"[shop\n", "cohort.toml:1: "},
      {"[shop]\nprogram = 'x'\nprogram = 'y'\n", "cohort.toml:3: "},
      {"# nothing\n", "cohort.toml has no application; begin one with [NAME] and a program"},
  };
  for (const auto& [text, expected] : wrong)
    EXPECT_TRUE(problem(text).starts_with(expected)) << text << "---\n" << problem(text);
}

TEST(ConfigFile, ThatIsNotThereOrIsAFolderIsNamed) {
  for (const auto& [path, expected] :
       {std::pair{"/nowhere/cohort.toml", "No such file"}, std::pair{"/tmp", "/tmp: "}}) {
    const auto read = read_config_file(path);
    ASSERT_TRUE(std::holds_alternative<ConfigProblem>(read)) << path;
    EXPECT_NE(std::get<ConfigProblem>(read).text.find(expected), std::string::npos);
  }
}

}  // namespace
}  // namespace cohort::cli
