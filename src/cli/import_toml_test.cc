#include "cli/import_toml.h"

#include <gtest/gtest.h>

#include "cli/config_file.h"

namespace cohort::cli {
namespace {

std::vector<RunOptions> read_again(const Imported& all) {
  auto config = parse_config(toml_text(all, "ecosystem.config.js"), "/srv/shop/cohort.toml");
  if (const auto* wrong = std::get_if<ConfigProblem>(&config)) ADD_FAILURE() << wrong->text;
  return std::holds_alternative<ConfigProblem>(config)
             ? std::vector<RunOptions>{}
             : std::get<std::vector<RunOptions>>(std::move(config));
}

TEST(ImportToml, IsWhatAPersonWouldWrite) {
  Imported all;
  all.remarks.push_back({"deploy", "left out"});
  ImportedApplication shop{.program = "server.js", .args = {"--port", "3000"}};
  shop.set("instances", {.key = "workers", .value = "4"});
  shop.set("max_memory_restart", {.key = "max-memory", .value = "512M", .in_quotes = true});
  shop.set_env("NODE_ENV", "production");
  shop.set_env("PORT", "1");
  shop.set_env("PORT", "3000");
  shop.remark("vizion", "left out");
  all.add(std::move(shop), "shop");
  EXPECT_EQ(toml_text(all, "ecosystem.config.js"),
            R"(# From ecosystem.config.js, by cohort import. It belongs into that folder.
# deploy: left out

[shop]
# vizion: left out
program = "server.js"
args = ["--port", "3000"]
workers = 4
max-memory = "512M"
env = {NODE_ENV = "production", PORT = "3000"}
)");
  EXPECT_EQ(remarks_text(all), "cohort: deploy: left out\ncohort: [shop] vizion: left out\n");
}

TEST(ImportToml, QuotesWhatItHasTo) {
  EXPECT_EQ(toml_string("a\"b\\c\n\t\x01\x7f"), R"("a\"b\\c\n\t\u0001\u007f")");
  EXPECT_EQ(toml_string("\xed\x9c\xa0 \xff"), "\"\xed\x9c\xa0 \xef\xbf\xbd\"");
  EXPECT_EQ(toml_string(""), "\"\"");
}

TEST(ImportToml, IsReadAsItWasMeant) {
  const std::string strange = "\"\\ ' # \n\r\t = {} [] \x1b \x7f \xea\xb0\x80";
  Imported all;
  ImportedApplication first{.program = strange, .args = {strange, "", "3"}};
  first.set_env("odd name", strange);
  first.set_env("a.b", "");
  first.remark("a\nb",
               "c\rd\x01"
               "e\xff");
  all.add(std::move(first), "shop.v2");
  const auto read = read_again(all);
  ASSERT_EQ(read.size(), 1U);
  EXPECT_EQ(read[0].name, "shop.v2");
  EXPECT_EQ(read[0].program, strange);
  EXPECT_EQ(read[0].args, (std::vector<std::string>{strange, "", "3"}));
  EXPECT_EQ(read[0].env, (std::map<std::string, std::string>{{"odd name", strange}, {"a.b", ""}}));
}

TEST(ImportToml, TakesALineForEachOfMany) {
  Imported all;
  ImportedApplication application{.program = "x"};
  for (int i = 0; i < 20; ++i) {
    application.args.push_back("argument " + std::to_string(i));
    application.set_env("VARIABLE_" + std::to_string(i), "value = " + std::to_string(i));
  }
  all.add(std::move(application), "shop");
  const std::string text = toml_text(all, "Procfile");
  EXPECT_NE(text.find("\n  \"argument 7\",\n"), text.npos) << text;
  EXPECT_NE(text.find("\n  \"VARIABLE_7=value = 7\",\n"), text.npos) << text;
  const auto read = read_again(all);
  ASSERT_EQ(read.size(), 1U);
  EXPECT_EQ(read[0].args.size(), 20U);
  EXPECT_EQ(read[0].env.at("VARIABLE_19"), "value = 19");
}

TEST(ImportToml, ANameThatCannotBeOneBecomesASimilarOne) {
  Imported all;
  for (const char* wanted : {"shop", "my shop", "shop", "../x", "", "@a/b.c", "shop"})
    all.add({.program = "x"}, wanted);
  std::vector<std::string> names;
  for (const RunOptions& each : read_again(all)) names.push_back(each.name);
  EXPECT_EQ(names,
            (std::vector<std::string>{"shop", "my-shop", "shop-2", "x", "app", "a-b.c", "shop-3"}));
  const std::string said = remarks_text(all);
  EXPECT_NE(said.find("[my-shop] name: `my shop` cannot be the name of an application, so it is "
                      "`my-shop`\n"),
            said.npos)
      << said;
}

TEST(ImportToml, WhatCohortWouldNotTakeIsLeftOutAndSaid) {
  Imported all;
  ImportedApplication application{.program = "x"};
  application.set("kill_timeout", {.key = "grace", .value = "0"});
  application.set("instances", {.key = "workers", .value = "5000"});
  application.set("x", {.key = "no-such-key", .value = "1"});
  application.set_env("A=B", "1");
  application.set_env("", "1");
  application.set_env("C", std::string("a\0b", 3));
  EXPECT_TRUE(application.settings.empty());
  EXPECT_TRUE(application.env.empty());
  ASSERT_EQ(application.remarks.size(), 6U);
  EXPECT_EQ(application.remarks[0].why,
            "left out: `grace` takes seconds, from 0.1 to 86400; not `0`");
  EXPECT_EQ(application.remarks[3].why, "`A=B` left out: no process can have it");
  all.add(std::move(application), "shop");
  EXPECT_EQ(read_again(all).size(), 1U);
}

}  // namespace
}  // namespace cohort::cli
