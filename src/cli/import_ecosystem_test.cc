#include "cli/import_ecosystem.h"

#include <gtest/gtest.h>

#include <csignal>

#include "cli/config_file.h"
#include "cli/import_toml.h"

namespace cohort::cli {
namespace {

using namespace std::chrono_literals;
using ImportArguments = std::vector<std::string>;

Imported import_json(std::string_view json, ImportContext context = {}) {
  if (context.folder.empty()) context.folder = "/srv/shop";
  const auto file = parse_json(json);
  EXPECT_TRUE(file) << json;
  auto all = import_ecosystem(file ? *file : Value{}, context);
  if (const auto* problem = std::get_if<ImportProblem>(&all)) ADD_FAILURE() << problem->text;
  return std::holds_alternative<Imported>(all) ? std::get<Imported>(std::move(all)) : Imported{};
}
// The one application of `{script: "server.js", ...}`.
ImportedApplication import_one(const std::string& fields, const ImportContext& context = {}) {
  auto all = import_json("{\"apps\":[{\"script\":\"server.js\"" + fields + "}]}", context);
  EXPECT_EQ(all.applications.size(), 1U);
  return all.applications.empty() ? ImportedApplication{} : std::move(all.applications.front());
}
std::string import_problem(std::string_view json, const ImportContext& context = {}) {
  const auto all = import_ecosystem(*parse_json(json), context);
  const auto* problem = std::get_if<ImportProblem>(&all);
  return problem == nullptr ? "" : problem->text;
}
// As cohort reads what is written; what cannot be read fails.
RunOptions import_and_read(const std::string& fields) {
  Imported all;
  ImportedApplication one = import_one(fields);
  const std::string name = one.name;
  all.add(std::move(one), name);
  auto config = parse_config(toml_text(all, "ecosystem.config.js"), "/srv/shop/cohort.toml");
  if (const auto* wrong = std::get_if<ConfigProblem>(&config)) ADD_FAILURE() << wrong->text;
  return std::holds_alternative<ConfigProblem>(config)
             ? RunOptions{}
             : std::get<std::vector<RunOptions>>(config).at(0);
}
// The value of a key of cohort.toml; empty if it is not there.
std::string setting_of(const ImportedApplication& application, std::string_view key) {
  for (const ImportedSetting& setting : application.settings)
    if (setting.key == key) return setting.value;
  return {};
}
std::string remarks_of(const ImportedApplication& application) {
  std::string all;
  for (const ImportRemark& remark : application.remarks)
    all += remark.what + ": " + remark.why + '\n';
  return all;
}
testing::AssertionResult is_said(const ImportedApplication& application, std::string_view part) {
  const std::string all = remarks_of(application);
  if (all.find(part) != all.npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "no `" << part << "` in\n" << all;
}

TEST(ImportEcosystem, OfAnOrdinaryServerHasNothingToSay) {
  const ImportedApplication shop = import_one(
      R"(,"name":"shop","instances":"max","exec_mode":"cluster","args":"--port 3000",
         "max_memory_restart":"512M","kill_timeout":5000,"watch":false,"autorestart":true,
         "env":{"NODE_ENV":"production","PORT":3000,"DEBUG":false})");
  EXPECT_EQ(remarks_of(shop), "");
  EXPECT_EQ(shop.name, "shop");
}

TEST(ImportEcosystem, IsReadByCohort) {
  const RunOptions shop = import_and_read(
      R"(,"name":"shop","instances":4,"args":["--port",3000,"a b"],"cwd":"web",
         "max_memory_restart":"512M","kill_timeout":1600,"listen_timeout":"8000","watch":true,
         "log_type":"json","env":{"NODE_ENV":"production","A":{"b":1}},"port":3000)");
  EXPECT_EQ(shop.name, "shop");
  EXPECT_EQ(shop.program, "server.js");
  EXPECT_EQ(shop.args, (ImportArguments{"--port", "3000", "a b"}));
  EXPECT_EQ(shop.workers, 4U);
  EXPECT_EQ(shop.cwd, "/srv/shop/web");
  EXPECT_EQ(shop.max_memory, std::uint64_t{512} << 20);
  EXPECT_EQ(shop.grace, 1600ms);
  EXPECT_EQ(shop.ready_within, 8s);
  EXPECT_TRUE(shop.watch);
  EXPECT_TRUE(shop.json);
  EXPECT_EQ(shop.env, (std::map<std::string, std::string>{
                          {"A", "{\"b\":1}"}, {"NODE_ENV", "production"}, {"PORT", "3000"}}));
}

TEST(ImportEcosystem, HasItsApplicationsInAnyOfPm2sPlaces) {
  for (const char* json : {R"({"apps":[{"script":"a.js"}]})", R"({"apps":{"script":"a.js"}})",
                           R"([{"script":"a.js"}])", R"({"script":"a.js"})", R"({"exec":"a.js"})",
                           R"({"name":"of npm","version":"1","pm2":[{"script":"a.js"}]})"}) {
    const Imported all = import_json(json);
    ASSERT_EQ(all.applications.size(), 1U) << json;
    EXPECT_EQ(all.applications[0].program, "a.js");
    EXPECT_EQ(all.applications[0].name, "a");
    EXPECT_TRUE(all.remarks.empty()) << json;
  }
}

TEST(ImportEcosystem, WithoutAnApplicationIsAProblem) {
  for (const char* json : {"{}", "[]", "null", "3", R"({"apps":[]})", R"({"apps":[{"name":"x"}]})"})
    EXPECT_TRUE(import_problem(json).starts_with("there is no application in it")) << json;
  EXPECT_EQ(import_problem(R"({"cohort:javascript":"function"})"),
            "it exports function, which is no configuration");
}

TEST(ImportEcosystem, WhatStandsBesideTheApplicationsIsNamed) {
  const Imported all = import_json(
      R"({"apps":[{"script":"a.js"},{"name":"b"},7],"deploy":{"x":{}},"static":[],"foo":1})");
  EXPECT_EQ(all.applications.size(), 1U);
  const std::string said = remarks_text(all);
  for (const char* part :
       {"cohort: deploy: left out", "cohort: static: left out", "cohort: foo: left out: unknown",
        "cohort: application 2: left out", "cohort: application 3: left out"})
    EXPECT_NE(said.find(part), said.npos) << part << " in\n" << said;
}

TEST(ImportEcosystem, InstancesAreWorkersAndWithoutThemThereIsOne) {
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {"", "1", ""},
      {R"(,"instances":4)", "4", ""},
      {R"(,"instances":"4")", "4", ""},
      {R"(,"instances":"max")", "auto", ""},
      {R"(,"instances":0)", "auto", ""},
      {R"(,"instances":-1)", "auto",
       "instances (-1): `auto` is one worker for each CPU; pm2 left 1"},
      {R"(,"instances":"many")", "auto", "is no number"},
      {R"(,"instances":9999)", "1024", "made 1024"},
      {R"(,"instances":2.5)", "2", "made 2"},
      {R"(,"instances":null)", "1", "instances: left out: it is null"},
  };
  for (const auto& [fields, workers, said] : cases) {
    const ImportedApplication one = import_one(fields);
    EXPECT_EQ(setting_of(one, "workers"), workers) << fields;
    EXPECT_TRUE(is_said(one, said));
    if (*said == '\0') {
      EXPECT_EQ(remarks_of(one), "") << fields;
    }
  }
}

TEST(ImportEcosystem, SeveralOfForkModeShareTheirPortsHere) {
  EXPECT_EQ(remarks_of(import_one(R"(,"exec_mode":"fork")")), "");
  EXPECT_EQ(remarks_of(import_one(R"(,"exec_mode":"cluster_mode","instances":2)")), "");
  EXPECT_TRUE(is_said(import_one(R"(,"exec_mode":"fork","instances":2)"),
                      "exec_mode (\"fork\"): left out: workers share their ports"));
  EXPECT_TRUE(is_said(import_one(R"(,"exec_mode":"other")"), "exec_mode (\"other\"): left out"));
}

TEST(ImportEcosystem, TheInterpreterStandsBeforeTheScript) {
  const std::tuple<const char*, const char*, ImportArguments> cases[] = {
      {R"({"script":"a.js","interpreter":"node"})", "a.js", {}},
      {R"({"script":"a.js","node_args":"--inspect -r x"})",
       "node",
       {"--inspect", "-r", "x", "a.js"}},
      {R"({"script":"a.js","interpreter_args":["-r","x"],"args":"b"})",
       "node",
       {"-r", "x", "a.js", "b"}},
      {R"({"script":"bin/www","interpreter":"node"})", "node", {"bin/www"}},
      {R"({"script":"bin/www"})", "bin/www", {}},
      {R"({"script":"a.js","interpreter":"/opt/node/bin/node"})", "/opt/node/bin/node", {"a.js"}},
      {R"({"script":"a.js","interpreter":"node@18.1"})", "a.js", {}},
      {R"({"script":"./a.out","interpreter":"none"})", "./a.out", {}},
      {R"({"script":"a.py","args":"-v"})", "python3", {"a.py", "-v"}},
      {R"({"script":"a.py","interpreter":"/venv/bin/python"})", "/venv/bin/python", {"a.py"}},
      {R"({"script":"a.sh"})", "bash", {"a.sh"}},
      {R"({"script":"a.ts"})", "a.ts", {}},
      {R"({"script":"a.ts","interpreter":"tsx"})", "a.ts", {}},
      {R"({"script":"a.ts","interpreter":"ts-node"})", "ts-node", {"a.ts"}},
  };
  for (const auto& [json, program, args] : cases) {
    const Imported all = import_json(json);
    ASSERT_EQ(all.applications.size(), 1U) << json;
    EXPECT_EQ(all.applications[0].program, program) << json;
    EXPECT_EQ(all.applications[0].args, args) << json;
  }
  EXPECT_TRUE(is_said(import_one(R"(,"interpreter":"node@18")"), "the version is not chosen"));
  const Imported python = import_json(R"({"script":"a.py","instances":2})");
  EXPECT_EQ(python.applications[0].env_of("PYTHONUNBUFFERED"), "1");
  EXPECT_TRUE(is_said(python.applications[0], "so only one worker can have it"));
}

TEST(ImportEcosystem, AScriptThatIsACommandIsSplit) {
  const Imported all = import_json(
      R"([{"script":"node server.js --port 1","args":"x"},{"script":"cd a && b","name":"b"},
          {"script":"npm","args":"start","name":"c"}])");
  ASSERT_EQ(all.applications.size(), 3U);
  EXPECT_EQ(all.applications[0].program, "server.js");
  EXPECT_EQ(all.applications[0].args, (ImportArguments{"--port", "1"}));
  EXPECT_TRUE(is_said(all.applications[0], "args (\"x\"): left out, as in pm2"));
  EXPECT_EQ(all.applications[1].args, (ImportArguments{"-c", "cd a && b"}));
  EXPECT_TRUE(is_said(all.applications[1], "run through `sh -c`, for `&&`"));
  EXPECT_TRUE(is_said(all.applications[2], "`npm` starts the server as a process of its own"));
}

TEST(ImportEcosystem, PathsBelowTheFolderAreRelativeToIt) {
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {R"({"script":"/srv/shop/a.js","cwd":"/srv/shop"})", "a.js", ""},
      {R"({"script":"a.js","cwd":"./"})", "a.js", ""},
      {R"({"script":"a.js","cwd":"/srv/shop/web/"})", "a.js", "web"},
      {R"({"script":"/srv/shop/a.js","cwd":"web"})", "../a.js", "web"},
      {R"({"script":"/srv/shop/server"})", "./server", ""},
      {R"({"script":"/usr/bin/x","cwd":"/srv/shopping"})", "/usr/bin/x", "/srv/shopping"},
      {R"({"script":"~/a.js","cwd":"~"})", "/home/me/a.js", "/home/me"},
      {R"({"script":"./a.js","cwd":"../other"})", "./a.js", "../other"},
  };
  for (const auto& [json, program, cwd] : cases) {
    const Imported all = import_json(json, {.folder = "/srv/shop", .home = "/home/me"});
    ASSERT_EQ(all.applications.size(), 1U) << json;
    EXPECT_EQ(all.applications[0].program, program) << json;
    EXPECT_EQ(setting_of(all.applications[0], "cwd"), cwd) << json;
  }
}

