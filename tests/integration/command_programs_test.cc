// What `cohort run` is given to run, and what is in its way: programs of every kind, busy ports,
// socket files of the dead.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <set>

#include "harness/client.h"
#include "harness/places.h"
#include "harness/proc.h"
#include "harness/program.h"

namespace harness {
namespace {

namespace fs = std::filesystem;

constexpr const char* kServer = R"(
const http = require('http');
http.createServer((req, res) => res.end(String(process.pid))).listen(process.argv[2] || 0);
)";
constexpr const char* kTyped = R"(
import * as http from 'node:http';
const port: number = Number(process.argv[2]);
http.createServer((req, res) => res.end(String(process.pid))).listen(port);
)";

/// `cohort run` in a folder of its own, with one of the Node binaries first in PATH.
class CommandPrograms : public testing::Test {
 protected:
  std::unique_ptr<Program> run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {command(), "run"});
    const std::string path = fs::path{node_}.parent_path().string() + ':' + ::getenv("PATH");
    return std::make_unique<Program>(
        arguments, ProgramOptions{.env = {{"PATH", path}}, .cwd = folder_.path()});
  }
  static int count_errors(const Program& program, const std::string& pattern) {
    const auto lines = program.error_lines();
    return static_cast<int>(std::count_if(lines.begin(), lines.end(), [&](const std::string& line) {
      return std::regex_search(line, std::regex{pattern});
    }));
  }
  static testing::AssertionResult is_served_by_both(Program& program) {
    if (auto listen = program.wait_for_error("all 2 workers listen"); !listen) return listen;
    const std::string errors = program.errors();
    std::smatch match;
    std::regex_search(errors, match, std::regex{"listening on http://localhost:([0-9]+)"});
    const auto port = static_cast<std::uint16_t>(std::stoi(match[1]));
    return eventually("both workers answer", [&, pids = std::set<std::string>{}]() mutable {
      pids.insert(http_get(port, "/").body);
      return pids.size() == 2;
    });
  }
  static bool connects(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    const bool done = ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    ::close(fd);
    return done;
  }
  /// The packages that tests may use, as if npm had installed them here.
  void install_frameworks() {
    fs::create_directory_symlink(frameworks() + "/node_modules", folder_.path() + "/node_modules");
  }

  TempDir folder_;
  std::string node_ = node20();
};

TEST_F(CommandPrograms, ADirectoryAndAScriptInCapitalsAreServed) {
  folder_.write("server.js", kServer);
  folder_.write("UPPER.JS", kServer);
  folder_.write("package.json", R"({"main": "server.js"})");
  for (const char* name : {".", "./", "UPPER.JS", "./UPPER.JS"}) {
    auto program = run({"-w", "2", name});
    EXPECT_TRUE(is_served_by_both(*program)) << name;
    EXPECT_TRUE(program->ends_on_interrupt());
  }
}

