#include "cli/direct_command.h"

#include <gtest/gtest.h>

#include <set>

#include "base/command_line.h"

namespace cohort::cli {
namespace {

class DirectCommandOf : public testing::Test {
 protected:
  std::optional<DirectCommand> found(const std::vector<std::string>& words) const {
    return direct_command(
        words, {.directory = "/app",
                .read = [this](const std::string& path) -> std::optional<std::string> {
                  if (path != "/app/package.json") {
                    const auto file = files_.find(path.substr(5));
                    return file == files_.end() ? std::nullopt : std::optional{file->second};
                  }
                  return R"({"name":"shop","version":"1.2.3","scripts":)" + scripts_ + "}";
                },
                .installed = [this](const std::string& name) -> std::optional<std::string> {
                  if (!installed_.contains(name)) return std::nullopt;
                  return "/app/node_modules/.bin/" + name;
                },
                .options_of_tsx =
                    [](const std::string& tsx) {
                      return std::vector<std::string>{"--import", tsx + "/loader.mjs"};
                    }});
  }
  // `A=b program arg`; `-`: it is left as it is.
  std::string of(const std::vector<std::string>& words) const {
    const auto direct = found(words);
    if (!direct) return "-";
    std::string text;
    for (const auto& [name, value] : direct->env) text += name + '=' + value + ' ';
    return text + join_words(direct->words);
  }

  std::string scripts_ = R"({"start":"node server.js"})";
  std::set<std::string> installed_;
  std::map<std::string, std::string> files_;  // beside package.json
};

TEST_F(DirectCommandOf, AScriptOfPackageJsonIsWhatItNames) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"npm", "start"},
                                             {"npm", "run", "start"},
                                             {"npm", "run-script", "start"},
                                             {"npm", "--silent", "start"},
                                             {"npm", "run", "-s", "start"},
                                             {"yarn", "start"},
                                             {"yarn", "run", "start"},
                                             {"pnpm", "start"},
                                             {"pnpm", "run", "start"},
                                             {"node", "--run", "start"}})
    EXPECT_EQ(of(words), "node server.js") << join_words(words);
}

TEST_F(DirectCommandOf, ArgumentsGoToTheScript) {
  EXPECT_EQ(of({"npm", "start", "--", "--port", "80"}), "node server.js --port 80");
  EXPECT_EQ(of({"npm", "start", "one"}), "node server.js one");
  EXPECT_EQ(of({"npm", "start", "--port", "80"}), "-") << "npm would take it for its own";
  EXPECT_EQ(of({"yarn", "start", "--port", "80"}), "node server.js --port 80");
  EXPECT_EQ(of({"pnpm", "start", "--", "x"}), "-") << "some versions give it the --, others not";
}

TEST_F(DirectCommandOf, WhatIsNotOfNpmIsNotTaken) {
  installed_ = {"serve"};
  EXPECT_EQ(of({"npm", "start", "--", "-s", "--silent"}), "node server.js -s --silent");
  const std::string serve = "/app/node_modules/.bin/serve";
  EXPECT_EQ(of({"npm", "exec", "--", "serve", "-s", "build"}), serve + " -s build");
  EXPECT_EQ(of({"npm", "exec", "serve", "--", "-l", "80"}), serve + " -l 80");
  EXPECT_EQ(of({"npm", "exec", "serve", "-l", "80"}), "-") << "npm would take -l for its own";
  EXPECT_EQ(of({"npx", "serve", "-l", "80"}), serve + " -l 80");
}

TEST_F(DirectCommandOf, WhatNpmIsConfiguredForIsLeftToIt) {
  for (const auto& [name, text] : {std::pair{".npmrc", "node-options=--max-old-space-size=99"},
                                   {".npmrc", "script-shell=/bin/zsh"},
                                   {".pnp.cjs", ""},
                                   {".pnp.loader.mjs", ""}}) {
    files_ = {{name, text}};
    EXPECT_EQ(of({"npm", "start"}), "-") << name << text;
    EXPECT_EQ(of({"node", "--run", "start"}), "node server.js") << "node reads none of them";
  }
  files_ = {{".npmrc", "registry=https://example.org"}};
  EXPECT_EQ(of({"npm", "start"}), "node server.js");
  scripts_ = R"({"start":"node server.js"},"config":{"port":"80"})";
  EXPECT_EQ(of({"npm", "start"}), "-") << "npm_package_config_port";
}

TEST_F(DirectCommandOf, TheInnerScriptIsTheOneThatRuns) {
  scripts_ = R"({"start":"npm run serve","serve":"node a.js"})";
  EXPECT_EQ(found({"npm", "start"})->npm.at("npm_lifecycle_event"), "serve");
  EXPECT_EQ(found({"npm", "start"})->npm.at("npm_lifecycle_script"), "node a.js");
  const auto by_node = found({"node", "--run", "serve"});
  EXPECT_EQ(by_node->npm,
            (std::map<std::string, std::string>{{"NODE_RUN_PACKAGE_JSON_PATH", "/app/package.json"},
                                                {"NODE_RUN_SCRIPT_NAME", "serve"}}));
}

