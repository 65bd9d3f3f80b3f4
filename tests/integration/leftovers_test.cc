// What a worker started ends with it, or with the stop, or with the primary: wrappers, shells,
// daemons; and who is stopped or touches the terminal is no mystery.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <thread>

#include "harness/client.h"
#include "harness/places.h"
#include "harness/proc.h"
#include "harness/program.h"

namespace harness {
namespace {

using namespace std::chrono_literals;
using Arguments = std::vector<std::string>;

class Leftovers : public testing::Test {
 protected:
  std::unique_ptr<Program> start(Arguments argv, ProgramOptions options = {}) {
    options.cwd = folder_.path();
    options.env.emplace_back(
        "PATH", std::filesystem::path{node_}.parent_path().string() + ':' + ::getenv("PATH"));
    return std::make_unique<Program>(argv, options);
  }
  std::unique_ptr<Program> run(const Arguments& arguments, const ProgramOptions& options = {}) {
    Arguments argv{command(), "run"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return start(argv, options);
  }
  std::unique_ptr<Program> wrap(const std::string& script, Arguments more = {},
                                const ProgramOptions& options = {}) {
    Arguments argv{helper("wrapping"), "--script", script};
    argv.insert(argv.end(), more.begin(), more.end());
    return start(argv, options);
  }
  static std::uint16_t port_of(const Program& program) {
    const std::string text = program.transcript();
    std::smatch match;
    if (!std::regex_search(text, match, std::regex{"listening on http://localhost:([0-9]+)"}))
      return 0;
    return static_cast<std::uint16_t>(std::stoi(match[1]));
  }
  static void expect_nobody_is_left(const Program& program) {
    EXPECT_EQ(program.descendants(), std::vector<pid_t>{}) << program.transcript();
  }

  TempDir folder_;
  std::string node_ = node20();
};

class LeftoversWithNode : public Leftovers, public testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override { node_ = GetParam() == std::string{"20"} ? node20() : node26(); }
};
INSTANTIATE_TEST_SUITE_P(Node, LeftoversWithNode, testing::Values("20", "26"),
                         [](const auto& test) { return std::string{test.param}; });

constexpr const char* kServer =
    "require('http').createServer((q, r) => r.end(String(process.pid)))"
    ".listen(Number(process.argv[2] || 0), '127.0.0.1', () => console.log('serving'));";
// Accepts from descriptor 3.
constexpr const char* kPython = R"(
import os, socket
listening = socket.socket(fileno=3)
while True:
    client, _ = listening.accept()
    client.recv(4096)
    client.sendall(b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n%d' % os.getpid())
    client.close()
)";
// Says its pid, and that it got TERM, which it survives. (Its stderr is a pipe that ends with the
// worker: that its sleep was terminated it must not say there.)
constexpr const char* kStubborn =
    R"(sh -c 'exec 2>/dev/null; trap "echo TERM" TERM; echo $$; while :; do sleep 0.05; done')";

// Ends of a service.

TEST_P(LeftoversWithNode, OfANpmScriptEndWithTheStopBeforeItSaysStopped) {
  const std::uint16_t port = free_port();
  folder_.write("index.js", kServer);
  folder_.write("package.json",
                R"({"scripts": {"start": "node index.js )" + std::to_string(port) + " && true\"}}");
  auto program = run({"-w", "1", "npm", "start"});
  ASSERT_TRUE(program->wait_for_line("serving")) << program->transcript();
  program->signal(SIGINT);
  ASSERT_TRUE(program->wait_exit());
  expect_nobody_is_left(*program);
  EXPECT_TRUE(is_closed(port));
}

struct Shell {
  const char* name;
  const char* script;
};
class LeftoversOfAShell : public Leftovers, public testing::WithParamInterface<Shell> {};
INSTANTIATE_TEST_SUITE_P(Shell, LeftoversOfAShell,
                         testing::Values(Shell{"without_exec", "python3 app.py; echo after"},
                                         Shell{"in_the_background", "python3 app.py & wait"},
                                         Shell{"of_a_shell",
                                               "sh -c 'python3 app.py; echo inner'; echo outer"},
                                         Shell{"that_waits_before_it_heeds_term",
                                               "trap 'exit 0' TERM; python3 app.py; echo after"}),
                         [](const auto& test) { return std::string{test.param.name}; });

TEST_P(LeftoversOfAShell, EndWithTheStop) {
  folder_.write("app.py", kPython);
  auto program = run({"-w", "2", "--listen", "127.0.0.1:0", "sh", "-c", GetParam().script});
  ASSERT_TRUE(program->wait_for_error("all 2 workers listen")) << program->transcript();
  const std::uint16_t port = port_of(*program);
  EXPECT_EQ(http_get(port).status, 200);
  program->signal(SIGTERM);
  EXPECT_TRUE(program->exits_with(0)) << program->transcript();
  expect_nobody_is_left(*program);
  EXPECT_TRUE(is_closed(port));
}

TEST_P(LeftoversOfAShell, EndWithThePrimaryThatIsKilled) {
  folder_.write("app.py", kPython);
  auto program = run({"-w", "2", "--listen", "127.0.0.1:0", "sh", "-c", GetParam().script});
  ASSERT_TRUE(program->wait_for_error("all 2 workers listen")) << program->transcript();
  const std::uint16_t port = port_of(*program);
  EXPECT_EQ(http_get(port).status, 200);
  program->signal(SIGKILL);
  EXPECT_TRUE(program->leaves_no_process()) << program->transcript();
  EXPECT_TRUE(is_closed(port));
}

TEST_F(Leftovers, OfAWorkerThatDiesEndWhileTheServiceGoesOn) {
  auto program = wrap("sh -c 'echo $$; exec sleep 600' & wait");
  ASSERT_TRUE(program->wait_for_match("^[0-9]+$"));
  const pid_t child = std::stoi(program->lines().front());
  const pid_t shell = children_of(program->pid()).front();
  kill(shell, SIGKILL);
  EXPECT_TRUE(eventually("the end of its child", [&] { return !is_alive(child); }));
  EXPECT_TRUE(program->wait_until("a successor", [&] { return program->lines().size() >= 3; }));
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Leftovers, ThatIgnoreTermAreKilledWhenTheGraceIsOver) {
  auto program = wrap(std::string{kStubborn} + " & sleep 600", {"--drain", "5000"});
  ASSERT_TRUE(program->wait_for_match("^[0-9]+$"));
  const pid_t child = std::stoi(program->lines().front());
  kill(children_of(program->pid()).front(), SIGKILL);  // in service
  EXPECT_TRUE(program->wait_for_line("TERM"));
  EXPECT_TRUE(eventually("the end of its child", [&] { return !is_alive(child); }));
  // At the stop: it ends no sooner than they do.
  ASSERT_TRUE(program->wait_until("a successor's", [&] { return program->lines().size() >= 4; }));
  program->signal(SIGTERM);
  EXPECT_TRUE(program->wait_for_line("TERM", 2));
  EXPECT_TRUE(program->exits_with(0)) << program->transcript();
  expect_nobody_is_left(*program);
}

TEST_F(Leftovers, OfAWorkerThatIsKilledAtTheDeadlineAreKilledWithIt) {
  auto program = wrap(std::string{"trap '' TERM; "} + kStubborn + "; exit 0", {"--drain", "300"});
  ASSERT_TRUE(program->wait_for_match("^[0-9]+$"));
  program->signal(SIGTERM);
  EXPECT_TRUE(program->exits_with(0)) << program->transcript();
  EXPECT_NE(program->output().find("killed by SIGKILL"), std::string::npos);
  expect_nobody_is_left(*program);
}

TEST_F(Leftovers, OfAPrimaryThatIsToldToEndBeforeItsLoopRunsEndAsEver) {
  auto program = wrap(kStubborn, {"--drain", "300", "--term-before-run"});
  EXPECT_TRUE(program->exits_with(0)) << program->transcript();
  EXPECT_NE(program->output().find("exit 1"), std::string::npos) << program->transcript();
  expect_nobody_is_left(*program);
}

TEST_F(Leftovers, AreKilledAtOnceByASecondSignal) {
  auto program = wrap(std::string{kStubborn} + " & sleep 600");
  ASSERT_TRUE(program->wait_for_match("^[0-9]+$"));
  program->signal(SIGTERM);
  ASSERT_TRUE(program->wait_for_line("TERM"));
  std::this_thread::sleep_for(200ms);  // what comes sooner is the same wish
  program->signal(SIGTERM);
  EXPECT_TRUE(program->exits_with(128 + SIGTERM)) << program->transcript();
  expect_nobody_is_left(*program);
}

// Who left the process group, under the command.

constexpr const char* kDaemon =
    "(setsid sh -c 'sleep 600 & echo daemon $$; trap \"exit 0\" TERM; while :; do sleep 0.05; "
    "done' &); exec sleep 600";

TEST_F(Leftovers, ThatBecameDaemonsEndWithTheStopOfTheCommand) {
  auto program = run({"-w", "2", "sh", "-c", kDaemon});
  ASSERT_TRUE(program->wait_until("two daemons", [&] { return program->lines().size() == 2; }));
  program->signal(SIGTERM);
  EXPECT_TRUE(program->exits_with(0)) << program->transcript();
  expect_nobody_is_left(*program);
  EXPECT_TRUE(program->wait_for_error("ending what the workers left behind: pid [0-9]+ \\(s"));
}

TEST_F(Leftovers, ThatBecameDaemonsAndIgnoreTermAreKilledByASecondSignal) {
  auto program =
      run({"-w", "1", "sh", "-c", std::string{"(setsid "} + kStubborn + " &); exec sleep 600"});
  ASSERT_TRUE(program->wait_for_match("^[0-9]+$"));
  program->signal(SIGINT);
  ASSERT_TRUE(program->wait_for_line("TERM")) << program->transcript();
  std::this_thread::sleep_for(200ms);  // what comes sooner is the same wish
  program->signal(SIGINT);
  EXPECT_TRUE(program->wait_exit());
  expect_nobody_is_left(*program);
}

TEST_F(Leftovers, AChildThatTheCommandHadBeforeItStartedIsNotItsToEnd) {
  auto program = start(
      {"sh", "-c", "sleep 600 & echo $!; exec \"$0\" run -w 1 sh -c 'exec sleep 601'", command()});
  ASSERT_TRUE(program->wait_for_match("^[0-9]+$"));
  const pid_t earlier = std::stoi(program->lines().front());
  ASSERT_TRUE(program->wait_for_error("1 worker of"));
  ASSERT_TRUE(program->wait_until("a worker", [&] { return program->descendants().size() == 2; }));
  program->signal(SIGTERM);
  ASSERT_TRUE(program->wait_exit());
  EXPECT_EQ(program->descendants(), std::vector{earlier}) << program->transcript();
}

TEST_F(Leftovers, AreNoZombiesOfTheCommand) {
  auto program = run({"-w", "1", "sh", "-c",
                      "for i in 1 2 3 4 5; do (setsid sh -c 'echo done' &); "
                      "done; exec sleep 600"});
  ASSERT_TRUE(program->wait_for_line("done", 5));
  EXPECT_TRUE(eventually("one child, the worker", [&] {
    return children_of(program->pid()).size() == 1;
  })) << program->transcript();
  EXPECT_EQ(program->errors().find("died"), std::string::npos) << program->transcript();
  EXPECT_TRUE(program->ends_on_interrupt());
}

// As in a container: what others start there, and leave, comes to PID 1.
TEST_F(Leftovers, OfStrangersAreNoZombiesWhereTheCommandIsPid1) {
  Program allowed{{"unshare", "-pf", "--mount-proc", "true"}};
  if (!allowed.exits_with(0)) GTEST_SKIP() << "no PID namespaces here: " << allowed.transcript();
  auto program = start({"unshare", "-pf", "--mount-proc", command(), "run", "-w", "1", "sh", "-c",
                        "echo worker; exec sleep 600"});
  ASSERT_TRUE(program->wait_for_line("worker")) << program->transcript();
  const pid_t init = children_of(program->pid()).front();
  for (int i = 0; i < 5; ++i) {
    Program stranger{{"nsenter", "-t", std::to_string(init), "-p", "sh", "-c", "sleep 0.1 & exit"}};
    ASSERT_TRUE(stranger.wait_exit()) << stranger.transcript();
  }
  EXPECT_TRUE(eventually("one child, the worker", [&] { return children_of(init).size() == 1; }))
      << program->transcript();
  kill(init, SIGTERM);
  EXPECT_TRUE(program->exits_with(0)) << program->transcript();
}

// The terminal.

class AtATerminal : public LeftoversWithNode {
 protected:
  std::unique_ptr<Program> serve(const std::string& script) {
    folder_.write("app.js", kServer + script);
    auto program = run({"-w", "2", "app.js"}, {.terminal = true});
    EXPECT_TRUE(program->wait_for_match("all 2 workers listen")) << program->transcript();
    return program;
  }
  static void expect_service(Program& program) {
    for (int i = 0; i < 10; ++i) EXPECT_EQ(http_get(port_of(program)).status, 200);
    program.signal_group(SIGINT);  // what the terminal sends for Ctrl-C
    EXPECT_TRUE(program.wait_for_match(" stopping: "));
    EXPECT_TRUE(program.exits_with(0)) << program.transcript();
    EXPECT_TRUE(program.wait_for_match(" stopped$"));
    EXPECT_EQ(program.transcript().find("was stopped by"), std::string::npos);
    expect_nobody_is_left(program);
  }
};
INSTANTIATE_TEST_SUITE_P(Node, AtATerminal, testing::Values("20", "26"),
                         [](const auto& test) { return std::string{test.param}; });

TEST_P(AtATerminal, AProgramThatReadsItsInputIsAtTheEndOfItAndServes) {
  auto program = serve(
      "process.stdin.on('data', () => {}); process.stdin.on('end', () => console.log('end'));");
  EXPECT_TRUE(program->wait_until("both to be at the end", [&] {
    const auto lines = program->lines();
    return std::count_if(lines.begin(), lines.end(),
                         [](const std::string& line) { return line.starts_with("end"); }) == 2;
  })) << program->transcript();
  expect_service(*program);
}

TEST_P(AtATerminal, AProgramThatChangesTheTerminalsModeServes) {
  auto program = serve(
      "const tty = require('tty'); const input = new tty.ReadStream(1); input.setRawMode(true);"
      "input.setRawMode(false); console.log('set');");
  EXPECT_TRUE(program->wait_for_match("^set")) << program->transcript();
  expect_service(*program);
}

TEST_P(AtATerminal, AProgramThatWritesServesAlsoWhereBackgroundOutputStops) {
  folder_.write("app.js", std::string{kServer} + "console.log('hello');");
  auto program = start({"sh", "-c", "stty tostop; exec \"$0\" run -w 2 app.js", command()},
                       {.terminal = true});
  ASSERT_TRUE(program->wait_for_match("all 2 workers listen")) << program->transcript();
  EXPECT_TRUE(program->wait_for_match("^hello"));
  expect_service(*program);
}

TEST_F(Leftovers, APythonProgramAtATerminalReadsTheEndOfItsInput) {
  folder_.write(
      "app.py",  // one write of two workers at a time: print() gives its parts one by one
      std::string{"import os, sys\nos.write(1, b'input %r\\n' % sys.stdin.read())"} + kPython);
  auto program =
      run({"-w", "2", "--listen", "127.0.0.1:0", "python3", "app.py"}, {.terminal = true});
  ASSERT_TRUE(program->wait_for_match("input ''")) << program->transcript();
  ASSERT_TRUE(program->wait_for_match("all 2 workers listen")) << program->transcript();
  EXPECT_EQ(http_get(port_of(*program)).status, 200);
  program->signal_group(SIGINT);
  EXPECT_TRUE(program->exits_with(0)) << program->transcript();
}

TEST_F(Leftovers, AWorkerOfTheLibraryHasNoInputFromATerminalUnlessItIsAskedFor) {
  const std::string script =
      "stty tostop <&1; test -t 0 && echo a terminal || echo none; sleep 600";
  auto none = wrap(script, {}, {.terminal = true});
  EXPECT_TRUE(none->wait_for_match("^none")) << none->transcript();
  none->signal_group(SIGINT);
  EXPECT_TRUE(none->exits_with(0)) << none->transcript();
  auto asked = wrap(script, {"--stdin", "inherit"}, {.terminal = true});
  EXPECT_TRUE(asked->wait_for_match("^a terminal")) << asked->transcript();
  asked->signal_group(SIGINT);
  EXPECT_TRUE(asked->exits_with(0)) << asked->transcript();
}

TEST_P(LeftoversWithNode, AWorkerThatIsStoppedIsNamedAndEndsAllTheSameWithTheStop) {
  folder_.write("app.js", kServer);
  auto program = run({"-w", "2", "app.js"});
  ASSERT_TRUE(program->wait_for_error("all 2 workers listen"));
  const pid_t worker = std::stoi(http_get(port_of(*program)).body);
  const std::string name = "^cohort: worker [12] \\(pid " + std::to_string(worker) + "\\) ";
  kill(worker, SIGSTOP);
  EXPECT_TRUE(program->wait_for_error(name + "was stopped by SIGSTOP, .*kill -CONT"));
  kill(worker, SIGCONT);
  EXPECT_TRUE(program->wait_for_error(name + "goes on$"));
  kill(worker, SIGSTOP);
  EXPECT_TRUE(program->wait_until("it to be named again", [&] {
    return std::regex_search(program->errors(), std::regex{"goes on[^]*was stopped by"});
  }));
  program->signal(SIGTERM);
  EXPECT_TRUE(program->exits_with(0)) << program->transcript();
  EXPECT_EQ(program->errors().find("killed"), std::string::npos) << program->transcript();
}

}  // namespace
}  // namespace harness
