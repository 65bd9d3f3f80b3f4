// `cohort run --kill-hung SECONDS`: a worker whose loop does not turn is killed, if that is its
// fault.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
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
  TcpClient hang() const {
    TcpClient client;
    EXPECT_EQ(client.connect(port), "");
    EXPECT_EQ(client.send("GET /hang HTTP/1.1\r\nHost: a\r\n\r\n"), "");
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

}  // namespace
}  // namespace harness
