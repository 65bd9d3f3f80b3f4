// What Node workers of `cohort run` are started with beside the user's own options: a debugger's
// port of their own, and the preload, of which the program sees nothing (docs/signals.md).
#include <memory>
#include <regex>
#include <set>
#include <sstream>

#include "interop.h"

namespace harness {
namespace {

class NodeOptions : public testing::TestWithParam<const char*> {
 protected:
  std::unique_ptr<Program> run(const std::vector<std::string>& arguments, const std::string& script,
                               Variables variables = {}) {
    folder_.write("program.js", script);
    std::vector<std::string> argv{command(), "run", "-w", "2"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    argv.emplace_back("program.js");
    ProgramOptions options = node_.options(std::move(variables));
    options.cwd = folder_.path();
    return std::make_unique<Program>(argv, options);
  }
  static std::uint16_t port_of(const Program& program) {
    const std::string errors = program.errors();
    std::smatch match;
    if (!std::regex_search(errors, match, std::regex{"listening on http://localhost:([0-9]+)"}))
      return 0;
    return static_cast<std::uint16_t>(std::stoi(match[1]));
  }

  TempDir folder_;
  NodeInPath node_{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Node, NodeOptions, testing::Values("node20", "node26"),
                         [](const auto& test) { return std::string{test.param}; });

TEST_P(NodeOptions, AreTheUsersOwnForTheProgramItsThreadsAndItsChildren) {
  constexpr const char* kScript = R"(
const text = 'JSON.stringify(process.env.NODE_OPTIONS)';
console.log('program', eval(text), process.execArgv.length);
const child = require('child_process').execFileSync(process.execPath, ['-p', text]);
console.log('child', child.toString().trim());
new (require('worker_threads').Worker)(`console.log('thread', ${text})`, { eval: true });
require('net').createServer(() => {}).listen(0);
)";
  const auto given = run({}, kScript, {{"NODE_OPTIONS", "--title=\"a b\" --no-warnings"}});
  const std::string text = R"("--title=\"a b\" --no-warnings")";
  for (const std::string& who : {"program " + text + " 0", "child " + text, "thread " + text})
    EXPECT_TRUE(given->wait_for_line(who, 2)) << who;
  EXPECT_TRUE(given->wait_for_error("all 2 workers listen"));
  EXPECT_TRUE(given->ends_on_interrupt());
  const auto none = run({}, kScript);
  for (const char* who : {"program undefined 0", "child undefined", "thread undefined"})
    EXPECT_TRUE(none->wait_for_line(who, 2)) << who;
  EXPECT_TRUE(none->wait_for_error("all 2 workers listen"));
  EXPECT_TRUE(none->ends_on_interrupt());
}

TEST_P(NodeOptions, GiveEachWorkerADebuggerOfItsOwn) {
  constexpr const char* kServer = "require('net').createServer(() => {}).listen(0)";
  std::uint16_t port = 0;
  do port = free_port();
  while (free_port() != port + 1);  // the second worker's
  const std::string asked = "--inspect=127.0.0.1:" + std::to_string(port);
  const std::string first = "127.0.0.1:" + std::to_string(port);
  const std::string second = "127.0.0.1:" + std::to_string(port + 1);
  const auto check = [&](Program& program) {
    EXPECT_TRUE(program.wait_for_error("cohort: debuggers: " + first + ' ' + second));
    EXPECT_TRUE(program.wait_for_error("Debugger listening on ws://" + first));
    EXPECT_TRUE(program.wait_for_error("Debugger listening on ws://" + second));
    EXPECT_TRUE(program.wait_for_error("all 2 workers listen"));
    EXPECT_TRUE(program.ends_on_interrupt());
  };
  check(*run({"node", asked}, kServer));
  check(*run({}, kServer, {{"NODE_OPTIONS", asked}}));
}

TEST_P(NodeOptions, GiveASuccessorAnotherDebuggerThanTheOneThatLeaves) {
  const std::uint16_t port = free_port();
  const auto program = run({"node", "--inspect=127.0.0.1:" + std::to_string(port)}, R"(
const { worker } = require('cluster');
const server = require('http').createServer((request, response) => {
  if (request.url === '/events') return response.write('a first event\n');
  if (request.url === '/leave') worker.disconnect();
  response.end('bye');
});
server.listen(0);
)");
  EXPECT_TRUE(program->wait_for_error("all 2 workers listen"));
  TcpClient client;
  ASSERT_EQ(client.connect(port_of(*program)), "");
  EXPECT_EQ(client.send("GET /events HTTP/1.1\r\nHost: a\r\n\r\n"), "");
  EXPECT_NE(client.receive_until("a first event").find("a first event"), std::string::npos);
  while (program->errors().find("leaves:") == std::string::npos)
    http_get(port_of(*program), "/leave");
  EXPECT_TRUE(
      program->wait_for_error("Debugger listening on ws://127.0.0.1:" + std::to_string(port + 2)));
  EXPECT_EQ(program->errors().find("address already in use"), std::string::npos);
  client.reset();
  EXPECT_TRUE(program->ends_on_interrupt());
}

// SIGUSR1 opens it there. Nobody may have these ports on a developer's machine, so it is not sent.
TEST_P(NodeOptions, GiveEachWorkerAPortForTheDebuggerThatSigusr1Opens) {
  const auto program = run({}, R"(
console.log('pid', process.pid, process.debugPort);
require('net').createServer(() => {}).listen(0);
)");
  EXPECT_TRUE(program->wait_for_error("all 2 workers listen"));
  EXPECT_TRUE(program->wait_until("both said it", [&] { return program->lines().size() >= 2; }));
  std::set<int> ports;
  for (const std::string& line : program->lines()) {
    std::istringstream words{line};
    std::string word;
    int pid = 0, port = 0;
    words >> word >> pid >> port;
    ports.insert(port);
  }
  EXPECT_EQ(ports, (std::set<int>{9229, 9230}));
  EXPECT_TRUE(program->ends_on_interrupt());
}

// A Node worker accepts what it then closes, though the other one has room.
TEST_P(NodeOptions, LetAServerWithMaxConnectionsDropNothingWhileAnotherWorkerHasRoom) {
  constexpr int kEach = 5;
  const auto program = run({}, R"(
const server = require('net').createServer((socket) => socket.write('in\n'));
server.maxConnections = 5;
server.listen(0);
)");
  EXPECT_TRUE(program->wait_for_error("all 2 workers listen"));
  std::vector<TcpClient> clients(2 * kEach);
  for (TcpClient& client : clients) {
    ASSERT_EQ(client.connect(port_of(*program)), "");
    EXPECT_EQ(client.receive_until("\n"), "in\n") << client.reason();
  }
  EXPECT_TRUE(program->wait_for_error("round-robin, it has maxConnections"));
  clients.clear();
  EXPECT_TRUE(program->ends_on_interrupt());
}

}  // namespace
}  // namespace harness
