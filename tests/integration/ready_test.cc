// When a worker counts as ready (Settings::ready, `cohort run --ready`): programs that do not
// listen, or listen before they can serve.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "harness/verbs.h"

namespace harness {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream file{path};
  return {std::istreambuf_iterator<char>{file}, {}};
}

// A queue worker. It says something when `go` is there, and works on.
constexpr const char* kSaysInPython =
    "import os, socket, time\n"
    "while not os.path.exists('go'): time.sleep(0.02)\n"
    "say = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
    "say.connect('\\0' + os.environ['NOTIFY_SOCKET'][1:])\n"
    "say.send(b'STATUS=works\\nREADY=1\\nMAINPID=1')\n"
    "time.sleep(1000)\n";
constexpr const char* kSaysInNode =
    "const until = setInterval(() => {\n"
    "  if (!require('fs').existsSync('go')) return;\n"
    "  clearInterval(until);\n"
    "  process.send('ready');\n"
    "}, 20);\n"
    "setInterval(() => {}, 1000);\n";

class Ready : public Verbs {
 protected:
  std::unique_ptr<Program> start(const std::vector<std::string>& options) const {
    std::vector<std::string> words{command(), "run", "-w",     "2",
                                   "--prove", "0.2", "--name", "server"};
    words.insert(words.end(), options.begin(), options.end());
    return std::make_unique<Program>(words, surroundings());
  }
  bool are_ready(int count) const {
    const std::string status = verb({"status", "--json"}).out;
    int found = 0;
    for (std::size_t at = 0; (at = status.find(R"("serves":true)", at)) != std::string::npos; ++at)
      ++found;
    return found == count;
  }
  void go() const { folder_.write("go", ""); }
  void stop() const { std::filesystem::remove(folder_.path() + "/go"); }
};

TEST_F(Ready, OfAProgramThatNotifies) {
  folder_.write("worker.py", kSaysInPython);
  const auto program = start({"--ready", "notify", "worker.py"});
  EXPECT_TRUE(program->wait_for_error("2 workers of worker.py")) << program->transcript();
  EXPECT_TRUE(are_ready(0));
  go();
  EXPECT_TRUE(program->wait_until("both to be ready", [&] { return are_ready(2); }))
      << verb({"status", "--json"}).text() << program->transcript();
  const auto before = children_of(program->pid());
  const Said said = verb({"reload"});
  EXPECT_EQ(said.code, 0) << said.text() << program->transcript();
  EXPECT_TRUE(program->wait_until("the others to be ended", [&] {
    const auto after = children_of(program->pid());
    return after.size() == 2 && after != before;
  })) << program->transcript();
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Ready, OneThatDoesNotSayItInTimeIsUndoneWithThatReason) {
  folder_.write("worker.py", kSaysInPython);
  go();
  const auto program = start({"--ready", "notify", "--ready-within", "1", "worker.py"});
  EXPECT_TRUE(program->wait_until("both to be ready", [&] { return are_ready(2); }))
      << program->transcript();
  const auto before = children_of(program->pid());
  stop();
  const Said said = verb({"reload"});
  EXPECT_EQ(said.code, 111) << said.text();
  EXPECT_TRUE(has(said.err, "was not ready in time: it has not sent READY=1")) << said.text();
  EXPECT_TRUE(program->wait_until("the others to be ended", [&] {
    return children_of(program->pid()) == before;
  })) << program->transcript();
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Ready, OfANodeProgramByAMessage) {
  folder_.write("worker.js", kSaysInNode);
  const auto program = start({"--ready", "message", "worker.js"});
  EXPECT_TRUE(program->wait_for_error("2 workers of worker.js")) << program->transcript();
  EXPECT_TRUE(are_ready(0));
  go();
  EXPECT_TRUE(program->wait_until("both to be ready", [&] { return are_ready(2); }))
      << program->transcript();
  stop();
  EXPECT_EQ(verb({"reload", "--no-wait"}).code, 0);
  EXPECT_TRUE(program->wait_until("a successor", [&] {
    return children_of(program->pid()).size() == 3;
  })) << program->transcript();
  EXPECT_TRUE(has(verb({"status"}).out, "reload   generation 2: 0 of 2 replaced"));
  go();
  EXPECT_TRUE(program->wait_for_error("reloaded: generation 2")) << program->transcript();
  EXPECT_TRUE(program->ends_on_interrupt());
}

