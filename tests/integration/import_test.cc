// `cohort import` with a real node, and `cohort run` of what it made.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <tuple>

#include "harness/verbs.h"

namespace harness {
namespace {

class Import : public Verbs {
 protected:
  std::string file(const std::string& name) const {
    std::ifstream stream{folder_.path() + '/' + name};
    return {std::istreambuf_iterator<char>{stream}, {}};
  }
};

constexpr const char* kEcosystem = R"(
console.log('a file may print');
module.exports = {
  apps: [{
    name: 'shop',
    script: __dirname + '/server.js',
    cwd: __dirname,
    instances: 1 + 1,
    kill_timeout: 5000,
    max_restarts: Infinity,
    on_start: () => {},
    env: { TEST_PORT: process.env.TEST_PORT, MISSING: process.env.NOT_THERE_AT_ALL },
    env_production: { GREETING: 'imported' },
  }],
};
)";

TEST_F(Import, AnEcosystemFileInJavaScriptServes) {
  folder_.write("server.js", script("' + process.env.GREETING + '"));
  folder_.write("ecosystem.config.js", kEcosystem);
  const Said said = verb({"import", "--env", "production", "-o", "cohort.toml"});
  ASSERT_EQ(said.code, 0) << said.text();
  EXPECT_EQ(said.out, "");
  for (const char* part :
       {"a file may print\n", "cohort: [shop] max_restarts: left out: it is Infinity",
        "cohort: [shop] on_start: left out: it is function",
        "cohort: [shop] env: `MISSING` left out: it is undefined", "cohort: process.env: "})
    EXPECT_TRUE(has(said.err, part)) << part << " in\n" << said.err;
  const std::string toml = file("cohort.toml");
  EXPECT_TRUE(has(toml, "\n[shop]\n")) << toml;
  EXPECT_TRUE(has(toml, "\nprogram = \"server.js\"\n")) << toml;
  EXPECT_TRUE(has(toml, "\nworkers = 2\ngrace = 5\n")) << toml;
  const auto program = run({"--only", "shop"});
  EXPECT_EQ(http_get(port).body, "imported\n");
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Import, WhatIsThereIsReplacedWhenThatIsWantedOnly) {
  folder_.write("Procfile", "web: node server.js -p $PORT\nrelease: ./migrate\n");
  folder_.write("cohort.toml", "mine");
  const Said refused = verb({"import", "-o", "cohort.toml"});
  EXPECT_EQ(refused.code, 100) << refused.text();
  EXPECT_TRUE(has(refused.err, "cohort.toml is there already; --force replaces it")) << refused.err;
  EXPECT_EQ(file("cohort.toml"), "mine");
  const Said printed = verb({"import"});
  EXPECT_EQ(printed.code, 0) << printed.text();
  const Said replaced = verb({"import", "Procfile", "-o", "cohort.toml", "--force"});
  EXPECT_EQ(replaced.code, 0) << replaced.text();
  EXPECT_EQ(file("cohort.toml"), printed.out);
  EXPECT_TRUE(has(printed.out, "args = [\"-c\", \"exec node server.js -p $PORT\"]")) << printed.out;
  EXPECT_TRUE(has(printed.err, "cohort: release: left out")) << printed.err;
}

TEST_F(Import, FromAnotherFolderLeadsBack) {
  folder_.write("ecosystem.json", R"({"apps": [{"script": "server.js"}]})");
  ASSERT_EQ(verb({"import", "-o", "not-there/cohort.toml"}).code, 111) << "there is no such folder";
  const TempDir other;
  const Said said = verb({"import", "-o", other.path() + "/cohort.toml"});
  EXPECT_EQ(said.code, 0) << said.text();
  std::ifstream stream{other.path() + "/cohort.toml"};
  const std::string toml{std::istreambuf_iterator<char>{stream}, {}};
  EXPECT_TRUE(has(toml, "cwd = \"" + folder_.path() + "\"\n")) << toml;
}

TEST_F(Import, AnEcosystemFileMayBeAModule) {
  folder_.write("ecosystem.config.mjs", "export default {apps: [{script: 'server.js'}]};\n");
  const Said said = verb({"import"});
  EXPECT_EQ(said.code, 0) << said.text();
  EXPECT_TRUE(has(said.out, "[server]\nprogram = \"server.js\"\nworkers = 1\n")) << said.text();
}

TEST_F(Import, WhatCannotBeReadIsNamed) {
  const std::tuple<const char*, const char*, const char*> wrong[] = {
      {"ecosystem.config.js", "module.exports = {apps: [", "node cannot read it"},
      {"ecosystem.config.cjs", "throw new Error('no database')", "Error: no database"},
      {"e.js", "module.exports = () => ({})", "it exports function"},
      {"e.json", "{apps: []}", "it is not JSON: "},
      {"ecosystem.yml", "apps: []", "YAML is not read"},
      {"e.txt", "apps", "it is neither an ecosystem file"},
      {"Procfile", "# nothing\n", "Procfile has no application"},
  };
  for (const auto& [name, text, expected] : wrong) {
    folder_.write(name, text);
    const Said said = verb({"import", name});
    EXPECT_EQ(said.code, 100) << name << said.text();
    EXPECT_TRUE(has(said.err, expected)) << name << said.text();
    EXPECT_EQ(said.out, "") << name;
  }
  EXPECT_EQ(verb({"import", "not-there.json"}).code, 100);
}

TEST_F(Import, WithoutNodeSaysWhatToInstall) {
  folder_.write("ecosystem.config.js", "module.exports = {apps: [{script: 'a.js'}]};\n");
  Program program{{command(), "import"}, {.env = {{"PATH", "/nowhere"}}, .cwd = folder_.path()}};
  EXPECT_TRUE(program.exits_with(100)) << program.transcript();
  EXPECT_TRUE(has(program.errors(), "there is no node in PATH: install Node.js"))
      << program.transcript();
}

TEST_F(Import, WithoutAFileSaysWhatItLooksFor) {
  const Said said = verb({"import"});
  EXPECT_EQ(said.code, 100) << said.text();
  EXPECT_TRUE(has(said.err, "there is no ecosystem.config.js, .cjs, .json or Procfile here"))
      << said.text();
}

}  // namespace
}  // namespace harness
