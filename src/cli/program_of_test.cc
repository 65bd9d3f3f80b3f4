#include "cli/program_of.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace cohort::cli {
namespace {

namespace fs = std::filesystem;
using process::Program;

constexpr const char* kShell = "#!/bin/sh\n";
// What it answers when it is asked for process.features.typescript.
constexpr const char* kNodeThatStrips = "#!/bin/sh\necho strip\n";
constexpr const char* kNodeThatDoesNot = "#!/bin/sh\necho undefined\n";

// A working directory and a PATH of the test's own.
class ProgramOf : public ::testing::Test {
 protected:
  ProgramOf() {
    std::string name = fs::temp_directory_path() / "cohort-program-of-XXXXXX";
    root_ = fs::canonical(::mkdtemp(name.data()));
    for (const char* directory : {"here", "bin"}) fs::create_directory(root_ / directory);
    fs::current_path(root_ / "here");
    ::setenv("PATH", (root_ / "bin").c_str(), 1);
    ::unsetenv("NODE_OPTIONS");
  }
  ~ProgramOf() override {
    ::setenv("PATH", path_before_.c_str(), 1);
    fs::current_path(before_);
    fs::remove_all(root_);
  }
  /// In the folder of both, and returns its path.
  std::string write(const std::string& name, const std::string& text, bool executable = false) {
    const fs::path path = root_ / name;
    fs::create_directories(path.parent_path());
    std::ofstream{path} << text;
    fs::permissions(
        path, executable ? fs::perms::owner_all : fs::perms::owner_read | fs::perms::owner_write);
    return path;
  }
  std::string install(const std::string& name, const std::string& text = kShell) {
    return write("bin/" + name, text, true);
  }
  static Program program(const std::string& name) {
    const auto found = program_of(name);
    if (const auto* problem = std::get_if<CannotRun>(&found)) return {problem->text, {}};
    return std::get<Program>(found);
  }
  static std::string problem(const std::string& name) {
    const auto found = program_of(name);
    const auto* problem = std::get_if<CannotRun>(&found);
    return problem != nullptr ? problem->text : "found " + std::get<Program>(found).file;
  }

