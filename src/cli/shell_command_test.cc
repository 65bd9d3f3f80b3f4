#include "cli/shell_command.h"

#include <gtest/gtest.h>

namespace cohort::cli {
namespace {

using ShellWords = std::vector<std::string>;

TEST(ShellCommandLine, IsSplitAtBlanksButNotWithinQuotes) {
  const std::pair<const char*, ShellWords> cases[] = {
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

TEST(ShellCommandLine, ThatIsPlainNeedsNoShell) {
  const ShellCommand plain = read_shell_command("gunicorn app:app --bind '0.0.0.0:8000' -w 4");
  EXPECT_EQ(plain.words, (ShellWords{"gunicorn", "app:app", "--bind", "0.0.0.0:8000", "-w", "4"}));
  EXPECT_EQ(plain.needs_shell, "");
  EXPECT_TRUE(plain.env.empty());
  EXPECT_EQ(read_shell_command("exec ./server -v").words, (ShellWords{"./server", "-v"}));
  EXPECT_EQ(read_shell_command("curl '$A' a#b a~").words, (ShellWords{"curl", "$A", "a#b", "a~"}));
}

TEST(ShellCommandLine, HasTheVariablesBeforeTheProgram) {
  const ShellCommand command = read_shell_command("NODE_ENV=production B='x y' exec node a.js C=3");
  EXPECT_EQ(command.env, (std::vector<std::pair<std::string, std::string>>{
                             {"NODE_ENV", "production"}, {"B", "x y"}}));
  EXPECT_EQ(command.words, (ShellWords{"node", "a.js", "C=3"}));
  EXPECT_EQ(read_shell_command("1A=2 x").words, (ShellWords{"1A=2", "x"})) << "no variable";
  EXPECT_TRUE(read_shell_command("A=1").words.empty()) << "there is no program";
  EXPECT_TRUE(read_shell_command(" ").words.empty());
}

TEST(ShellCommandLine, ThatNeedsAShellSaysForWhat) {
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
      {"A=~/x a", "~"},
      {"A=/b:~/x a", "~"},
      {"a \\\n b", "a second line"},
      {"a \"\\\n b\"", "a second line"},
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

TEST(ShellCommandLine, OfOneProgramBecomesThatProgram) {
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

}  // namespace
}  // namespace cohort::cli