TEST_F(CommandPrograms, TypeScriptIsServedByANodeThatStripsTypes) {
  node_ = node26();
  folder_.write("app.mts", kTyped);
  auto program = run({"-w", "2", "app.mts", "0"});
  EXPECT_TRUE(is_served_by_both(*program));
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(CommandPrograms, TypeScriptIsServedElseByWhatIsInstalled) {
  folder_.write("app.ts", kTyped);
  auto without = run({"app.ts"});
  EXPECT_TRUE(without->exits_with(100));
  EXPECT_EQ(count_errors(*without, "app.ts is TypeScript, which .*node does not run: npm install"),
            1)
      << without->transcript();
  install_frameworks();
  auto program = run({"-w", "2", "app.ts", "0"});
  EXPECT_TRUE(is_served_by_both(*program));
  EXPECT_TRUE(program->ends_on_interrupt());
}

// The words that make Node and Bun what they are count in the interpreter's name alone.
TEST_F(CommandPrograms, WhatRunsAScriptIsTheInterpreterWhateverItsFoldersAreCalled) {
  fs::create_directories(folder_.path() + "/bun-app/node");
  folder_.write("bun-app/node/server.py", R"(
import os, socket, sys
assert sys.flags.dev_mode and sys.flags.optimize == 1, sys.flags
assert sys.argv[1:] == ['--port', 'node'], sys.argv
assert 'NODE_OPTIONS' not in os.environ, os.environ['NODE_OPTIONS']
listening = socket.socket(fileno=3)
while True:
    client, _ = listening.accept()
    client.recv(4096)
    client.sendall(b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n%d' % os.getpid())
    client.close()
)");
  for (const std::string& script :
       {std::string{"bun-app/node/server.py"}, folder_.path() + "/bun-app/node/server.py"}) {
    auto program = run({"-w", "2", "--listen", "127.0.0.1:0", "--interpreter", "python3",
                        "--interpreter-args", "-X dev -O", script, "--port", "node"});
    EXPECT_TRUE(is_served_by_both(*program)) << program->transcript();
    EXPECT_EQ(count_errors(*program, "2 workers of .*server.py"), 1) << program->transcript();
    EXPECT_EQ(count_errors(*program, "died|Bun|instead|by itself"), 0) << program->transcript();
    EXPECT_TRUE(program->ends_on_interrupt());
  }
}

TEST_F(CommandPrograms, WhatIsInTheFolderIsNotPreferredToPath) {
  folder_.write("node", "#!/bin/sh\necho a trap\n");
  folder_.write("server.js", kServer);
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"server.js"}, {"node", "server.js"}}) {
    std::vector<std::string> arguments{"-w", "2"};
    arguments.insert(arguments.end(), words.begin(), words.end());
    auto program = run(arguments);
    EXPECT_TRUE(is_served_by_both(*program));
    EXPECT_EQ(program->count("a trap"), 0);
    EXPECT_TRUE(program->ends_on_interrupt());
  }
}

