// `cohort run --kill-hung SECONDS`: a worker whose loop does not turn is killed, if that is its
// fault.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <regex>
#include <string>
#include <vector>

#include "harness/verbs.h"

namespace harness {
namespace {

class Hung : public Verbs {
 protected:
  std::unique_ptr<Program> start(const std::string& hangs) {
    folder_.write("server.js", script("hello world",
                                      "server.prependListener('request', (request) => {\n"
                                      "  if (request.url === '/hang') " +
                                          hangs + "\n});\n"));
    return run({"-w", "2", "--kill-hung", "1", "server.js"});
  }
  // A client whose worker hangs from now on.
  TcpClient hang(const std::string& path = "/hang") const {
    TcpClient client;
    EXPECT_EQ(client.connect(port), "");
    EXPECT_EQ(client.send("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n"), "");
    return client;
  }
  void expect_two_that_serve(Program& program) const {
    EXPECT_TRUE(program.wait_until("two to serve", [&] {
      return has(verb({"status"}).out, "2 of 2 workers listen");
    })) << program.transcript();
    EXPECT_EQ(http_get(port).body, "hello world\n");
  }
};

TEST_F(Hung, WhoWaitsForAnotherProgramIsKilledAndReplaced) {
  auto program = start("require('child_process').execSync('sleep 1000');");
  const TcpClient client = hang();
  EXPECT_TRUE(program->wait_for_error(
      "worker [12] hangs: its loop has not turned for [0-9.]+ s; it waits, but not in its loop.*; "
      "it is killed"))
      << program->transcript();
  EXPECT_TRUE(program->wait_for_error("worker [12] \\(pid [0-9]+\\) died: killed by SIGKILL"))
      << program->transcript();
  EXPECT_TRUE(program->wait_for_error("worker 3 \\(pid [0-9]+\\) listens"));
  expect_two_that_serve(*program);
  EXPECT_TRUE(program->ends_on_interrupt());
}

// On a busy machine it may be short of a CPU at first.
TEST_F(Hung, WhoComputesIsKilled) {
  auto program = start("for (;;);");
  const TcpClient client = hang();
  EXPECT_TRUE(
      program->wait_for_error("hangs: .* it computes \\([0-9.]+ s of CPU time\\); it is killed"))
      << program->transcript();
  EXPECT_TRUE(program->wait_for_error("worker 3 \\(pid [0-9]+\\) listens"));
  expect_two_that_serve(*program);
  EXPECT_TRUE(program->ends_on_interrupt());
}

// Below the line that says so is where it hangs, if somebody can say that. Whoever reads the stack
// has 5 s, which a busy machine may not give him each time.
TEST_F(Hung, AProgramOfOursIsKilledAndTheStackSaysWhereItWas) {
  constexpr int kTriesMax = 5;
  Program shows{{"sh", "-c", "command -v eu-stack || command -v gdb"}};
  const bool can_be_shown = shows.wait_exit()->code == 0;
  auto program = run({"-w", "2", "--kill-hung", "1", helper("answers_by_path")});
  const auto count = [&](const std::string& pattern) {
    const auto lines = program->error_lines();
    return std::count_if(lines.begin(), lines.end(), [&](const std::string& line) {
      return std::regex_search(line, std::regex{pattern});
    });
  };
  const auto is_shown = [&] { return count("^  #[0-9]+ .*hangs_for_ever") > 0; };
  for (int i = 1; i == 1 || (can_be_shown && !is_shown() && i <= kTriesMax); ++i) {
    const TcpClient client = hang();
    EXPECT_TRUE(program->wait_until("its end, and its successor", [&] {
      return count("hangs: .* it computes \\([0-9.]+ s of CPU time\\); it is killed") == i &&
             count("worker [0-9]+ \\(pid [0-9]+\\) died: killed by SIGKILL") == i &&
             count("worker [0-9]+ \\(pid [0-9]+\\) listens in place of worker") == i;
    })) << program->transcript();
  }
  EXPECT_EQ(is_shown(), can_be_shown) << program->transcript();
  EXPECT_EQ(count("it is killed\\. It is here:$") > 0, can_be_shown) << program->transcript();
  expect_two_that_serve(*program);
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Hung, WhoIsStoppedIsLeftAlone) {
  auto program = start("{}");
  const auto before = children_of(program->pid());
  ASSERT_EQ(before.size(), 2U);
  kill(before.front(), SIGSTOP);
  EXPECT_TRUE(program->wait_for_error(
      "hangs: .* it was stopped, by a signal or a debugger; it is left alone"))
      << program->transcript();
  kill(before.front(), SIGCONT);
  expect_two_that_serve(*program);
  EXPECT_EQ(children_of(program->pid()), before);
  EXPECT_TRUE(program->ends_on_interrupt());
}

// Without a channel, on descriptor 3.
constexpr const char* kPython =
    "import http.server, os, socket, time\n"
    "class Server(http.server.ThreadingHTTPServer):\n"
    "    daemon_threads = True\n"
    "    def service_actions(self):\n"
    "        if 'NO_WATCHDOG' in os.environ: return\n"
    "        if (os.environ['COHORT_SLOT'] == '0' and os.path.exists('hang')\n"
    "                and not os.path.exists('hangs')):\n"
    "            open('hangs', 'w').close()\n"
    "            time.sleep(1000)\n"
    "        assert os.environ['WATCHDOG_USEC'] == '3000000'\n"
    "        say = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
    "        say.sendto(b'WATCHDOG=1', '\\0' + os.environ['NOTIFY_SOCKET'][1:])\n"
    "        open('said-' + os.environ['COHORT_SLOT'], 'w').close()\n"
    "class Handler(http.server.BaseHTTPRequestHandler):\n"
    "    def do_GET(self):\n"
    "        self.send_response(200)\n"
    "        self.end_headers()\n"
    "        self.wfile.write(b'hello world\\n')\n"
    "server = Server(('', 0), Handler, bind_and_activate=False)\n"
    "server.socket = socket.socket(fileno=3)\n"
    "server.serve_forever(0.1)\n";

TEST_F(Hung, OfAProgramWithoutAChannelItIsNotKnown) {
  folder_.write("server.py", kPython);
  auto program = run({"-w", "2", "--kill-hung", "1", "--env", "NO_WATCHDOG=1", "--listen",
                      std::to_string(port), "server.py"});
  EXPECT_TRUE(program->wait_for_error(
      "whether worker [12] hangs is not known: it does not speak the channel, and has not sent "
      "WATCHDOG=1"));
  EXPECT_TRUE(program->ends_on_interrupt());
}

// Unless it says that it lives, as a service of systemd does.
TEST_F(Hung, WhoHasSentWatchdogAndSendsItNoMoreIsKilled) {
  folder_.write("server.py", kPython);
  auto program =
      run({"-w", "2", "--kill-hung", "3", "--listen", std::to_string(port), "server.py"});
  expect_two_that_serve(*program);
  EXPECT_TRUE(eventually("both to have said so", [&] {
    return std::filesystem::exists(folder_.path() + "/said-0") &&
           std::filesystem::exists(folder_.path() + "/said-1");
  }));
  const auto before = children_of(program->pid());
  folder_.write("hang", "");
  EXPECT_TRUE(program->wait_for_error("hangs: its loop has not turned .* it waits"))
      << program->transcript();
  EXPECT_TRUE(program->wait_for_error("died: killed by SIGKILL")) << program->transcript();
  EXPECT_TRUE(program->wait_for_error("worker [0-9]+ \\(pid [0-9]+\\) listens in place of"));
  const auto after = children_of(program->pid());
  EXPECT_EQ(std::count_if(before.begin(), before.end(),
                          [&](pid_t pid) {
                            return std::find(after.begin(), after.end(), pid) != after.end();
                          }),
            1)
      << program->transcript();
  EXPECT_TRUE(program->ends_on_interrupt());
}

// `--hung-stack js`: what hangs is JavaScript, and its debugger says where.
class HungJavaScript : public Hung {
 protected:
  static constexpr int kTriesMax = 5;  // 5 s for a stack are too few on a busy machine at times

