#include "cli/import_command.h"

#include <gtest/gtest.h>

namespace cohort::cli {
namespace {

using ImportWords = std::vector<std::string>;

TEST(ImportCommand, IsSplitAtBlanksButNotWithinQuotes) {
  const std::pair<const char*, ImportWords> cases[] = {
      {"", {}},
      {"  ", {}},
      {"a", {"a"}},
      {" a  b\tc ", {"a", "b", "c"}},
      {"a 'b c' \"d e\"", {"a", "b c", "d e"}},
      {"--x=\"b c\"d", {"--x=b cd"}},
      {"'' \"\"", {"", ""}},
      {R"(a\ b "c\"d" '\')", {"a b", "c\"d", "\\"}},
      {R"("a\b")", {"a\\b"}},
      {"$A * |", {"$A", "*", "|"}},
  };
  for (const auto& [text, words] : cases) EXPECT_EQ(quoted_words(text), words) << text;
  EXPECT_EQ(quoted_words("a 'b"), std::nullopt);
  EXPECT_EQ(quoted_words("a \"b"), std::nullopt);
}

TEST(ImportCommand, ThatIsPlainNeedsNoShell) {
  const ShellCommand plain = read_shell_command("gunicorn app:app --bind '0.0.0.0:8000' -w 4");
  EXPECT_EQ(plain.words, (ImportWords{"gunicorn", "app:app", "--bind", "0.0.0.0:8000", "-w", "4"}));
  EXPECT_EQ(plain.needs_shell, "");
  EXPECT_TRUE(plain.env.empty());
  EXPECT_EQ(read_shell_command("exec ./server -v").words, (ImportWords{"./server", "-v"}));
  EXPECT_EQ(read_shell_command("curl '$A' a#b a~").words, (ImportWords{"curl", "$A", "a#b", "a~"}));
}

TEST(ImportCommand, HasTheVariablesBeforeTheProgram) {
  const ShellCommand command = read_shell_command("NODE_ENV=production B='x y' exec node a.js C=3");
  EXPECT_EQ(command.env, (std::vector<std::pair<std::string, std::string>>{
                             {"NODE_ENV", "production"}, {"B", "x y"}}));
  EXPECT_EQ(command.words, (ImportWords{"node", "a.js", "C=3"}));
  EXPECT_EQ(read_shell_command("1A=2 x").words, (ImportWords{"1A=2", "x"})) << "no variable";
  EXPECT_TRUE(read_shell_command("A=1").words.empty()) << "there is no program";
  EXPECT_TRUE(read_shell_command(" ").words.empty());
}

TEST(ImportCommand, ThatNeedsAShellSaysForWhat) {
  const std::pair<const char*, const char*> cases[] = {
      {"node a.js -p $PORT", "$PORT"},
      {"node a.js -p \"$PORT\"", "$PORT"},
      {"a && b", "&&"},
      {"a || b", "||"},
      {"a | b", "|"},
      {"a; b", ";"},
      {"a &", "&"},
      {"a > b", ">"},
      {"a *.js", "*"},
      {"a $(b)", "$"},
      {"a `b`", "`"},
      {"a ~/b", "~"},
      {"a # b", "#"},
      {"cd a", "cd"},
      {"a 'b", "a quote without an end"},
  };
  for (const auto& [text, what] : cases) {
    const ShellCommand command = read_shell_command(text);
    EXPECT_EQ(command.needs_shell, what) << text;
    ASSERT_EQ(command.words.size(), 3U) << text;
    EXPECT_EQ(command.words[0], "sh");
    EXPECT_EQ(command.words[1], "-c");
  }
}

TEST(ImportCommand, OfOneProgramBecomesThatProgram) {
  const std::pair<const char*, const char*> cases[] = {
      {"node a.js -p $PORT", "exec node a.js -p $PORT"},
      {"node a.js > log", "exec node a.js > log"},
      {"exec node a.js -p $PORT", "exec node a.js -p $PORT"},
      {"A=$B node a.js", "A=$B node a.js"},
      {"cd web && node a.js", "cd web && node a.js"},
      {"cd $WEB", "cd $WEB"},
      {"while true", "while true"},
      {"node 'a.js", "node 'a.js"},
  };
  for (const auto& [text, script] : cases)
    EXPECT_EQ(read_shell_command(text).words.back(), script) << text;
}

TEST(ImportCommand, IsWhatTheApplicationRuns) {
  ImportedApplication application;
  ASSERT_TRUE(set_command(application, "web", "A=1 node server.js --port 3000"));
  EXPECT_EQ(application.program, "server.js") << "cohort finds node by itself";
  EXPECT_EQ(application.args, (ImportWords{"--port", "3000"}));
  EXPECT_EQ(application.env_of("A"), "1");
  EXPECT_TRUE(application.remarks.empty());
  ASSERT_TRUE(set_command(application, "web", "node --inspect server.js"));
  EXPECT_EQ(application.program, "node");
  EXPECT_FALSE(set_command(application, "web", "A=1"));
}

TEST(ImportCommand, OfAShellOrAWrapperIsSaid) {
  ImportedApplication by_shell;
  ASSERT_TRUE(set_command(by_shell, "web", "cd web && node server.js"));
  EXPECT_EQ(by_shell.program, "sh");
  ASSERT_EQ(by_shell.remarks.size(), 1U);
  EXPECT_TRUE(by_shell.remarks[0].why.starts_with("run through `sh -c`, for `&&`; if the shell"));
  ImportedApplication replaced;
  ASSERT_TRUE(set_command(replaced, "web", "node server.js $PORT"));
  ASSERT_EQ(replaced.remarks.size(), 1U);
  EXPECT_EQ(replaced.remarks[0].why, "run through `sh -c`, for `$PORT`");
  ImportedApplication wrapped;
  ASSERT_TRUE(set_command(wrapped, "web", "npm start"));
  ASSERT_EQ(wrapped.remarks.size(), 1U);
  EXPECT_TRUE(
      wrapped.remarks[0].why.starts_with("`npm` starts the server as a process of its own"));
}

}  // namespace
}  // namespace cohort::cli