TEST_F(CommandPrograms, WhatCannotRunIsOneLineThatSaysWhatToType) {
  folder_.write("server.js", kServer);
  auto program = run({"server"});
  EXPECT_TRUE(program->exits_with(100));
  EXPECT_EQ(program->errors(),
            "cohort: server: no such file in " + fs::canonical(folder_.path()).string() +
                ", and no such program in PATH; there is server.js: cohort run server.js\n");
  auto json = run({"--json", "."});
  EXPECT_TRUE(json->exits_with(100));
  EXPECT_EQ(count_errors(*json, R"("event":"error","message":"\. is a directory without)"), 1)
      << json->transcript();
}

// It opens a Unix socket for itself, and starts the program as a process of its own.
TEST_F(CommandPrograms, AWrapperThatListensForItselfIsNamedWithTheCommandToUseInstead) {
  const std::string port = std::to_string(free_port());
  folder_.write("app.ts", kTyped);
  install_frameworks();
  const std::string named = "listens through a process of its own .* port " + port + "\\)";
  const std::string instead = "run that program itself: cohort run app.ts " + port + "$";
  auto several = run({"-w", "2", "node_modules/.bin/tsx", "app.ts", port});
  EXPECT_TRUE(several->exits_with(100));
  EXPECT_EQ(count_errors(*several, named + ", so its workers cannot share the port; " + instead), 1)
      << several->transcript();
  EXPECT_EQ(count_errors(*several, "\\.pipe"), 0) << "nobody needs to know that socket";
  EXPECT_TRUE(several->leaves_no_process());
  auto one = run({"-w", "1", "node_modules/.bin/tsx", "app.ts", port});
  EXPECT_TRUE(one->wait_for_error("run that program itself: cohort run app.ts " + port))
      << one->transcript();
  EXPECT_EQ(count_errors(*one, named + ": it is replaced when it dies"), 1) << one->transcript();
  EXPECT_TRUE(one->ends_on_interrupt());
}

TEST_F(CommandPrograms, AWrapperWhoseProgramFailsIsNotTriedForEver) {
  folder_.write("broken.ts", "process.exit(3);");
  install_frameworks();
  auto program = run({"-w", "1", "node_modules/.bin/tsx", "broken.ts"});
  EXPECT_TRUE(program->exits_with(111));
  EXPECT_EQ(count_errors(*program, "giving up"), 1) << program->transcript();
}

TEST_F(CommandPrograms, ABusyPortIsOneLineThatNamesWhoHasIt) {
  folder_.write("server.js", kServer);
  folder_.write("catching.js", R"(
    require('http').createServer().on('error', (e) => console.log(e.code)).listen(process.argv[2]);
    setInterval(() => {}, 1000000);
  )");
  const std::string port = std::to_string(free_port());
  Program other{{node_, folder_.path() + "/server.js", port}};
  ASSERT_TRUE(eventually("it listens", [&] {
    TcpClient client;
    return client.connect(static_cast<std::uint16_t>(std::stoi(port))).empty();
  }));
  const std::string line = "^cohort: port " + port + " is taken by pid " +
                           std::to_string(other.pid()) + " \\(node .*server.js " + port + "\\)$";
  for (const char* policy : {"adaptive", "round-robin", "shared"}) {
    auto uncaught = run({"-w", "2", "-b", policy, "server.js", port});
    EXPECT_TRUE(uncaught->exits_with(111)) << policy;
    EXPECT_EQ(count_errors(*uncaught, line), 1) << uncaught->transcript();
    auto caught = run({"-w", "2", "-b", policy, "catching.js", port});
    EXPECT_TRUE(caught->wait_for_line("EADDRINUSE", 2)) << policy;
    EXPECT_TRUE(caught->wait_for_error(line));
    EXPECT_TRUE(caught->ends_on_interrupt());
    EXPECT_EQ(count_errors(*caught, line), 1) << caught->transcript();
    EXPECT_EQ(count_errors(*caught, "does not listen yet"), 0) << caught->transcript();
  }
  // Of the workers' own, too.
  auto json = run({"--json", "-w", "2", "catching.js", port});
  EXPECT_TRUE(json->wait_for_error("\"pid\":" + std::to_string(other.pid()) + ".*\"port\":" + port +
                                   "|\"port\":" + port +
                                   ".*\"pid\":" + std::to_string(other.pid())));
  EXPECT_TRUE(json->ends_on_interrupt());
}

class SocketFiles : public CommandPrograms {
 protected:
  /// `words` serve on the path; then their primary is killed.
  void start_again_after_a_kill(const std::vector<std::string>& words) {
    auto killed = run(words);
    ASSERT_TRUE(killed->wait_for_error("listening on .*a.sock"));
    killed->signal(SIGKILL);
    ASSERT_TRUE(killed->wait_exit());
    ASSERT_TRUE(killed->leaves_no_process());
    ASSERT_TRUE(fs::is_socket(path_));
    auto next = run(words);
    ASSERT_TRUE(next->wait_for_error("listening on .*a.sock"));
    EXPECT_TRUE(connects(path_));
    // One that comes while it serves is refused, and takes nothing from it.
    auto third = run(words);
    ASSERT_TRUE(third->wait_for_error("a.sock.*taken by pid [0-9]+ \\((cohort run|node)"));
    EXPECT_TRUE(third->exits_with(111));
    EXPECT_TRUE(connects(path_));
    EXPECT_TRUE(next->ends_on_interrupt());
    EXPECT_FALSE(fs::exists(path_));
  }
  std::string path_ = folder_.path() + "/a.sock";
};

TEST_F(SocketFiles, OfAKilledPrimaryAreReplaced) {
  start_again_after_a_kill({"-w", "2", "--listen", path_, helper("socket_taker")});
}

TEST_F(SocketFiles, ThatAWorkerAskedForAreReplaced) {
  folder_.write("server.js", kServer);
  for (const char* policy : {"auto", "shared"})
    start_again_after_a_kill({"-w", "2", "-b", policy, "server.js", path_});
}

TEST_F(SocketFiles, ThatAreNoneAreNeverRemoved) {
  folder_.write("a.sock", "important");
  auto program = run({"-w", "1", "--listen", path_, helper("socket_taker")});
  EXPECT_TRUE(program->exits_with(111));
  EXPECT_EQ(count_errors(*program, "a file that is no socket: remove it, or choose another"), 1)
      << program->transcript();
  EXPECT_TRUE(fs::is_regular_file(path_));
}

}  // namespace
}  // namespace harness