TEST_F(DirectCommandOf, AScriptMayNameAnotherOneAndSetVariables) {
  scripts_ = R"({"start":"NODE_ENV=production npm run serve -- -v","serve":"PORT=80 node a.js"})";
  EXPECT_EQ(of({"npm", "start"}), "NODE_ENV=production PORT=80 node a.js -v");
  scripts_ = R"({"start":"exec cross-env A=1 B='2 3' node \"a b.js\""})";
  EXPECT_EQ(of({"npm", "start"}), "A=1 B=2 3 node 'a b.js'");
  scripts_ = R"({"start":"npm start"})";
  EXPECT_EQ(of({"npm", "start"}), "-") << "it never ends";
}

TEST_F(DirectCommandOf, WhatNeedsAShellIsLeftToIt) {
  for (const char* script :
       {"node a.js | cat", "node a.js & node b.js", "tsc && node a.js", "node $FILE", "node `x`",
        "node *.js", "node a.js > log", "(node a.js)", "cd dist", "~/x", "# none", "node 'a", "A=1",
        "", "nodemon a.js", "! node a.js"}) {
    scripts_ = std::string{R"({"start":")"} + script + "\"}";
    EXPECT_EQ(of({"npm", "start"}), "-") << script;
  }
}

TEST_F(DirectCommandOf, ScriptsBeforeAndAfterItAreNotLeftOut) {
  scripts_ = R"({"start":"node a.js","prestart":"tsc"})";
  EXPECT_EQ(of({"npm", "start"}), "-");
  EXPECT_EQ(of({"node", "--run", "start"}), "node a.js") << "node does not run them";
  scripts_ = R"({"start":"node a.js","poststart":"echo"})";
  EXPECT_EQ(of({"yarn", "start"}), "-");
}

TEST_F(DirectCommandOf, WhatNpmHasInstalledIsFound) {
  installed_ = {"next", "tsx"};
  scripts_ = R"({"start":"next start -p 80","dev":"tsx --env-file=.env src/a.ts"})";
  EXPECT_EQ(of({"npm", "start"}), "/app/node_modules/.bin/next start -p 80");
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"npx", "next", "start"},
                                             {"yarn", "next", "start"},
                                             {"pnpm", "exec", "next", "start"},
                                             {"npm", "exec", "--", "next", "start"}})
    EXPECT_EQ(of(words), "/app/node_modules/.bin/next start") << join_words(words);
  EXPECT_EQ(of({"npx", "vite", "preview"}), "-") << "it would be fetched";
  EXPECT_EQ(of({"npx", "--yes", "next"}), "-");
  const std::string loader = "node --import /app/node_modules/.bin/tsx/loader.mjs ";
  EXPECT_EQ(of({"npm", "run", "dev"}), loader + "--env-file=.env src/a.ts");
  EXPECT_EQ(of({"npx", "tsx", "a.ts"}), loader + "a.ts");
  EXPECT_EQ(of({"tsx", "a.ts"}), loader + "a.ts");
  EXPECT_EQ(of({"tsx", "--tsconfig", "b.json", "a.ts"}), "-") << "node has no such option";
  EXPECT_EQ(of({"tsx", "watch", "a.ts"}), "-");
  EXPECT_EQ(of({"tsx"}), "-");
}

TEST_F(DirectCommandOf, AShellsOneCommandIsStartedWithoutTheShell) {
  EXPECT_EQ(of({"sh", "-c", "exec node a.js"}), "node a.js");
  EXPECT_EQ(of({"/bin/bash", "-c", "npm start"}), "node server.js");
  EXPECT_EQ(of({"sh", "-c", "echo $0; node a.js"}), "-");
  EXPECT_EQ(of({"sh", "-ec", "node a.js"}), "-");
  EXPECT_EQ(of({"sh", "script.sh"}), "-");
}

TEST_F(DirectCommandOf, AScriptIsToldWhatNpmWouldTellIt) {
  const auto direct = found({"npm", "start"});
  ASSERT_TRUE(direct);
  EXPECT_EQ(direct->npm,
            (std::map<std::string, std::string>{{"INIT_CWD", "/app"},
                                                {"npm_lifecycle_event", "start"},
                                                {"npm_lifecycle_script", "node server.js"},
                                                {"npm_package_json", "/app/package.json"},
                                                {"npm_package_name", "shop"},
                                                {"npm_package_version", "1.2.3"}}));
  EXPECT_TRUE(found({"sh", "-c", "node a.js"})->npm.empty());
}

TEST_F(DirectCommandOf, OthersAreLeftAsTheyAre) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{},
                                             {"node", "server.js"},
                                             {"npm"},
                                             {"npm", "test"},
                                             {"npm", "run"},
                                             {"yarn"},
                                             {"npm", "run", "none"},
                                             {"./npm", "start"},
                                             {"npm", "-w", "a", "start"},
                                             {"python3"}})
    EXPECT_EQ(of(words), "-") << join_words(words);
  scripts_ = "7";
  EXPECT_EQ(of({"npm", "start"}), "-");
}

}  // namespace
}  // namespace cohort::cli