TEST(ImportEcosystem, TheChosenEnvironmentIsAddedAndTheOthersAreNamed) {
  const std::string fields =
      R"(,"env":{"A":"1","B":"1"},"env_production":{"B":"2"},"env_staging":{"B":"3"})";
  const ImportedApplication plain = import_one(fields);
  EXPECT_EQ(plain.env_of("B"), "1");
  EXPECT_TRUE(is_said(plain, "env_production: left out: cohort import --env production takes it"));
  EXPECT_TRUE(is_said(plain, "[server-staging]"));
  const ImportedApplication chosen =
      import_one(fields + R"(,"append_env_to_name":true)", {.env = "production"});
  EXPECT_EQ(chosen.name, "server-production");
  EXPECT_EQ(chosen.env_of("A"), "1");
  EXPECT_EQ(chosen.env_of("B"), "2");
  EXPECT_EQ(remarks_of(chosen).find("env_production"), std::string::npos);
  EXPECT_TRUE(is_said(chosen, "env_staging: left out"));
}

TEST(ImportEcosystem, AnEnvironmentThatNobodyHasIsAProblem) {
  const char* json = R"([{"script":"a.js","env_b":{}},{"script":"c.js","env_a":{}}])";
  EXPECT_EQ(import_problem(json, {.env = "c"}), "no application has env_c; there are: a, b");
  EXPECT_EQ(import_problem(R"({"script":"a.js"})", {.env = "c"}),
            "no application has env_c; there are: none");
  const Imported all = import_json(json, {.env = "b"});
  EXPECT_TRUE(is_said(all.applications.at(1), "env_b: is not there: `env` alone"));
}