  std::unique_ptr<Program> start_js(std::vector<std::string> options = {},
                                    const std::string& more = {}) {
    folder_.write(
        "server.js",
        script("hello world", more + "function spinsForEver() {\n"
                                     "  while (true) {}\n"
                                     "}\n"
                                     "const priceOf = (cart) => spinsForEver(cart);\n"
                                     "server.prependListener('request', (request) => {\n"
                                     "  if (request.url === '/hang') priceOf([]);\n"
                                     "  if (request.url === '/native')\n"
                                     "    require('child_process').execSync('sleep 1000');\n"
                                     "});\n"));
    const bool named = std::ranges::find(options, "--interpreter") != options.end();
    if (!named) options.insert(options.end(), {"--interpreter", node26()});
    options.insert(options.begin(), {"-w", "2", "--kill-hung", "1", "--hung-stack", "js"});
    options.emplace_back("server.js");
    return run(options);
  }
  static bool said(const Program& program, const std::string& pattern) {
    return std::ranges::any_of(program.error_lines(), [&](const std::string& line) {
      return std::regex_search(line, std::regex{pattern});
    });
  }
  // Hangs until that was said.
  void expect_said(Program& program, const std::string& pattern,
                   const std::string& path = "/hang") const {
    for (int i = 1; i <= kTriesMax && !said(program, pattern); ++i) {
      const TcpClient client = hang(path);
      const std::string successor = "worker " + std::to_string(i + 2) + " \\(pid [0-9]+\\) listens";
      EXPECT_TRUE(program.wait_for_error(successor));
    }
    EXPECT_TRUE(said(program, pattern)) << program.transcript();
  }
};

class HungJavaScriptOf : public HungJavaScript, public testing::WithParamInterface<int> {};

TEST_P(HungJavaScriptOf, IsShownBeforeTheWorkerIsKilledAndByWhyToo) {
  auto program = start_js({"--interpreter", GetParam() == 20 ? node20() : node26()});
  expect_said(*program, "^  #0  spinsForEver \\(.*/server.js:5:[0-9]+\\)$");
  EXPECT_TRUE(said(*program, "^  #1  priceOf \\(.*/server.js:7:[0-9]+\\)$"))
      << program->transcript();
  EXPECT_TRUE(said(*program, "hangs: .* it computes .*; it is killed. It is here:$"));
  EXPECT_FALSE(said(*program, "Debugger listening|For help, see")) << program->transcript();
  const std::string why = verb({"why"}).out;
  EXPECT_TRUE(has(why, "it is killed. It is here:\n  #0  spinsForEver (")) << why;
  expect_two_that_serve(*program);
  EXPECT_TRUE(program->ends_on_interrupt());
}

INSTANTIATE_TEST_SUITE_P(Node, HungJavaScriptOf, testing::Values(20, 26),
                         testing::PrintToStringParamName());

TEST_F(HungJavaScript, IsNotAskedForWhereTheProgramHandlesTheSignal) {
  auto program = start_js({}, "process.on('SIGUSR1', () => console.error('was signalled'));\n");
  expect_said(*program,
              "^  \\(no JavaScript: the program handles SIGUSR1 itself, which would open the "
              "debugger of Node\\)$");
  EXPECT_FALSE(said(*program, "was signalled"));
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(HungJavaScript, IsNotThereWhereOtherCodeRuns) {
  auto program = start_js();
  expect_said(*program, "^  \\(no JavaScript: its debugger has not opened within 3 s", "/native");
  EXPECT_TRUE(said(*program, "worker [12] \\(pid [0-9]+\\) died: killed by SIGKILL"));
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(HungJavaScript, OfAnotherProgramThereIsNone) {
  auto program =
      run({"-w", "2", "--kill-hung", "1", "--hung-stack", "js", helper("answers_by_path")});
  expect_said(*program, "^  \\(no JavaScript: it is no program of Node\\)$");
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(HungJavaScript, OfAWorkerInADebuggerIsLeftToThatAndSoIsTheWorker) {
  const std::uint16_t first = free_port();
  auto program = start_js({"--interpreter-args", "--inspect=" + std::to_string(first)});
  TcpClient debuggers[2];  // of each worker one: which of them will hang is not known
  for (std::uint16_t i = 0; i < 2; ++i)
    EXPECT_EQ(debuggers[i].connect(static_cast<std::uint16_t>(first + i)), "");
  const auto before = children_of(program->pid());
  const TcpClient client = hang();
  EXPECT_TRUE(program->wait_for_error(
      "worker [12] hangs, and a debugger is attached to it: it is left alone while that is so"))
      << program->transcript();
  EXPECT_EQ(children_of(program->pid()), before);
  for (TcpClient& debugger : debuggers) debugger.close();
  EXPECT_TRUE(program->wait_for_error("^  #0  spinsForEver|^  \\(no JavaScript: "))
      << program->transcript();
  EXPECT_TRUE(program->wait_for_error("worker [12] \\(pid [0-9]+\\) died: killed by SIGKILL"));
  EXPECT_TRUE(program->ends_on_interrupt());
}

// Of a worker that goes on meanwhile: nobody kills this one.
TEST_F(HungJavaScript, LeavesNoDebuggerOpen) {
  const std::string script = folder_.write(
      "spins.js", "function spinsForEver() { for (;;); }\nconsole.log('runs');\nspinsForEver();\n");
  Program node{{node26(), "--inspect-port=127.0.0.1:0", script}};
  ASSERT_TRUE(node.wait_for_line("runs"));
  Program visitor{{helper("debugger_visitor"), std::to_string(node.pid())}};
  EXPECT_EQ(visitor.wait_exit()->code, 0);
  EXPECT_TRUE(has(visitor.output(), "#0  spinsForEver (" + script + ":1:") ||
              has(visitor.output(), "no JavaScript: "))
      << visitor.transcript();
  EXPECT_TRUE(has(visitor.output(), "it listens nowhere\n")) << visitor.transcript();
}

}  // namespace
}  // namespace harness
