#include "process/program.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>

#include "process/helpers_test.h"

namespace cohort::process {
namespace {

namespace fs = std::filesystem;

// Beside this program, the working directory and PATH; each test has its own of the latter two.
class ProgramTest : public ::testing::Test {
 protected:
  ProgramTest() {
    fs::current_path(here_.path());
    ::setenv("PATH", path_.path().c_str(), 1);
    real_here_ = fs::current_path().string();
  }
  ~ProgramTest() override {
    ::setenv("PATH", path_before_.c_str(), 1);
    fs::current_path(before_);
  }
  static std::string script(const TemporaryDirectory& directory, const std::string& name,
                            unsigned mode = 0755) {
    return directory.write(name, "#!/bin/sh\necho " + directory.path() + "\n", mode);
  }
  static std::string error(const std::string& name) {
    const auto program = resolve_program(name);
    return program ? "found " + program->file : program.error().message();
  }

  fs::path before_ = fs::current_path();
  std::string path_before_ = ::getenv("PATH");
  TemporaryDirectory here_;
  TemporaryDirectory path_;
  std::string real_here_;
};

TEST_F(ProgramTest, IsFoundInPathAndBeforeInTheWorkingDirectory) {
  const std::string in_path = script(path_, "tool");
  EXPECT_EQ(resolve_program("tool").value(), (Program{in_path, {}}));
  const std::string here = script(here_, "tool");
  EXPECT_EQ(resolve_program("tool").value(), (Program{here, {}}));
}

TEST_F(ProgramTest, IsFoundBesideTheRunningProgramFirst) {
  const fs::path self = fs::read_symlink("/proc/self/exe");
  const std::string name = self.filename().string();
  script(here_, name);
  EXPECT_EQ(resolve_program(name).value(), (Program{self.string(), {}}));
  EXPECT_EQ(resolve_program("./" + name).value(), (Program{real_here_ + '/' + name, {}}));
}

TEST_F(ProgramTest, WithASlashIsNotLookedUpInPath) {
  fs::create_directory(path_.path() + "/sub");
  path_.write("sub/tool", "", 0755);
  EXPECT_EQ(error("sub/tool"),
            "spawn sub/tool: no such file or directory (looked beside the running program "
            "and in the working directory " +
                real_here_ + ")");
  script(path_, "tool");
  EXPECT_EQ(error("./tool"),
            "spawn ./tool: no such file or directory (looked in the working directory " +
                real_here_ + ")");
  EXPECT_EQ(error("/no/such/tool"), "spawn /no/such/tool: no such file or directory");
}

TEST_F(ProgramTest, ThatDoesNotExistIsAnErrorThatSaysWhereItLooked) {
  EXPECT_EQ(error("tool"),
            "spawn tool: no such file or directory (looked beside the running program and in "
            "the working directory " +
                real_here_ + ", then in PATH)");
  EXPECT_EQ(resolve_program("").error().code.value(), ENOENT);
}

TEST_F(ProgramTest, ThatMayNotBeExecutedIsPassedOverOrNamed) {
  const std::string locked = script(here_, "tool", 0644);
  EXPECT_EQ(error("tool"), "spawn tool: permission denied (" + locked + " is not executable)");
  const std::string usable = script(path_, "tool");
  EXPECT_EQ(resolve_program("tool").value().file, usable);
}

TEST_F(ProgramTest, IsNeverADirectory) {
  fs::create_directory(here_.path() + "/tool");
  const std::string in_path = script(path_, "tool");
  EXPECT_EQ(resolve_program("tool").value().file, in_path);
}

TEST_F(ProgramTest, ThatIsAScriptRunsUnderNode) {
  const std::string node = script(path_, "node");
  for (const char* name : {"worker.js", "worker.mjs", "worker.cjs"}) {
    const std::string worker = script(here_, name, 0644);
    EXPECT_EQ(resolve_program(name).value(), (Program{node, {worker}}));
  }
}

TEST_F(ProgramTest, IsSoughtInPathWhenTheWorkingDirectoryWasRemoved) {
  const std::string in_path = script(path_, "tool");
  const fs::path gone = here_.path() + "/gone";
  fs::create_directory(gone);
  fs::current_path(gone);
  fs::remove(gone);
  EXPECT_EQ(resolve_program("tool").value().file, in_path);
  EXPECT_EQ(error("missing"),
            "spawn missing: no such file or directory (looked beside the running program and in "
            "the working directory, which was removed, then in PATH)");
  EXPECT_EQ(error("./missing"),
            "spawn ./missing: no such file or directory (looked in the working directory, which "
            "was removed)");
}

TEST_F(ProgramTest, ThatIsAScriptNeedsNode) {
  const std::string worker = script(here_, "worker.js", 0644);
  EXPECT_EQ(error("worker.js"), "spawn node: no such file or directory (it runs " + worker +
                                    ": install Node.js, or put node into PATH)");
  EXPECT_NE(error("missing.js").find("spawn missing.js: no such file"), std::string::npos);
}

TEST_F(ProgramTest, ThatRunsIsTheFileOnDiskNow) {
  EXPECT_EQ(running_program().value(), fs::read_symlink("/proc/self/exe").string());
  // A copy of this program that removed itself: the kernel marks the name as deleted.
  const Output output = run(role_request("removed_program", {here_.path()}));
  EXPECT_EQ(output.text, real_here_ + "/copy\n");
}

}  // namespace
}  // namespace cohort::process