TEST(ImportEcosystem, TheEnvironmentOfADeploymentCountsLeast) {
  const Imported all = import_json(
      R"({"apps":[{"script":"a.js","env":{"B":"2"}}],"deploy":{"p":{"env":{"A":"1","B":"1"}}}})",
      {.env = "p"});
  EXPECT_EQ(all.applications.at(0).env_of("A"), "1");
  EXPECT_EQ(all.applications.at(0).env_of("B"), "2");
}

TEST(ImportEcosystem, TheUserOfTheWorkersIsTheirs) {
  const ImportedApplication one = import_one(R"(,"uid":"www-data","gid":1000)");
  EXPECT_EQ(setting_of(one, "user"), "www-data");
  EXPECT_EQ(setting_of(one, "group"), "1000");
  EXPECT_EQ(setting_of(import_one(R"(,"username":"shop")"), "user"), "shop");
}

TEST(ImportEcosystem, EveryOtherFieldIsNamedWithAReason) {
  const ImportedApplication one = import_one(
      R"(,"name":"shop","cron_restart":"0 4 * * *","min_uptime":"10s","unheard_of":true,
         "error":"err.log","io":{"x":1},"treekill":false,"pmx":false)");
  EXPECT_TRUE(is_said(one, "cron_restart (\"0 4 * * *\"): left out: cohort has no timer"));
  EXPECT_TRUE(is_said(one, "0 4 * * * cohort reload shop"));
  EXPECT_TRUE(is_said(one, "min_uptime (\"10s\"): left out"));
  EXPECT_TRUE(is_said(one, "unheard_of: left out: unknown, to pm2 as well"));
  EXPECT_TRUE(is_said(one, "error (\"err.log\"): left out"));
  EXPECT_TRUE(is_said(one, "io: left out"));
  EXPECT_TRUE(is_said(one, "treekill (false): left out"));
  EXPECT_EQ(one.remarks.size(), 6U) << remarks_of(one) << "pmx: false is as it is here";
}