  fs::path before_ = fs::current_path();
  std::string path_before_ = ::getenv("PATH");
  fs::path root_;
};

TEST_F(ProgramOf, IsWhatAShellWouldRun) {
  const std::string here = write("here/tool", kShell, true);
  EXPECT_EQ(program("tool"), (Program{here, {}})) << "nobody else has one";
  const std::string in_path = install("tool");
  EXPECT_EQ(program("tool"), (Program{in_path, {}}));
  EXPECT_EQ(program("./tool"), (Program{here, {}}));
  EXPECT_EQ(program("../bin/tool"), (Program{in_path, {}}));
  EXPECT_EQ(program(here), (Program{here, {}}));
}

TEST_F(ProgramOf, UnderAnInterpreterOfOnesChoiceIsNotLookedInto) {
  const std::string python = install("python3.11");
  const std::string script = write("here/app.js", "#!/usr/bin/env node\n", false);
  const auto under = [](const std::string& interpreter, const std::string& name) {
    const auto found = program_under(interpreter, {"-u", "-X"}, name);
    if (const auto* problem = std::get_if<CannotRun>(&found)) return Program{problem->text, {}};
    return std::get<Program>(found);
  };
  EXPECT_EQ(under("python3.11", "app.js"), (Program{python, {"-u", "-X", script}}));
  EXPECT_EQ(under("python3.11", script), (Program{python, {"-u", "-X", script}}));
  EXPECT_TRUE(under("python3.11", "missing").file.starts_with("./missing: no such file"));
  EXPECT_TRUE(under("no_such", "app.js").file.starts_with("the interpreter no_such: no such file"));
}

TEST_F(ProgramOf, IsNeverFoundBesideTheCommand) {
  const std::string self = fs::read_symlink("/proc/self/exe").filename();
  EXPECT_EQ(problem(self), self + ": no such file in " + fs::current_path().string() +
                               ", and no such program in PATH");
}

TEST_F(ProgramOf, NodeIsThatOfPathAlsoForScripts) {
  const std::string node = install("node");
  write("here/node", kShell, true);
  EXPECT_EQ(program("node"), (Program{node, {}}));
  for (const char* name : {"app.js", "app.mjs", "app.cjs", "UPPER.JS", "a.Mjs"}) {
    const std::string script = write(std::string{"here/"} + name, "");
    EXPECT_EQ(program(name), (Program{node, {script}}));
    EXPECT_EQ(program(std::string{"./"} + name), (Program{node, {script}}));
  }
  // A script is meant by its name, whatever PATH has.
  install("app.js");
  EXPECT_EQ(program("app.js").leading_args, std::vector{(root_ / "here/app.js").string()});
}

TEST_F(ProgramOf, AScriptWithoutNodeSaysWhatIsMissing) {
  const std::string script = write("here/app.js", "");
  EXPECT_EQ(problem("app.js"),
            script + " runs under node, which is not in PATH: install Node.js, or put node there");
}

TEST_F(ProgramOf, ADirectoryIsItsMainOrIndexAsInNode) {
  const std::string node = install("node");
  const std::string index = write("here/index.js", "");
  EXPECT_EQ(program("."), (Program{node, {index}}));
  EXPECT_EQ(program("./"), (Program{node, {index}}));
  EXPECT_EQ(program("../here"), (Program{node, {index}}));
  write("here/package.json", R"({"name": "x"})");
  EXPECT_EQ(program("."), (Program{node, {index}}));
  const std::string main = write("here/src/main.js", "");
  for (const char* name : {"src/main.js", "./src/main.js", "./src/main"}) {
    write("here/package.json", std::string{R"({"main": ")"} + name + "\"}");
    EXPECT_EQ(program("."), (Program{node, {main}})) << name;
  }
  const std::string other = write("here/app/index.js", "");
  EXPECT_EQ(program("app"), (Program{node, {other}})) << "a bare name too";
  write("here/package.json", R"({"main": "app"})");
  EXPECT_EQ(program("."), (Program{node, {other}}));
  write("here/package.json", R"({"main": "gone.js"})");
  EXPECT_EQ(program("."), (Program{node, {index}})) << "as node does";
}

TEST_F(ProgramOf, ADirectoryWithoutEitherNamesWhatToType) {
  EXPECT_EQ(problem("."),
            ". is a directory without package.json and index.js; name the file: "
            "cohort run ./server.js");
  write("here/package.json",
        R"({"main": "dist/a.js", "scripts": {"start": "node server.js -p 1"}})");
  EXPECT_EQ(problem("."),
            ". is a directory whose package.json has the main dist/a.js, which is "
            "not there; its start script: cohort run server.js -p 1");
  EXPECT_EQ(problem("../here").find("which is not there; its start script: cohort run"),
            problem("../here").find("which"));
  write("here/node_modules/.bin/next", kShell, true);
  write("here/package.json", R"({"scripts": {"start": "next start"}})");
  EXPECT_EQ(problem("."),
            ". is a directory whose package.json has no main, without index.js; its "
            "start script: cohort run node_modules/.bin/next start");
  write("here/package.json", R"({"scripts": {"start": "npm run build && node x"}})");
  EXPECT_EQ(problem("."),
            ". is a directory whose package.json has no main, without index.js; name "
            "the file: cohort run ./server.js");
  const std::string broken = write("here/package.json", "{");
  EXPECT_EQ(problem("."), broken + " is not JSON");
}

TEST_F(ProgramOf, TypeScriptRunsUnderANodeThatStripsTypes) {
  const std::string node = install("node", kNodeThatStrips);
  for (const char* name : {"app.ts", "app.mts", "app.cts"}) {
    const std::string script = write(std::string{"here/"} + name, "");
    EXPECT_EQ(program(name), (Program{node, {script}}));
  }
}

TEST_F(ProgramOf, TypeScriptRunsElseUnderWhatIsInstalled) {
  const std::string script = write("here/src/app.ts", "");
  const std::string node = install("node", kNodeThatDoesNot);
  EXPECT_EQ(problem("src/app.ts"), script + " is TypeScript, which " + node +
                                       " does not run: npm install tsx, or use Node.js from 22.18 "
                                       "on");
  const std::string bun = install("bun");
  EXPECT_EQ(program("src/app.ts"), (Program{bun, {script}}));
  const std::string ts_node = write("here/node_modules/.bin/ts-node", kShell, true);
  EXPECT_EQ(program("src/app.ts"), (Program{ts_node, {script}}));
  // tsx would start the program as a process of its own.
  write("here/node_modules/tsx/dist/cli.mjs", kShell, true);
  const std::string loader = write("here/node_modules/tsx/dist/loader.mjs", "");
  fs::create_symlink("../tsx/dist/cli.mjs", root_ / "here/node_modules/.bin/tsx");
  EXPECT_EQ(program("src/app.ts"), (Program{node, {"--import", loader, script}}));
  fs::remove(root_ / "here/node_modules/.bin/tsx");
  fs::create_symlink(root_ / "here/node_modules/tsx/dist/cli.mjs", root_ / "bin/tsx");
  EXPECT_EQ(program("src/app.ts"), (Program{node, {"--import", loader, script}})) << "in PATH";
}

TEST_F(ProgramOf, JsxNeedsMoreThanNode) {
  const std::string node = install("node", kNodeThatStrips);
  const std::string script = write("here/app.tsx", "");
  EXPECT_EQ(problem("app.tsx"),
            script + " is JSX, which " + node + " does not run: npm install tsx");
}

TEST_F(ProgramOf, TypeScriptThatNamesItsInterpreterAndMayRunDoes) {
  install("node", kNodeThatStrips);
  const std::string script = write("here/app.ts", "#!/usr/bin/env bun\n", true);
  EXPECT_EQ(program("./app.ts"), (Program{script, {}}));
}

TEST_F(ProgramOf, AScriptThatMayNotRunRunsUnderTheInterpreterThatItNames) {
  const std::string script = write("here/serve", "#!/bin/sh -e\nexit\n");
  EXPECT_EQ(program("./serve"), (Program{"/bin/sh", {"-e", script}}));
  EXPECT_EQ(program("serve"), (Program{"/bin/sh", {"-e", script}}));
}

TEST_F(ProgramOf, AScriptRunsUnderTheInterpreterThatItsNameMeans) {
  const std::string python = write("here/app.py", "import os");
  EXPECT_EQ(problem("app.py"), python +
                                   " runs under python3, which is not in PATH: install it, or name "
                                   "another: cohort run INTERPRETER app.py");
  install("python3", kShell);
  const Program expected{(root_ / "bin/python3").string(), {python}};
  EXPECT_EQ(program("app.py"), expected);
  write("here/app.py", "import os", true);
  EXPECT_EQ(program("./app.py"), expected);
  write("here/app.py", "#!/bin/sh\n", true);
  EXPECT_EQ(program("app.py"), (Program{python, {}}));
  const std::string frozen = write("here/frozen.py",
                                   "\x7f"
                                   "ELF",
                                   true);
  EXPECT_EQ(program("frozen.py"), (Program{frozen, {}}));
}

TEST_F(ProgramOf, AFileThatCannotRunNamesWhatToType) {
  EXPECT_EQ(problem("./" + fs::path{write("here/server", "console.log(1)")}.filename().string()),
            (root_ / "here/server").string() +
                " is not executable; if it is a script of Node: cohort run node ./server");
  const std::string elf = write("here/a.out",
                                "\x7f"
                                "ELF");
  EXPECT_EQ(problem("a.out"), elf + " is not executable; chmod +x a.out");
  const std::string no_shell = write("here/gone", "#!/no/such/shell\n");
  EXPECT_NE(problem("gone").find("not executable"), std::string::npos);
}

TEST_F(ProgramOf, WhatIsNowhereNamesWhatIsNearby) {
  const std::string nowhere =
      ": no such file in " + fs::current_path().string() + ", and no such program in PATH";
  EXPECT_EQ(problem("server"), "server" + nowhere);
  EXPECT_EQ(problem("./server"),
            "./server: no such file (from " + fs::current_path().string() + ")");
  EXPECT_EQ(problem("/no/such"), "/no/such: no such file");
  EXPECT_EQ(problem("node x.js"),
            "node x.js" + nowhere + "; its arguments are words of their own: cohort run node x.js");
  write("here/node_modules/.bin/next", kShell, true);
  EXPECT_EQ(problem("next"),
            "next" + nowhere + "; npm has installed it: cohort run node_modules/.bin/next");
  write("here/server.js", "");
  EXPECT_EQ(problem("server"), "server" + nowhere + "; there is server.js: cohort run server.js");
}

TEST_F(ProgramOf, AWorkingDirectoryThatWasRemovedIsSaid) {
  const std::string in_path = install("tool");
  fs::create_directory(root_ / "gone");
  fs::current_path(root_ / "gone");
  fs::remove(root_ / "gone");
  EXPECT_EQ(program("tool"), (Program{in_path, {}}));
  EXPECT_EQ(problem("server.js"),
            "server.js: no such file in the working directory, which was removed or cannot be "
            "read, and no such program in PATH");
}

TEST(ParseInterpreter, TakesOneArgumentAsTheKernelDoes) {
  using Words = std::vector<std::string>;
  EXPECT_EQ(parse_interpreter("#!/bin/sh\nexit"), Words{"/bin/sh"});
  EXPECT_EQ(parse_interpreter("#! /usr/bin/env  -S node -r x \r\n"),
            (Words{"/usr/bin/env", "-S node -r x"}));
  EXPECT_EQ(parse_interpreter("#!"), Words{});
  EXPECT_EQ(parse_interpreter("#!sh"), Words{}) << "would depend on the working directory";
  EXPECT_EQ(parse_interpreter(""), Words{});
  EXPECT_EQ(parse_interpreter("exit"), Words{});
}

TEST(ParsePackage, TakesWhatIsThere) {
  EXPECT_EQ(parse_package("{\"main\": 5}")->main, "");
  EXPECT_EQ(parse_package("[]")->start, "");
  EXPECT_FALSE(parse_package("main"));
}

}  // namespace
}  // namespace cohort::cli
