#include "cli/import_command.h"

#include <gtest/gtest.h>

namespace cohort::cli {
namespace {

using ImportWords = std::vector<std::string>;

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