// It listens at once, and says later that it can serve. Who serves already gets the connections.
TEST_F(Ready, UntilThenItGetsNoConnections) {
  folder_.write("server.js", script("one", "process.send('ready');\n"));
  const auto program = start({"--ready", "message", "server.js"});
  EXPECT_TRUE(program->wait_until("both to be ready", [&] { return are_ready(2); }))
      << program->transcript();
  folder_.write("server.js", script("two", kSaysInNode));
  EXPECT_EQ(verb({"reload", "--no-wait"}).code, 0);
  EXPECT_TRUE(program->wait_until("one that listens, and is not ready", [&] {
    return has(verb({"status"}).out, "checking");
  })) << program->transcript();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(http_get(port).body, "one\n");
  go();
  EXPECT_TRUE(program->wait_for_error("reloaded: generation 2")) << program->transcript();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(http_get(port).body, "two\n");
  EXPECT_TRUE(program->ends_on_interrupt());
}

// Which they share: nobody can be kept from it. Readiness decides the reload all the same.
TEST_F(Ready, OfWorkersOnAUnixSocket) {
  folder_.write("worker.py", kSaysInPython);
  go();
  const std::string socket = folder_.path() + "/a.sock";
  auto program = start({"--ready", "notify", "--listen", socket, "worker.py"});
  EXPECT_TRUE(program->wait_until("both to be ready", [&] { return are_ready(2); }))
      << program->transcript();
  EXPECT_EQ(verb({"reload"}).code, 0) << program->transcript();
  EXPECT_TRUE(program->ends_on_interrupt());

  program = start({"--ready", "notify", "--ready-within", "1", "--listen", socket, "worker.py"});
  EXPECT_TRUE(program->wait_until("both to be ready", [&] { return are_ready(2); }))
      << program->transcript();
  stop();
  const Said said = verb({"reload"});
  EXPECT_EQ(said.code, 111) << said.text();
  EXPECT_TRUE(has(said.err, "it has not sent READY=1")) << said.text();
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Ready, LongerThanItMayTakeIsRefused) {
  const auto program = start({"--ready", "90", "sleep", "1000"});
  EXPECT_TRUE(program->exits_with(100)) << program->transcript();
  EXPECT_TRUE(has(program->errors(), "with --ready 90 no worker is ready within --ready-within"));
}

TEST_F(Ready, ByTime) {
  // It is not taken for ready after ten seconds.
  const auto program = start({"--ready", "0.3", "--ready-within", "5", "sleep", "1000"});
  EXPECT_TRUE(program->wait_until("both to be ready", [&] { return are_ready(2); }))
      << program->transcript();
  const Said said = verb({"reload"});
  EXPECT_EQ(said.code, 0) << said.text();
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(Ready, AShellScriptSaysItAsUnderSystemd) {
  folder_.write("worker.sh", "python3 - <<'END'\n" + std::string{kSaysInPython} + "END\n");
  go();
  const auto program = start({"--ready", "notify", "worker.sh"});
  EXPECT_TRUE(program->wait_until("both to be ready", [&] { return are_ready(2); }))
      << program->transcript();
  EXPECT_TRUE(program->ends_on_interrupt());
}

// Of another user, and nonsense: neither makes it ready, or harms anybody.
TEST_F(Ready, WhatStrangersSayCountsNothing) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may be another user";
  folder_.write(
      "worker.py",
      "import os, time\n"
      "open(f'name.{os.environ[\"COHORT_SLOT\"]}', 'w').write(os.environ['NOTIFY_SOCKET'])\n"
      "time.sleep(1000)\n");
  const auto program = start({"--ready", "notify", "worker.py"});
  const std::string file = folder_.path() + "/name.0";
  ASSERT_TRUE(program->wait_until("its socket's name", [&] { return !read_file(file).empty(); }))
      << program->transcript();
  folder_.write(
      "stranger.py",
      "import socket, sys\n"
      "say = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
      "say.setblocking(False)\n"
      "say.connect('\\0' + open(sys.argv[1]).read()[1:])\n"
      "try:\n"
      "  for i in range(2000): say.send([b'READY=1', b'\\n' * 5000, b'\\0', b''][i % 4])\n"
      "except BlockingIOError: pass\n");
  for (const char* each : {"", "/stranger.py", "/name.0"})
    std::filesystem::permissions(folder_.path() + each, std::filesystem::perms{0755});
  Program stranger{{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                    "/usr/bin/python3", folder_.path() + "/stranger.py", file}};
  EXPECT_TRUE(stranger.exits_with(0)) << stranger.transcript();
  EXPECT_TRUE(are_ready(0));
  folder_.write("go", "");
  folder_.write("friend.py", "import os\nos.environ['NOTIFY_SOCKET'] = open('name.0').read()\n" +
                                 std::string{kSaysInPython});
  Program friendly{{"python3", "friend.py"}, {.cwd = folder_.path()}};
  EXPECT_TRUE(program->wait_until("one to be ready", [&] { return are_ready(1); }))
      << program->transcript();
  EXPECT_TRUE(program->ends_on_interrupt());
}

}  // namespace
}  // namespace harness
