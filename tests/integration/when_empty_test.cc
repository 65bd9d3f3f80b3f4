// `cohort run --when-empty`: what clients meet at a port while nobody lives who could serve it.
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "harness/verbs.h"

namespace harness {
namespace {

// All but the first listen, or accept, once `go` is there.
constexpr const char* kServer =
    "const { createServer } = require('http');\n"
    "const listen = () => createServer((_, response) => response.end('served\\n')).listen(\n"
    "    process.env.TEST_PATH || Number(process.env.TEST_PORT));\n"
    "const wait = () => require('fs').existsSync('go') ? listen() : setTimeout(wait, 20);\n"
    "if (require('cluster').worker.id === 1) listen(); else wait();\n";

class WhenEmpty : public Verbs {
 protected:
  std::unique_ptr<Program> start(std::vector<std::string> options) {
    folder_.write("server.js", kServer);
    options.insert(options.begin(), {"-w", "1"});
    options.emplace_back("server.js");
    return run(options, "listening on");
  }
  void kill_worker(const Program& program) const {
    const auto workers = children_of(program.pid());
    ASSERT_EQ(workers.size(), 1U);
    ::kill(workers.front(), SIGKILL);
  }
  void go() const { folder_.write("go", ""); }
  bool is_refused() const { return TcpClient{}.connect(port) != ""; }
};

class WhenEmptyUnder : public WhenEmpty, public testing::WithParamInterface<const char*> {};

TEST_P(WhenEmptyUnder, RefuseClosesThePortUntilAWorkerListens) {
  const auto program = start({"-b", GetParam(), "--when-empty", "refuse"});
  EXPECT_EQ(http_get(port).body, "served\n");
  kill_worker(*program);
  EXPECT_TRUE(program->wait_for_error("refuses connections until a worker listens there"))
      << program->transcript();
  EXPECT_TRUE(is_refused());
  go();
  EXPECT_TRUE(program->wait_for_error("worker [0-9]+ \\(pid [0-9]+\\) listens"))
      << program->transcript();
  EXPECT_EQ(http_get(port).body, "served\n") << program->transcript();
  EXPECT_TRUE(program->ends_on_interrupt());
}

INSTANTIATE_TEST_SUITE_P(Policy, WhenEmptyUnder,
                         testing::Values("adaptive", "round-robin", "shared", "sticky"),
                         [](const auto& test) {
                           const std::string name = test.param;
                           return name.substr(0, name.find('-'));
                         });

TEST_F(WhenEmpty, HoldLetsThemWait) {
  const auto program = start({"--when-empty", "hold=60"});
  kill_worker(*program);
  EXPECT_TRUE(program->wait_for_error("died: killed by SIGKILL")) << program->transcript();
  TcpClient client;
  EXPECT_EQ(client.connect(port), "");
  EXPECT_EQ(client.send("GET / HTTP/1.0\r\n\r\n"), "");
  go();
  EXPECT_TRUE(has(client.receive(), "served")) << program->transcript();
  EXPECT_FALSE(has(program->errors(), "refuses connections")) << program->transcript();
  EXPECT_TRUE(program->ends_on_interrupt());
}

// Who came meanwhile is let go, too.
TEST_F(WhenEmpty, HoldEndsInTime) {
  const auto program = start({"--when-empty", "hold=3s"});
  kill_worker(*program);
  TcpClient client;
  EXPECT_EQ(client.connect(port), "");
  EXPECT_TRUE(program->wait_for_error("none has for 3 s")) << program->transcript();
  client.receive();  // its end
  EXPECT_TRUE(is_refused());
  EXPECT_TRUE(program->ends_on_interrupt());
}

TEST_F(WhenEmpty, APathIsGoneMeanwhile) {
  const std::string path = folder_.path() + "/a.sock";
  ProgramOptions options = surroundings();
  options.env.emplace_back("TEST_PATH", path);
  folder_.write("server.js", kServer);
  Program program{{command(), "run", "-w", "1", "--when-empty", "refuse", "server.js"}, options};
  EXPECT_TRUE(program.wait_for_error("listening on")) << program.transcript();
  EXPECT_TRUE(std::filesystem::exists(path));
  kill_worker(program);
  EXPECT_TRUE(program.wait_for_error("refuses connections until a worker listens there"))
      << program.transcript();
  EXPECT_FALSE(std::filesystem::exists(path));
  go();
  EXPECT_TRUE(program.wait_for_error("worker [0-9]+ \\(pid [0-9]+\\) listens"));
  EXPECT_TRUE(std::filesystem::exists(path));
  EXPECT_TRUE(program.ends_on_interrupt());
}

// A reload leaves nobody out: the port is not closed, however little it may be empty.
TEST_F(WhenEmpty, AReloadIsNoReason) {
  go();
  const auto program = start({"--when-empty", "refuse", "--prove", "0.1"});
  EXPECT_EQ(verb({"reload"}).code, 0);
  EXPECT_EQ(http_get(port).body, "served\n");
  EXPECT_FALSE(has(program->errors(), "refuses connections")) << program->transcript();
  EXPECT_TRUE(program->ends_on_interrupt());
}

}  // namespace
}  // namespace harness