TEST(ImportEcosystem, WhatCannotBeUsedIsNamedToo) {
  const ImportedApplication one = import_one(
      R"(,"exec":"other.js","kill_timeout":"soon","max_memory_restart":"10K","watch":["src"],
         "env":{"A":{"cohort:javascript":"undefined"},"B":"1"},"env_x":"y","args":"it's",
         "max_restarts":{"cohort:javascript":"Infinity"},"log_type":"raw","port":null)");
  EXPECT_EQ(one.program, "server.js");
  EXPECT_EQ(one.args, (ImportArguments{"it's"}));
  EXPECT_EQ(setting_of(one, "watch"), "true");
  EXPECT_EQ(one.env.size(), 1U);
  for (const char* part : {"exec: left out: `script` is there, too",
                           "kill_timeout (\"soon\"): left out: it is no number",
                           "max_memory_restart: left out: `max-memory` takes a size of 1M or more",
                           "watch ([\"src\"]): watch = true: all of the workers' folder",
                           "env: `A` left out: it is undefined in JavaScript", "env_x: left out",
                           "args (\"it's\"): a quote in it has no end",
                           "max_restarts: left out: it is Infinity in JavaScript",
                           "log_type (\"raw\"): left out", "port: left out: it is null"})
    EXPECT_TRUE(is_said(one, part));
}

TEST(ImportEcosystem, SourceMapsAreAnOptionOfNode) {
  EXPECT_EQ(import_one(R"(,"source_map_support":true)").env_of("NODE_OPTIONS"),
            "--enable-source-maps");
  EXPECT_EQ(import_one(R"(,"sourceMapSupport":true,"env":{"NODE_OPTIONS":"-r x"})")
                .env_of("NODE_OPTIONS"),
            "-r x --enable-source-maps");
  EXPECT_TRUE(import_one(R"(,"source_map_support":false)").env.empty());
}

TEST(ImportEcosystem, AnAliasCountsWhereTheFieldItselfIsNull) {
  const Imported all = import_json(R"({"script":null,"exec":"a.js","execInterpreter":"node"})");
  ASSERT_EQ(all.applications.size(), 1U);
  EXPECT_EQ(all.applications[0].program, "a.js");
  EXPECT_EQ(remarks_of(all.applications[0]), "script: left out: it is null\n");
}

TEST(ImportEcosystem, NamesThatAreTakenOrOddAreChanged) {
  const Imported all = import_json(
      R"([{"script":"a.js","name":"my shop"},{"script":"b/a.js"},{"script":"c/a.js"}])");
  ASSERT_EQ(all.applications.size(), 3U);
  EXPECT_EQ(all.applications[0].name, "my-shop");
  EXPECT_EQ(all.applications[1].name, "a");
  EXPECT_EQ(all.applications[2].name, "a-2");
}

}  // namespace
}  // namespace cohort::cli
